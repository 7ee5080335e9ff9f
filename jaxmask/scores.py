"""How well a cloud mask agrees with a label or with the truth: exact counts of pixels, and the shares they give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# `measured` of a shard holds bit c - 1 for channel Sc.
THERMAL_BITS = (1 << (8 - 1)) | (1 << (9 - 1))


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


def shares(counts: Counts, right: str) -> dict[str, Any]:
    """The counts and what follows from them; None where there is nothing to divide by.

    `right` names the share of pixels where mask and target agree ("agreement" with a label, "accuracy" against truth).
    missed_cloud: of the target's cloud, what the mask calls clear (1 - recall); false_alarms: of the target's clear
    pixels, what the mask calls cloud. Then what masks would get that know nothing: all_cloud and all_clear the share
    right, majority the greater of these; all_cloud_f1 (its IoU is its share right; an all-clear mask's F1, IoU are 0).
    """
    hit, false_alarm, missed, clear = counts
    total, cloud = counts.total, hit + missed
    return {
        "count": total,
        **counts._asdict(),
        right: share(hit + clear, total),
        "precision": share(hit, hit + false_alarm),
        "recall": share(hit, cloud),
        "missed_cloud": share(missed, cloud),
        "false_alarms": share(false_alarm, false_alarm + clear),
        "f1": share(2 * hit, 2 * hit + false_alarm + missed),
        "iou": share(hit, hit + false_alarm + missed),
        "majority": share(max(cloud, total - cloud), total),
        "all_cloud": share(cloud, total),
        "all_clear": share(total - cloud, total),
        "all_cloud_f1": share(2 * cloud, total + cloud),
    }


def corrections(outcomes: np.ndarray) -> dict[str, Any]:
    """How the mask treats the label's errors, from pixels by truth, label, mask, (2, 2, 2), each 0 clear, 1 cloud.

    corrected: of the pixels where the label is wrong, those where the mask is right; spoiled: of the pixels where the
    label is right, those where the mask is wrong. Their shares are None where there is no such pixel.
    """
    wrong, right = outcomes[(0, 1), (1, 0)], outcomes[(0, 1), (0, 1)]  # (2, 2): by truth, mask
    errors, corrected = int(wrong.sum()), int(np.trace(wrong))
    rights, spoiled = int(right.sum()), int(right.sum() - np.trace(right))
    return {
        "label_errors": errors,
        "corrected": corrected,
        "corrected_share": share(corrected, errors),
        "right_labels": rights,
        "spoiled": spoiled,
        "spoiled_share": share(spoiled, rights),
    }


def is_measured(measured: np.ndarray) -> np.ndarray:
    """Where S8 and S9 are measurements (not cosmetic), bool; measured: uint16, as a shard's."""
    return (measured & THERMAL_BITS) == THERMAL_BITS


def share(part: int, whole: int) -> float | None:
    """part / whole, None of nothing."""
    return part / whole if whole else None
