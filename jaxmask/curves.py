"""ROC and precision-recall curves and the areas below them, from counts in bins of output; ties count as ties.

Exact for outputs rounded to their bin: pixels of one bin can't be told apart, as scikit-learn treats equal scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxmask.score_bins import BINS, EDGES

POINTS_EVERY = 32  # bins, a quarter of a logit


def roc_area(bins: np.ndarray) -> float | None:
    """Share of the pairs of a cloud and a clear pixel whose outputs stand in that order, ties counted half; or None.

    bins: (N, 2) counts, clear and cloud, by rising output. Hanley and McNeil 1982, Radiology 143: this is the area.
    """
    clear, cloud = np.asarray(bins, np.float64).T
    below = np.cumsum(clear) - clear
    pairs = clear.sum() * cloud.sum()
    return float((cloud * (below + clear / 2)).sum() / pairs) if pairs else None


def precision_recall_area(bins: np.ndarray) -> float | None:
    """Average precision: the sum over thresholds, from the highest, of the gain in recall times the precision there.

    bins: as roc_area. As scikit-learn's average_precision_score; None without cloud. A constant output's area is the
    share of cloud.
    """
    clear, cloud = np.asarray(bins, np.float64)[::-1].T
    called = np.cumsum(clear + cloud)
    precision = np.divide(np.cumsum(cloud), called, out=np.zeros_like(called), where=called > 0)
    return float((cloud * precision).sum() / cloud.sum()) if cloud.sum() else None


def curve(bins: np.ndarray) -> dict[str, Any]:
    """Points of both curves, by falling threshold, as lists: each a threshold on the stored value and what it gives.

    bins: (BINS, 2) counts. A pixel is cloud from the threshold on: true_positive of all `cloud` pixels (recall), and
    false_positive of all `clear` ones. Points that repeat the one before are left out.
    """
    counts = np.asarray(bins, np.int64)
    above = np.vstack([counts[::-1].cumsum(axis=0)[::-1], np.zeros((1, 2), np.int64)])  # of the bins from each edge on
    at = np.arange(BINS, -1, -POINTS_EVERY)
    at = at[np.r_[True, (np.diff(above[at], axis=0) != 0).any(axis=1)]]
    thresholds = 1 / (1 + np.exp(-EDGES[at]))
    return {
        "threshold": [float(f"{value:.7g}") for value in thresholds],
        "true_positive": above[at, 1].tolist(),
        "false_positive": above[at, 0].tolist(),
        "cloud": int(counts[:, 1].sum()),
        "clear": int(counts[:, 0].sum()),
    }
