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
        difference, masks = (
            differences(table, algorithm),
            fair_masks(table, algorithm, samples, settings.bayes_threshold),
        )
        for time_of_day in TIMES_OF_DAY:
            now = eligible & (samples.night == (time_of_day == "night"))
            if now.any() or time_of_day == algorithm.time_of_day:
                sample = make_sample(difference, samples.scene, now)
                groups.append(Group(algorithm, time_of_day, sample, _of_rows(masks, sample.rows)))
    return groups


def _of_rows(masks: dict[str, FairMask], rows: np.ndarray) -> dict[str, FairMask]:
    return {
        name: FairMask(mask.clear[rows], None if mask.score is None else mask.score[rows])
        for name, mask in masks.items()
    }
