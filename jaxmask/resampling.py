"""Resamples of whole scenes: how often each counts, and the intervals that follow.

Rows of one scene share its atmosphere, its buoys and its mistakes; drawn row by row they would pass for independent and
the intervals would be far too short. So scenes are drawn, with replacement, as many as there are, and all rows of a
scene come with it (the cluster bootstrap: Davison & Hinkley 1997, Bootstrap Methods and their Application, 3.8).
"""

from __future__ import annotations

import numpy as np

REPLICATES = 2000
LEAST_SCENES = 10
LEVEL = 0.95


def multiplicities(scenes: int, replicates: int = REPLICATES, seed: int = 0) -> np.ndarray:
    """How often each of `scenes` scenes counts in each resample: (replicates, scenes) int32, rows sum to `scenes`."""
    drawn = np.random.default_rng(seed).integers(0, max(scenes, 1), (replicates, scenes))
    cells = drawn + scenes * np.arange(replicates)[:, None]
    return np.bincount(cells.ravel(), minlength=replicates * scenes).reshape(replicates, scenes).astype(np.int32)


def interval(replicates: np.ndarray, level: float = LEVEL) -> list[float] | None:
    """The central `level` interval of (R,) float64 by percentiles, over the resamples that have the statistic.

    None if none has it (NaN).
    """
    known = replicates[~np.isnan(replicates)]
    if not known.size:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return [float(low), float(high)]


def why_no_interval(scenes: int, replicates: int) -> str | None:
    """Why a statistic of `scenes` scenes has no interval; None if it has one."""
    if replicates == 0:
        return "no resamples were asked for"
    if scenes < LEAST_SCENES:
        return f"{scenes} scene{'s' * (scenes != 1)} with rows, fewer than {LEAST_SCENES}"
    return None


def scene_sums(values: np.ndarray, scene: np.ndarray, scenes: int) -> np.ndarray:
    """Sums of (N,) values over the rows of each scene: (scenes,) float64."""
    return np.bincount(scene, weights=values, minlength=scenes)
