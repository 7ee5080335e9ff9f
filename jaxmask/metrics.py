"""Scores as sums over pixels, divided once at the end, so that they add up over steps, devices and hosts."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

# As the original: q > 0.5 is logit > 0, which needs no sigmoid.
CLOUD_LOGIT = 0.0


class Sums(NamedTuple):
    """Sums over the pixels that count: scalars of one step (on the device), or Python numbers (`add`).

    loss and weight are float32 or float64, the counts int32: exact for any batch below 2**31 pixels, where
    float32 would stop counting at 2**24 (256 patches of 256 x 256).
    """

    loss: Any
    weight: Any
    true_positive: Any
    false_positive: Any
    false_negative: Any
    true_negative: Any


ZERO = Sums(0.0, 0.0, 0, 0, 0, 0)


def batch_sums(
    logits: jax.Array, labels: jax.Array, weights: jax.Array, loss_sum: jax.Array, weight_sum: jax.Array
) -> Sums:
    """Count, over pixels of weight > 0, the four outcomes of "probability > 0.5 is cloud".

    logits, labels (0 or 1), weights: (B, H, W, 1) of one float type; loss_sum, weight_sum: scalars of the loss.
    """
    counted, predicted, cloud = weights > 0, logits > CLOUD_LOGIT, labels > 0
    return Sums(
        loss=loss_sum,
        weight=weight_sum,
        true_positive=_count(counted & predicted & cloud),
        false_positive=_count(counted & predicted & ~cloud),
        false_negative=_count(counted & ~predicted & cloud),
        true_negative=_count(counted & ~predicted & ~cloud),
    )


def add(a: Sums, b: Sums) -> Sums:
    """Add two sums in Python numbers (double precision, unbounded counts); fetches device scalars."""
    return Sums(*(left + right for left, right in zip(_on_host(a), _on_host(b), strict=True)))


def summarise(sums: Sums) -> dict[str, float | None]:
    """Loss, accuracy, precision, recall, F1, IoU of cloud, and weight; None where nothing was counted (0 / 0)."""
    loss, weight, tp, fp, fn, tn = _on_host(sums)
    return {
        "loss": _ratio(loss, weight),
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "iou": _ratio(tp, tp + fp + fn),
        "weight": weight,
    }


def _count(mask: jax.Array) -> jax.Array:
    return jnp.sum(mask, dtype=jnp.int32)


def _on_host(sums: Sums) -> Sums:
    return Sums(float(sums.loss), float(sums.weight), *(int(count) for count in sums[2:]))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
