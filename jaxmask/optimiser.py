"""Adam as Keras has it, epsilon added to the root of the uncorrected second moment; and gradients cut to a length."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

LEARNING_RATE = 0.001  # of the original
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults, as the original's

Rate = float | Callable[[jax.Array], jax.Array]  # a step size, or that of the step after so many (int32), float32


def keras_adam(
    learning_rate: Rate, b1: float = BETA_1, b2: float = BETA_2, epsilon: float = EPSILON
) -> optax.GradientTransformation:
    """Adam of Kingma & Ba 2014 (arXiv:1412.6980) in the reordered form at the end of its section 2.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    p = p - learning_rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)

    That epsilon is the paper's "epsilon hat", Keras' `epsilon` (default 1e-7); optax.adam adds its own after the bias
    correction, which is a larger step while t is small. The factor before m is float32, moments are of the parameters'
    type. State: `optax.ScaleByAdamState`, count int32.
    """

    def init(params: Any) -> optax.ScaleByAdamState:
        return optax.ScaleByAdamState(
            count=jnp.zeros((), jnp.int32),
            mu=jax.tree.map(jnp.zeros_like, params),
            nu=jax.tree.map(jnp.zeros_like, params),
        )

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
        count = state.count + 1
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, gradient)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, gradient)
        steps = count.astype(jnp.float32)
        size = learning_rate(state.count) if callable(learning_rate) else learning_rate
        rate = size * jnp.sqrt(one_minus_power(b2, steps)) / one_minus_power(b1, steps)
        change = jax.tree.map(lambda m, v: -rate.astype(m.dtype) * m / (jnp.sqrt(v) + epsilon), mu, nu)
        return change, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def clipped(optimiser: optax.GradientTransformation, greatest_norm: float) -> optax.GradientTransformation:
    """The same optimiser, with the same state, given gradients whose norm over all arrays is at most `greatest_norm`.

    Longer ones are shortened to it in their direction (Pascanu et al. 2013, arXiv:1211.5063).
    """

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        squares = [jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(gradient)]
        norm = jnp.sqrt(jnp.stack(squares).sum())
        factor = jnp.where(norm > greatest_norm, greatest_norm / norm, 1.0)
        return optimiser.update(jax.tree.map(lambda leaf: factor * leaf, gradient), state, params)

    return optax.GradientTransformation(optimiser.init, update)


def one_minus_power(base: float, exponent: jax.Array) -> jax.Array:
    """1 - base**exponent; as written it would lose 4 of float32's 7 digits for base 0.999 and exponent 1."""
    return -jnp.expm1(exponent * math.log(base))
