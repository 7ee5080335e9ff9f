"""Scores by hand on 4 x 4 images."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.scores import Counts, corrections, is_measured, shares


@pytest.mark.quick
def test_shares_by_hand() -> None:
    assert shares(Counts(5, 2, 1, 6), "accuracy") == {
        "count": 14,
        "true_positive": 5,
        "false_positive": 2,
        "false_negative": 1,
        "true_negative": 6,
        "accuracy": 11 / 14,
        "precision": 5 / 7,
        "recall": 5 / 6,
        "missed_cloud": 1 / 6,
        "false_alarms": 2 / 8,
        "f1": 10 / 13,
        "iou": 5 / 8,
        "majority": 8 / 14,
        "all_cloud": 6 / 14,
        "all_clear": 8 / 14,
        "all_cloud_f1": 12 / 20,  # as shares() of the mask that is all cloud: 2 * 6 / (2 * 6 + 8)
    }
    assert shares(Counts(6, 8, 0, 0), "accuracy")["f1"] == 12 / 20


def test_nothing_has_no_share() -> None:
    none = shares(Counts(), "agreement")
    assert none.pop("count") == 0
    assert [none.pop(name) for name in Counts._fields] == [0] * 4
    assert set(none.values()) == {None}
    assert shares(Counts(true_negative=3), "agreement")["recall"] is None
    assert shares(Counts(true_negative=3), "agreement")["agreement"] == 1.0


@pytest.mark.quick
def test_corrections_by_hand() -> None:
    truth = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    label = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    cloud = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    # The label errs at (0,2) (0,3) (1,0), missed, and (1,2) (2,0), false alarms; of these the mask has right
    # (0,2) (0,3) (1,2). Of the 11 right labels it spoils (0,1), (2,1) and (2,2).
    outcomes = np.zeros((2, 2, 2), int)
    np.add.at(outcomes, (truth, label, cloud), 1)
    assert corrections(outcomes) == {
        "label_errors": 5,
        "corrected": 3,
        "corrected_share": 3 / 5,
        "right_labels": 11,
        "spoiled": 3,
        "spoiled_share": 3 / 11,
    }
    assert corrections(np.zeros((2, 2, 2), int))["corrected_share"] is None


def test_counts_are_exact_beyond_float32() -> None:
    assert Counts(2**24 + 1, 1, 0, 3).total == 2**24 + 5


def test_a_measured_pixel_has_both_window_channels() -> None:
    measured = np.array([0b111111111, 0b101111111, 0b011111111, 0b110000000], np.uint16)
    assert is_measured(measured).tolist() == [True, False, False, True]
