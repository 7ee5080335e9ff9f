"""The running mean of parameters against its definition and against optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmask.running_mean import follow


def _follow(values: np.ndarray, share: float) -> list[np.ndarray]:
    mean, means = {"w": jnp.full(values.shape[1:], 99.0)}, []  # 99: what was before the first step counts nothing
    for step, value in enumerate(values, start=1):
        mean = jax.jit(follow, static_argnums=2)(mean, {"w": jnp.asarray(value)}, share, jnp.int32(step))
        means.append(np.asarray(mean["w"]))
    return means


@pytest.mark.quick
def test_by_hand() -> None:
    first, second, third = _follow(np.array([[1.0], [4.0], [2.0]], np.float32), 0.5)
    assert float(first[0]) == 1.0
    # Weights 1/2, 1 and 1/4, 1/2, 1; 1e-6: float32
    assert float(second[0]) == pytest.approx((0.5 * 1 + 4) / 1.5, rel=1e-6)
    assert float(third[0]) == pytest.approx((0.25 * 1 + 0.5 * 4 + 2) / 1.75, rel=1e-6)


def test_as_optax_has_it() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    theirs = optax.ema(0.99, debias=True)
    state = theirs.init({"w": jnp.zeros(3)})
    for value, ours in zip(values, _follow(values, 0.99), strict=True):
        with jax.numpy_dtype_promotion("standard"):  # which optax needs
            expected, state = theirs.update({"w": jnp.asarray(value)}, state)
        # 1e-5: optax divides by 1 - 0.99**t, of which float32 keeps 5 digits at first
        np.testing.assert_allclose(ours, expected["w"], rtol=1e-5, atol=1e-5)


def test_equal_parameters_stay_as_they_are_forever() -> None:
    mean = {"w": jnp.float32(0.1)}
    for step in (1, 2, 1000, 2**24):
        assert float(follow(mean, mean, 0.999, jnp.int32(step))["w"]) == float(np.float32(0.1))
