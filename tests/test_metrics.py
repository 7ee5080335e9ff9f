"""Sums and scores against a hand-counted table."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask.metrics import ZERO, Sums, add, batch_sums, summarise

#                     tp   fp   fn   tn  q = 0.5 is clear  without weight
LOGITS = np.array([[1.0, 2.0, -1.0, -3.0, 0.0, 5.0, -5.0, 0.0]], np.float32)
LABELS = np.array([[1, 0, 1, 0, 0, 0, 1, 1]], np.float32)
WEIGHTS = np.array([[1, 1, 1, 1, 1, 0, 0, 0]], np.float32)


def _sums(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Sums:
    shaped = [jnp.asarray(array).reshape(1, 1, -1, 1) for array in (logits, labels, weights)]
    return batch_sums(*shaped, jnp.float32(2.5), jnp.float32(5.0))


@pytest.mark.quick
def test_counts_by_hand() -> None:
    sums = _sums(LOGITS, LABELS, WEIGHTS)
    assert tuple(map(float, sums)) == (2.5, 5.0, 1, 1, 1, 2)
    assert summarise(sums) == {
        "loss": 0.5,
        "accuracy": 3 / 5,
        "precision": 1 / 2,
        "recall": 1 / 2,
        "f1": 2 / 4,
        "iou": 1 / 3,
        "weight": 5.0,
    }


def test_counts_are_integers_beyond_float32() -> None:
    # 2**24 + 1 is the first count that float32 can't hold
    many = jnp.ones((1, 1, 2**24 + 1, 1))
    sums = jax.jit(batch_sums)(many, many, many, 0.0, 0.0)
    assert sums.true_positive.dtype == jnp.int32
    assert int(sums.true_positive) == 2**24 + 1


def test_sums_add_up_over_steps() -> None:
    steps = [_sums(LOGITS[:, at], LABELS[:, at], WEIGHTS[:, at]) for at in (slice(0, 3), slice(3, 8))]
    total = add(add(ZERO, steps[0]), steps[1])
    assert all(type(value) in (int, float) for value in total)
    assert total == (5.0, 10.0, 1, 1, 1, 2)


def test_nothing_counted_gives_none_not_nan() -> None:
    assert summarise(ZERO) == {
        "loss": None, "accuracy": None, "precision": None, "recall": None, "f1": None, "iou": None, "weight": 0.0,
    }  # fmt: skip
    clear = summarise(Sums(1.0, 4.0, 0, 0, 0, 4))
    assert clear["accuracy"] == 1.0
    assert clear["precision"] is clear["recall"] is clear["iou"] is clear["f1"] is None
