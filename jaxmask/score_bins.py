"""Counts of pixels by the network's output in fixed bins: all that curves, areas and calibration need, and additive.

Bins are equal steps of the logit, so that they are as fine near 0 and 1, where outputs crowd, as in the middle.
"""

from __future__ import annotations

import numpy as np

BINS = 4096
LARGEST_LOGIT = 16.0  # float32 knows no output q nearer to 1 than 6e-8, logit 16.6
EDGES = np.linspace(-LARGEST_LOGIT, LARGEST_LOGIT, BINS + 1)
CENTRES = (EDGES[:-1] + EDGES[1:]) / 2  # logits


def logit(values: np.ndarray) -> np.ndarray:
    """Return ln(v / (1 - v)) of values from 0 to 1, float64 of the same shape, cut to +-LARGEST_LOGIT."""
    exact = np.asarray(values, np.float64)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(exact) - np.log1p(-exact), -LARGEST_LOGIT, LARGEST_LOGIT)


def bin_index(values: np.ndarray) -> np.ndarray:
    """The bin of each output q or P from 0 to 1, of any shape: int64, 0 to BINS - 1; BINS / 2 begins at 0.5."""
    steps = (logit(values) + LARGEST_LOGIT) * (BINS / (2 * LARGEST_LOGIT))
    return np.minimum(steps.astype(np.int64), BINS - 1)


def count_bins(values: np.ndarray, target: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Count the pixels where `counted`, by output and target: (BINS, 2) int64, column 0 clear, 1 cloud.

    values: outputs q or P from 0 to 1, float; target, counted: bool; all of one shape. Sums of such counts are the
    counts of all.
    """
    index = bin_index(values[counted]) * 2 + target[counted]
    return np.bincount(index, minlength=2 * BINS).reshape(BINS, 2)
