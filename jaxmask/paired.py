"""Paired differences: one mask's statistics minus another's on the same eligible rows and the same resamples.

Both masks meet the same scenes in every resample, so what the scenes have in common cancels, and the interval of the
difference is far shorter than the two masks' own intervals would suggest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxmask.difference_statistics import subtract
from jaxmask.judged_masks import Judged, told_intervals
from jaxmask.matchup_groups import Group

PAIRS = (("unet", "bayes"), ("unet", "bayes_nadir"), ("unet", "bayes_half"), ("unet_bayes_oblique", "bayes"))
"""Of each pair the first minus the second."""


def paired_records(
    group: Group, judged: Mapping[str, Judged], kept: Mapping[str, np.ndarray], at: str
) -> list[dict[str, Any]]:
    """One record for each pair of PAIRS that was judged: `differences`, their intervals, rows kept by both or by one.

    kept: mask -> (n,) bool; at: how the masks' thresholds were chosen, "native" or "equal_coverage".
    """
    return [
        {"mask": first, "minus": second, "at": at, **group.names}
        | _counts(kept[first], kept[second])
        | _difference(judged[first], judged[second])
        for first, second in PAIRS
        if first in judged and second in judged
    ]


def _counts(first: np.ndarray, second: np.ndarray) -> dict[str, int]:
    rows = {"both": first & second, "only_first": first & ~second, "only_second": second & ~first}
    return {"eligible": len(first)} | {name: int(found.sum()) for name, found in rows.items()}


def _difference(first: Judged, second: Judged) -> dict[str, Any]:
    why = first.no_interval or second.no_interval
    resampled = {} if why else {name: first.replicates[name] - second.replicates[name] for name in first.replicates}
    scenes = {"scenes": min(first.scenes, second.scenes)}
    return {"differences": subtract(first.estimates, second.estimates)} | scenes | told_intervals(resampled, why)
