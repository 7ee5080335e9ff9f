"""The training loss: weighted cross entropy from logits over the inner, valid pixels of each patch."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

POSITIVE_WEIGHT = 0.5  # of the original, on the cloud term
CLIP_OFFSET = 15  # pixels of the original, left out on every side of a patch

# The original clips probabilities to [1e-7, 1 - 1e-7] (Keras' epsilon) before it takes their logit.
PROBABILITY_EPSILON = 1e-7
LOGIT_BOUND = math.log((1 - PROBABILITY_EPSILON) / PROBABILITY_EPSILON)


def clip_weights(weights: jax.Array, clip_offset: int) -> jax.Array:
    """Set the outer `clip_offset` pixels on every side of weights (B, H, W, 1) to 0; an offset of 0 changes nothing."""
    _, height, width, _ = weights.shape
    rows = _inside(height, clip_offset)[None, :, None, None]
    columns = _inside(width, clip_offset)[None, None, :, None]
    return weights * (rows & columns).astype(weights.dtype)


def weighted_cross_entropy(
    logits: jax.Array, labels: jax.Array, weights: jax.Array, positive_weight: float
) -> tuple[jax.Array, jax.Array]:
    """Sum over pixels of weight * cross entropy, and the sum of the weights: scalars; loss = first / second.

    logits, labels (0 or 1), weights: (B, H, W, 1), all float32 or all float64, as are the sums. A pixel of
    label y and logit z costs positive_weight * y * softplus(-z) + (1 - y) * softplus(z): TensorFlow's
    `weighted_cross_entropy_with_logits`.

    The original clips the probability to [1e-7, 1 - 1e-7] and takes its logit back; bounding z at
    +-log((1 - 1e-7) / 1e-7) = +-16.118 is the same in exact arithmetic, in value and (0 beyond) in gradient, without
    losing digits on the way: in float32 the original's upper bound rounds to 15.942, so that only pixels of
    z > 15.9 differ.
    """
    bounded = jnp.clip(logits, -LOGIT_BOUND, LOGIT_BOUND)
    cloud = positive_weight * labels * jax.nn.softplus(-bounded)
    clear = (1.0 - labels) * jax.nn.softplus(bounded)
    return jnp.sum(weights * (cloud + clear)), jnp.sum(weights)


def _inside(length: int, offset: int) -> jax.Array:
    index = jnp.arange(length)
    return (index >= offset) & (index < length - offset)
