"""Intervals by resampling scenes: the pixels of one scene are no independent samples, the scenes are.

Everything is computed under weights (R + 1, S): row 0 counts each scene once, and gives the estimate; each other row
counts scenes as often as a draw of S among S, with replacement, did. All masks see the same draws, so a difference of
two masks has the interval of scene-paired differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxmask.resampling import LEAST_SCENES, REPLICATES, interval


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; None where there is nothing to divide by, or too few scenes for an interval."""

    value: float | None
    low: float | None
    high: float | None


def draws(scenes: int, seed: int, replicates: int = REPLICATES) -> np.ndarray:
    """The weights (replicates + 1, scenes) float64."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(scenes, np.full(scenes, 1 / scenes), size=replicates)
    return np.concatenate([np.ones((1, scenes)), drawn])


def share(part: np.ndarray, whole: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum of part (S,) over that of whole (S,): (R + 1,), NaN where the latter is 0."""
    return ratio(weights @ part, weights @ whole)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def estimate(values: np.ndarray, scenes: int) -> Estimate:
    """Of values (R + 1,), the first being the estimate; `scenes`: those that hold anything of what is estimated."""
    if np.isnan(values[0]):
        return Estimate(None, None, None)
    found = interval(values[1:]) if scenes >= LEAST_SCENES else None
    return Estimate(float(values[0]), *(found or (None, None)))
