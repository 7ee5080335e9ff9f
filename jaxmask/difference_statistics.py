"""Statistics of satellite minus buoy where a mask says clear, of the rows themselves and of every resample of scenes.

Cold tail: the share of differences below -1 K, which undetected cloud leaves (cloud is colder than the sea); warm
tail: above +1 K. Relative tails are told from the median where Bayes says clear, instead of from 0, since a skin
temperature lies some 0.15 K below a buoy's and a retrieval may be biased as a whole. In a resample the Bayes median is
that resample's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jaxmask.matchups import RSD_PER_MAD
from jaxmask.order_statistics import order_statistics, sorted_sample
from jaxmask.resampling import scene_sums

TAIL_K = 1.0
STATISTICS = (
    "coverage",
    "median",
    "rsd",
    "mean",
    "sd",
    "cold_tail",
    "cold_tail_relative",
    "warm_tail",
    "warm_tail_relative",
)

Estimates = dict[str, float | None]
Replicates = dict[str, np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Eligible rows in the order of their differences.

    rows: (n,) int64, row numbers of the table; difference: (n,) float64 K, ascending, finite; scene: (n,) int64 from 0
    to scenes - 1, each of which has a row.
    """

    rows: np.ndarray
    difference: np.ndarray
    scene: np.ndarray
    scenes: int


def make_sample(difference: np.ndarray, scene: np.ndarray, eligible: np.ndarray) -> Sample:
    """Sort the `eligible` (N,) bool rows by difference (N,) float64; scenes (N,) int without any are left out."""
    rows = np.flatnonzero(eligible)
    rows = rows[np.argsort(difference[rows], kind="stable")]
    names, number = np.unique(scene[rows], return_inverse=True)
    return Sample(rows, difference[rows], number, len(names))


def estimates(sample: Sample, kept: np.ndarray, bayes_median: float | None) -> Estimates:
    """STATISTICS of the kept (n,) bool rows of the sample, in K and shares; None where there is none.

    sd has n - 1 degrees of freedom, None for a single row; tails are shares of the kept rows, strictly beyond 1 K.
    """
    values = sample.difference[kept]
    count = len(values)
    if not count:
        return dict.fromkeys(STATISTICS) | {"coverage": 0.0 if len(kept) else None}
    median = float((values[(count - 1) // 2] + values[count // 2]) / 2)
    about = np.nan if bayes_median is None else bayes_median
    relative = (None, None) if bayes_median is None else _tails(values, about)
    cold, warm = _tails(values, 0.0)
    return {
        "coverage": count / len(kept),
        "median": median,
        "rsd": float(RSD_PER_MAD * np.median(np.abs(values - median))),
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if count > 1 else None,
        "cold_tail": cold,
        "cold_tail_relative": relative[0],
        "warm_tail": warm,
        "warm_tail_relative": relative[1],
    }


def replicates(
    sample: Sample, kept: np.ndarray, multiplicity: np.ndarray, bayes_median: np.ndarray | None = None
) -> Replicates:
    """STATISTICS of each resample, (R,) float64, NaN where a resample has none; multiplicity: (R, scenes) int.

    bayes_median: (R,) float64, by default the median of the kept rows themselves (that is, they are Bayes-clear).
    """
    ordered = sorted_sample(sample.difference, sample.scene, kept, sample.scenes)
    found = order_statistics(ordered, multiplicity, bayes_median, TAIL_K)
    values, scene = sample.difference[kept], sample.scene[kept]
    # About a middle value, so that squares lose nothing.
    centre = float(values.mean()) if values.size else 0.0
    offset = values - centre
    columns = [offset, offset**2, values < -TAIL_K, values > TAIL_K]
    sums = [scene_sums(column, scene, sample.scenes) for column in columns]
    eligible = np.bincount(sample.scene, minlength=sample.scenes)
    first, second, cold, warm, rows = (multiplicity.astype(np.float64) @ np.stack([*sums, eligible], axis=1)).T
    total = found.total.astype(np.float64)
    known = ~np.isnan(found.median if bayes_median is None else bayes_median)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(second - first**2 / total, 0) / (total - 1)
        return {
            "coverage": total / rows,
            "median": found.median,
            "rsd": RSD_PER_MAD * found.deviation,
            "mean": np.where(total > 0, centre + first / total, np.nan),
            "sd": np.where(total > 1, np.sqrt(variance), np.nan),
            "cold_tail": cold / total,
            "cold_tail_relative": np.where(known, found.colder / total, np.nan),
            "warm_tail": warm / total,
            "warm_tail_relative": np.where(known, found.warmer / total, np.nan),
        }


def subtract(first: Mapping[str, float | None], second: Mapping[str, float | None]) -> Estimates:
    """first - second, statistic by statistic; None where either has none."""
    return {name: _minus(first[name], second[name]) for name in STATISTICS}


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _tails(values: np.ndarray, about: float) -> tuple[float, float]:
    """Shares of ascending `values` more than TAIL_K below and above `about`."""
    cold = np.searchsorted(values, about - TAIL_K, side="left")
    warm = len(values) - np.searchsorted(values, about + TAIL_K, side="right")
    return float(cold / len(values)), float(warm / len(values))
