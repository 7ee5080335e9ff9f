"""Match-ups in groups of one retrieval and one time of day, within which masks are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxmask.difference_statistics import Sample, make_sample
from jaxmask.fair_masks import FairMask, RowSamples, fair_masks
from jaxmask.matchups import (
    ALGORITHMS,
    BAYES_THRESHOLD,
    Algorithm,
    Select,
    Table,
    differences,
    quality_filter,
)
from jaxmask.resampling import REPLICATES

TIMES_OF_DAY = ("day", "night")


@dataclass(frozen=True)
class StatisticsSettings:
    """select: which rows are an algorithm's ("type" or "all", `matchups.selected`); replicates: resamples of scenes, 0
    for point estimates alone; seed: of the resamples and of lots between ties."""

    select: Select = "type"
    bayes_threshold: float = BAYES_THRESHOLD
    replicates: int = REPLICATES
    seed: int = 0


@dataclass(frozen=True)
class Group:
    """The eligible rows of one retrieval at one time of day; masks hold the rows of `sample`, in its order."""

    algorithm: Algorithm
    time_of_day: str
    sample: Sample
    masks: dict[str, FairMask]

    @property
    def names(self) -> dict[str, str]:
        """What a record says of its group."""
        return {"algorithm": self.algorithm.name, "time_of_day": self.time_of_day}


def make_groups(
    table: Table, samples: RowSamples, settings: StatisticsSettings, *, any_quality: bool = False
) -> list[Group]:
    """A group for each algorithm at its own time of day, and at the other where it has rows.

    The time of day is the row's own (`samples.night`), whatever the algorithm's name promises.
    """
    groups = []
    for algorithm in ALGORITHMS:
        eligible = quality_filter(table, algorithm, settings.select, any_quality=any_quality) & samples.decided
        times = {name: eligible & _at(samples, name) for name in TIMES_OF_DAY}
        wanted = [name for name, rows in times.items() if rows.any() or name == algorithm.time_of_day]
        groups += _groups(table, samples, settings, algorithm, {name: times[name] for name in wanted})
    return groups


def common_groups(table: Table, samples: RowSamples, settings: StatisticsSettings) -> list[Group]:
    """Groups of the rows that all retrievals of a time of day share, whatever algorithm was chosen there.

    By day N2 and D2, by night all four (the 3.7 um channel, the third of N3 and D3, sees the sun). None where no row
    is shared.
    """
    groups = []
    for time_of_day in TIMES_OF_DAY:
        together = [a for a in ALGORITHMS if time_of_day in ("night", a.time_of_day)]
        eligible = [quality_filter(table, algorithm, "all") for algorithm in together]
        shared = np.all(eligible, axis=0) & samples.decided & _at(samples, time_of_day)
        for algorithm in together if shared.any() else ():
            groups += _groups(table, samples, settings, algorithm, {time_of_day: shared})
    return groups


def _groups(
    table: Table, samples: RowSamples, settings: StatisticsSettings, algorithm: Algorithm, times: dict[str, np.ndarray]
) -> list[Group]:
    difference = differences(table, algorithm)
    masks = fair_masks(table, algorithm, samples, settings.bayes_threshold)
    made = {name: make_sample(difference, samples.scene, rows) for name, rows in times.items()}
    return [Group(algorithm, name, sample, _of_rows(masks, sample.rows)) for name, sample in made.items()]


def _at(samples: RowSamples, time_of_day: str) -> np.ndarray:
    return samples.night == (time_of_day == "night")


def _of_rows(masks: dict[str, FairMask], rows: np.ndarray) -> dict[str, FairMask]:
    return {
        name: FairMask(mask.clear[rows], None if mask.score is None else mask.score[rows])
        for name, mask in masks.items()
    }
