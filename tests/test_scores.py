"""Scores by hand on 4 x 4 images."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.scores import STRATA, Counts, add, confusion, countable, shares, strata

CLOUD = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
TARGET = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0]], bool)
COUNTED = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]], bool)


@pytest.mark.quick
def test_confusion_by_hand() -> None:
    # Right cloud: (0,0) (1,0) (2,0) (2,1) (2,2); false alarm: (0,1) (2,3); missed: (1,1) (3,2); of 15 pixels.
    assert confusion(CLOUD, TARGET, COUNTED) == Counts(5, 2, 2, 6)
    assert confusion(CLOUD, TARGET, np.zeros((4, 4), bool)) == Counts()
    assert all(type(count) is int for count in confusion(CLOUD, TARGET, COUNTED))


def test_shares_by_hand() -> None:
    assert shares(Counts(5, 2, 2, 6), "accuracy") == {
        "count": 15,
        "true_positive": 5,
        "false_positive": 2,
        "false_negative": 2,
        "true_negative": 6,
        "accuracy": 11 / 15,
        "precision": 5 / 7,
        "recall": 5 / 7,
        "f1": 10 / 14,
        "iou": 5 / 9,
        "majority": 8 / 15,
    }
    none = shares(Counts(), "agreement")
    assert none["count"] == 0
    assert [none[name] for name in ("agreement", "precision", "recall", "f1", "iou", "majority")] == [None] * 6
    assert shares(Counts(true_negative=3), "agreement")["recall"] is None
    assert shares(Counts(true_negative=3), "agreement")["agreement"] == 1.0


def test_adding_is_exact_beyond_float32() -> None:
    many = Counts(2**24 + 1, 1, 0, 3)
    assert add([many, many, Counts(1, 2, 3, 4)]) == Counts(2**25 + 3, 4, 3, 10)
    assert add([]) == Counts()


def test_strata_by_hand() -> None:
    flags = np.array([[2 | 1024, 2], [8 | 1024, 1 | 2048]], np.uint16)
    found = strata(flags)
    assert tuple(found) == STRATA
    assert found["all"].tolist() == [[True, True], [True, True]]
    assert found["day"].tolist() == [[True, False], [True, False]]
    assert found["night"].tolist() == [[False, True], [False, True]]
    assert found["sea"].tolist() == [[True, True], [False, False]]
    assert found["land"].tolist() == [[False, False], [True, False]]
    assert tuple(strata(np.zeros((2, 2), np.uint16))) == ("all",)


def test_only_valid_labelled_measured_pixels_count() -> None:
    valid = np.array([1, 0, 1, 1, 1], np.uint8)
    label_valid = np.array([1, 1, 0, 1, 1], np.uint8)
    measured = np.array([0b111111111, 0b111111111, 0b111111111, 0b101111111, 0b110000000], np.uint16)
    assert countable(valid, label_valid, measured).tolist() == [True, False, False, False, True]
