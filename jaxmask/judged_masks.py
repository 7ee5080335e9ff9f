"""One set of kept rows of a group judged: its estimates, its resamples, and the record that tells both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxmask.difference_statistics import Estimates, Replicates, Sample, estimates, replicates
from jaxmask.matchup_groups import Group
from jaxmask.resampling import interval, why_no_interval

BAYES = "bayes"


@dataclass(frozen=True)
class Judged:
    """count kept rows of `scenes` scenes; their estimates; replicates of these, empty if `no_interval` says why."""

    count: int
    scenes: int
    estimates: Estimates
    replicates: Replicates
    no_interval: str | None


@dataclass(frozen=True)
class Judge:
    """Judges any kept rows of one group on the same resamples; bayes is the reference of the relative tails."""

    sample: Sample
    multiplicity: np.ndarray
    bayes: Judged

    def judge(self, kept: np.ndarray) -> Judged:
        """The statistics of the kept (n,) bool rows."""
        median = self.bayes.replicates.get("median", np.full(len(self.multiplicity), np.nan))
        return _judged(self.sample, kept, self.multiplicity, self.bayes.estimates["median"], median)


def make_judge(group: Group, multiplicity: np.ndarray) -> Judge:
    """A judge of `group` by the resamples (R, scenes) int; its rows where Bayes says clear are judged first."""
    sample, kept = group.sample, group.masks[BAYES].clear
    own = estimates(sample, kept, None)["median"]
    return Judge(sample, multiplicity, _judged(sample, kept, multiplicity, own, None))


def _judged(
    sample: Sample, kept: np.ndarray, multiplicity: np.ndarray, about: float | None, abouts: np.ndarray | None
) -> Judged:
    scenes = int(np.count_nonzero(np.bincount(sample.scene[kept], minlength=sample.scenes)))
    why = why_no_interval(scenes, len(multiplicity))
    resampled = {} if why else replicates(sample, kept, multiplicity, abouts)
    return Judged(int(kept.sum()), scenes, estimates(sample, kept, about), resampled, why)


def record(group: Group, mask: str, judged: Judged) -> dict[str, Any]:
    """The judgement of one mask: names, counts, estimates and their intervals."""
    names = {"mask": mask, **group.names, "count": judged.count, "eligible": len(group.sample.rows)}
    return (
        names | judged.estimates | scene_counts(judged, group) | told_intervals(judged.replicates, judged.no_interval)
    )


def scene_counts(judged: Judged, group: Group) -> dict[str, int]:
    """The scenes with a kept row, and those that are resampled."""
    return {"scenes": judged.scenes, "eligible_scenes": group.sample.scenes}


def told_intervals(replicates: Mapping[str, np.ndarray], why_not: str | None) -> dict[str, Any]:
    """Intervals by statistic; None, and why, where there are none."""
    if why_not:
        return {"intervals": None, "no_interval_because": why_not}
    return {"intervals": {name: interval(values) for name, values in replicates.items()}}
