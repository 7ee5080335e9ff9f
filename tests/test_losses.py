"""The loss against hand-computed pixels and against the original's form (clipped probabilities, float64)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask.losses import LOGIT_BOUND, clip_weights, weighted_cross_entropy


def _original(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, positive_weight: float) -> float:
    """Sigmoid, clip, back to a logit, cross entropy: as the original does it, in float64."""
    probability = np.clip(1 / (1 + np.exp(-logits)), 1e-7, 1 - 1e-7)
    pixels = -positive_weight * labels * np.log(probability) - (1 - labels) * np.log1p(-probability)
    return float((weights * pixels).sum() / weights.sum())


@pytest.mark.quick
def test_four_by_four_by_hand() -> None:
    # logit 0 costs ln 2, logit ln 3 (probability 3/4) costs ln 4/3 when cloud and ln 4 when clear
    log3 = np.log(3.0)
    logits = np.array([[0, 0, 0, 0], [0, log3, log3, 0], [0, -log3, -log3, 0], [0, 0, 0, 0]], np.float32)
    labels = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 0, 1], [1, 1, 1, 1]], np.float32)
    weights = np.ones((1, 4, 4, 1), np.float32)
    inner = clip_weights(jnp.asarray(weights), 1)
    total, weight = weighted_cross_entropy(logits.reshape(1, 4, 4, 1), labels.reshape(1, 4, 4, 1), inner, 0.5)
    by_hand = 0.5 * np.log(4 / 3) + np.log(4) + 0.5 * np.log(4) + np.log(4 / 3)
    # 1e-6: a dozen float32 roundings
    assert float(total) == pytest.approx(by_hand, rel=1e-6)
    assert float(weight) == 4.0


def test_agrees_with_the_clipped_probabilities_of_the_original() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=8, size=(3, 8, 8, 1)).astype(np.float32)
    logits[0, 0, :4, 0] = [-100, -16, 16, 100]
    labels = (rng.random(logits.shape) > 0.5).astype(np.float32)
    weights = (rng.random(logits.shape) > 0.3).astype(np.float32)
    for positive_weight in (0.5, 1.0, 2.0):
        total, weight = weighted_cross_entropy(logits, labels, weights, positive_weight)
        expected = _original(*(array.astype(np.float64) for array in (logits, labels, weights)), positive_weight)
        # 2e-6: float32 sums of 192 numbers
        assert float(total / weight) == pytest.approx(expected, rel=2e-6)


def test_gradient_is_that_of_the_formula_and_zero_beyond_the_bound() -> None:
    logits = jnp.array([-20.0, -3.0, 0.0, 3.0, 20.0]).reshape(1, 1, 5, 1)
    ones = jnp.ones_like(logits)
    cloud = jax.grad(lambda z: weighted_cross_entropy(z, ones, ones, 0.5)[0])(logits)
    clear = jax.grad(lambda z: weighted_cross_entropy(z, 0 * ones, ones, 0.5)[0])(logits)
    sigmoid = 1 / (1 + np.exp(-np.array([-3.0, 0.0, 3.0])))
    # 1e-6: float32 exponentials
    np.testing.assert_allclose(cloud.ravel(), [0, *(0.5 * (sigmoid - 1)), 0], atol=1e-6)
    np.testing.assert_allclose(clear.ravel(), [0, *sigmoid, 0], atol=1e-6)


def test_the_worst_pixel_costs_the_bound() -> None:
    wrong = jnp.full((1, 1, 1, 1), 1e9)
    total, _ = weighted_cross_entropy(wrong, jnp.zeros_like(wrong), jnp.ones_like(wrong), 0.5)
    assert float(total) == pytest.approx(LOGIT_BOUND, rel=1e-6)


def test_clip_offset_of_nothing_and_of_all() -> None:
    weights = jnp.arange(32.0).reshape(1, 4, 8, 1)
    np.testing.assert_array_equal(clip_weights(weights, 0), weights)
    np.testing.assert_array_equal(clip_weights(weights, 1)[0, :, :, 0] > 0, np.pad(np.ones((2, 6), bool), 1))
    np.testing.assert_array_equal(clip_weights(weights, 2), jnp.zeros_like(weights))


def test_pixels_without_weight_do_not_count() -> None:
    logits = jnp.array([50.0, 0.0]).reshape(1, 1, 2, 1)
    total, weight = weighted_cross_entropy(logits, jnp.zeros_like(logits), jnp.array([0.0, 1.0]).reshape(1, 1, 2, 1), 1)
    assert float(total) == pytest.approx(np.log(2), rel=1e-6)
    assert float(weight) == 1.0
