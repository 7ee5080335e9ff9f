"""Halving and its gradient against XLA's own maximum over windows, ties included."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmask.halving import halve

RNG = np.random.default_rng(0)


def _of_xla(x: jax.Array) -> jax.Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def test_the_greatest_of_four_by_hand() -> None:
    x = jnp.arange(8.0).reshape(1, 2, 4, 1)
    np.testing.assert_array_equal(halve(x)[0, :, :, 0], [[5, 7]])


@pytest.mark.quick
@pytest.mark.parametrize("shape", [(1, 2, 2, 1), (3, 4, 10, 5)])
def test_gradient_is_xlas_to_the_bit_ties_included(shape: tuple[int, ...]) -> None:
    """Values of 0, 1 and 2 tie often, as zeros after a ReLU do: the first greatest takes all."""
    x = jnp.asarray(RNG.integers(0, 3, shape), jnp.float32)
    given = jnp.asarray(RNG.normal(size=(shape[0], shape[1] // 2, shape[2] // 2, shape[3])), jnp.float32)
    (ours, back), (theirs, their_back) = jax.vjp(halve, x), jax.vjp(_of_xla, x)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(back(given)[0], their_back(given)[0])


def test_gradient_by_hand() -> None:
    x = jnp.asarray([[1.0, 3.0], [3.0, 2.0]]).reshape(1, 2, 2, 1)  # two greatest: the first in order of rows
    gradient = jax.vjp(halve, x)[1](jnp.full((1, 1, 1, 1), 5.0))[0]
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[0, 5], [0, 0]])
