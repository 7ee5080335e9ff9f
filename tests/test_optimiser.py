"""Keras' Adam against steps computed by hand in float64, and clipping against optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmask.optimiser import clipped, keras_adam

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


def test_the_rate_of_a_schedule_is_that_of_the_steps_before() -> None:
    gradient = {"w": jnp.array([0.5, -2.0])}
    scheduled, rates = keras_adam(lambda count: jnp.float32(0.1) * count.astype(jnp.float32)), []
    state = scheduled.init(gradient)
    for _ in range(3):
        plain, _ = keras_adam(1.0).update(gradient, state)
        update, state = scheduled.update(gradient, state)
        rates.append(float((update["w"] / plain["w"])[0]))
    assert rates == pytest.approx([0.0, 0.1, 0.2], rel=1e-6)  # of the counts 0, 1 and 2


@pytest.mark.quick
def test_long_gradients_are_shortened_in_their_direction() -> None:
    gradient = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}  # of length 5
    descent = optax.sgd(1.0)
    for greatest, factor in [(2.5, 0.5), (5.0, 1.0), (50.0, 1.0)]:
        update, _ = clipped(descent, greatest).update(gradient, descent.init(gradient))
        assert jax.tree.map(np.ndarray.tolist, jax.tree.map(np.asarray, update)) == {
            "a": [-3.0 * factor, 0.0],
            "b": [[-4.0 * factor]],
        }
        theirs, _ = optax.clip_by_global_norm(greatest).update(gradient, optax.EmptyState())
        # 1e-6: float32 divisions in another order
        jax.tree.map(lambda ours, other: np.testing.assert_allclose(-ours, other, rtol=1e-6), update, theirs)


def test_clipping_keeps_the_state_of_the_optimiser_and_hides_no_nan() -> None:
    params = {"w": jnp.zeros(2)}
    optimiser = clipped(keras_adam(RATE), 1.0)
    assert jax.tree.structure(optimiser.init(params)) == jax.tree.structure(keras_adam(RATE).init(params))
    for bad in (jnp.nan, jnp.inf):
        update, _ = optimiser.update({"w": jnp.array([bad, 1.0])}, optimiser.init(params), params)
        assert not np.isfinite(np.asarray(update["w"])).all()


def test_float64_parameters_have_float64_moments_and_changes() -> None:
    with jax.enable_x64(True):
        params = {"w": jnp.zeros(2, jnp.float64)}
        optimiser = clipped(keras_adam(RATE), 1.0)
        update, state = optimiser.update({"w": jnp.ones(2, jnp.float64)}, optimiser.init(params), params)
        assert {leaf.dtype for leaf in jax.tree.leaves((update, state.mu, state.nu))} == {jnp.dtype(jnp.float64)}
        assert state.count.dtype == jnp.int32
