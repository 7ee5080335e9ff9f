"""Keras' Adam against steps computed by hand in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmask.optimiser import keras_adam

RATE, B1, B2, EPSILON = 0.001, 0.9, 0.999, 1e-7


@pytest.mark.quick
def test_three_steps_by_hand() -> None:
    # The last gradient is as small as epsilon, where its place in the formula decides.
    gradients = np.array([[0.5, -2.0, 1e-7, 0.0], [0.1, 3.0, -3e-7, 0.0], [-0.2, 1.0, 2e-7, 0.0]])
    params = {"w": jnp.array([1.0, -1.0, 0.5, 2.0])}
    optimiser = keras_adam(RATE)
    state = optimiser.init(params)
    p, m, v = np.array([1.0, -1.0, 0.5, 2.0]), np.zeros(4), np.zeros(4)
    for t, gradient in enumerate(gradients, start=1):
        m = B1 * m + (1 - B1) * gradient
        v = B2 * v + (1 - B2) * gradient**2
        change = RATE * np.sqrt(1 - B2**t) / (1 - B1**t) * m / (np.sqrt(v) + EPSILON)
        p = p - change
        update, state = optimiser.update({"w": jnp.asarray(gradient, jnp.float32)}, state, params)
        params = optax.apply_updates(params, update)
        # 3e-6 of the change: float32, and the third m nearly cancels; of the parameters, one rounding a step
        np.testing.assert_allclose(update["w"], -change, rtol=3e-6)
        np.testing.assert_allclose(params["w"], p, rtol=3e-7)
    assert int(state.count) == 3


def test_first_step_of_a_large_gradient_is_the_learning_rate() -> None:
    optimiser = keras_adam(RATE)
    params = jnp.zeros(())
    update, _ = optimiser.update(jnp.float32(7.0), optimiser.init(params), params)
    # sqrt(1 - b2) / (1 - b1) * 0.1 g / (sqrt(0.001) g + 1e-7) = 1 but for epsilon, 5e-7 of it here
    assert float(update) == pytest.approx(-RATE, rel=1e-6)


def test_epsilon_is_larger_than_optax_has_it() -> None:
    """A gradient of 1e-7: in the first step Keras' epsilon counts 1 / sqrt(1 - b2) = 31.6 times optax.adam's."""
    params = jnp.zeros(())
    gradient = jnp.float32(1e-7)
    ours = keras_adam(RATE)
    theirs = optax.adam(RATE, eps=EPSILON)
    our_step, _ = ours.update(gradient, ours.init(params), params)
    with jax.numpy_dtype_promotion("standard"):  # which optax needs
        their_step, _ = theirs.update(gradient, theirs.init(params), params)
    root = np.sqrt(1 - B2)
    assert float(our_step) == pytest.approx(-RATE * root * 1e-7 / (root * 1e-7 + 1e-7), rel=1e-5)
    assert float(their_step) == pytest.approx(-RATE / 2, rel=1e-5)


def test_late_steps_are_uncorrected() -> None:
    optimiser = keras_adam(RATE)
    params = jnp.zeros(())
    state = optimiser.init(params)._replace(count=jnp.int32(1_000_000), mu=jnp.float32(1.0), nu=jnp.float32(1.0))
    update, _ = jax.jit(optimiser.update)(jnp.float32(1.0), state, params)
    assert float(update) == pytest.approx(-RATE, rel=1e-6)
