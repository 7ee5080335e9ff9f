"""Whether a probability of cloud is one: how often there is cloud where it says so, from counts by bins of logit.

All of a bin's pixels are taken to have the probability of its centre. Bins of score_bins.py are 1/128 wide in the
logit, so that a probability is then wrong by at most slope / 1024, and means, where errors cancel, by far less.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from jaxmask.probability import LogitLine
from jaxmask.score_bins import CENTRES

RELIABILITY_BINS = 15  # of equal width in P, as Guo et al. 2017 (arXiv:1706.04599)


def reliability(counts: np.ndarray, line: LogitLine, logits: np.ndarray = CENTRES) -> dict[str, Any]:
    """Return the reliability diagram of P = sigmoid(slope * logit + intercept) and its summaries, for JSON.

    counts: (N, 2) int, pixels of each bin that are clear and cloudy; logits: (N,), the bins' centres.
    bins: of 15 equal intervals of P those that hold pixels, with `low` and `high`, `count`, mean `probability` and
    `cloud_share`. expected_calibration_error: the mean over pixels of |cloud_share - probability| of their interval
    (Guo et al. 2017, arXiv:1706.04599, with P(cloud) for the confidence). brier: the mean of (P - y)**2, y 1 for
    cloud (Brier 1950, 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2). Both None without pixels.
    """
    probability = expit(line.slope * np.asarray(logits, np.float64) + line.intercept)
    clear, cloud = np.asarray(counts, np.float64).T
    interval = np.minimum((probability * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(interval, values, RELIABILITY_BINS)

    pixels, clouds, hoped = summed(clear + cloud), summed(cloud), summed((clear + cloud) * probability)
    total = pixels.sum()
    squares = float(clear @ probability**2 + cloud @ (1 - probability) ** 2)
    return {
        "count": int(total),
        "expected_calibration_error": float(np.abs(clouds - hoped).sum() / total) if total else None,
        "brier": squares / float(total) if total else None,
        "bins": [
            {
                "low": index / RELIABILITY_BINS,
                "high": (index + 1) / RELIABILITY_BINS,
                "count": int(pixels[index]),
                "probability": float(hoped[index] / pixels[index]),
                "cloud_share": float(clouds[index] / pixels[index]),
            }
            for index in np.flatnonzero(pixels).tolist()
        ],
    }
