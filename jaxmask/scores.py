"""How well a cloud mask agrees with a label or with the truth: exact counts of pixels, and the shares they give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from preprocess.level1 import CONFIDENCE_BITS

# `measured` of a shard holds bit c - 1 for channel Sc.
THERMAL_BITS = (1 << (8 - 1)) | (1 << (9 - 1))

STRATA = ("all", "day", "night", "sea", "land")


class Counts(NamedTuple):
    """Pixels by what the mask says (positive: cloud) and whether that is so."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    @property
    def total(self) -> int:
        """All pixels counted."""
        return sum(self)


def confusion(cloud: np.ndarray, target: np.ndarray, counted: np.ndarray) -> Counts:
    """Count the pixels where `counted`; cloud, target, counted: bool of one shape. Exact, Python integers."""
    hit, said, are, total = (
        int(np.count_nonzero(pixels & counted)) for pixels in (cloud & target, cloud, target, counted)
    )
    return Counts(hit, said - hit, are - hit, total - said - are + hit)


def add(counts: Iterable[Counts]) -> Counts:
    """Sum of counts."""
    return Counts(*map(sum, zip(Counts(), *counts, strict=True)))


def shares(counts: Counts, right: str) -> dict[str, Any]:
    """The counts and what follows from them; None where there is nothing to divide by.

    `right` names the share of pixels where mask and target agree ("agreement" with a label, "accuracy" against truth).
    majority: the share that an all-cloud or all-clear mask would get, whichever is better.
    """
    hit, false_alarm, missed, clear = counts
    total = counts.total
    return {
        "count": total,
        **counts._asdict(),
        right: _share(hit + clear, total),
        "precision": _share(hit, hit + false_alarm),
        "recall": _share(hit, hit + missed),
        "f1": _share(2 * hit, 2 * hit + false_alarm + missed),
        "iou": _share(hit, hit + false_alarm + missed),
        "majority": _share(max(hit + missed, false_alarm + clear), total),
    }


def strata(flags: np.ndarray) -> dict[str, np.ndarray]:
    """Where each of STRATA is, bool, from `flags` (H, W) uint16, confidence_in.

    Night is every pixel without the day bit, twilight included. Where no flag is set at all (the original's shards
    have none) only "all" is there.
    """
    everywhere = np.ones(flags.shape, bool)
    if not flags.any():
        return {"all": everywhere}
    day, sea, land = (flags & CONFIDENCE_BITS[name] > 0 for name in ("day", "ocean", "land"))
    return {"all": everywhere, "day": day, "night": ~day, "sea": sea, "land": land}


def countable(valid: np.ndarray, label_valid: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Pixels that count: valid, labelled, and S8 and S9 measured there (not cosmetic); all (H, W), returns bool."""
    return (valid > 0) & (label_valid > 0) & ((measured & THERMAL_BITS) == THERMAL_BITS)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
