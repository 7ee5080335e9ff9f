"""Halving of an image by the greatest of every 2 x 2 pixels, with a gradient of comparisons.

XLA's own gradient of a maximum over windows (select and scatter) visits pixel after pixel; comparisons with the maximum
are elementwise and join the work around them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

WINDOW = (1, 2, 2, 1)


@jax.custom_vjp
def halve(x: jax.Array) -> jax.Array:
    """Greatest of every 2 x 2 pixels: (B, H, W, C) to (B, H/2, W/2, C), H and W even.

    Where several are the greatest, the gradient is the first's in order of rows, as that of `lax.reduce_window`.
    """
    return lax.reduce_window(x, -jnp.inf, lax.max, WINDOW, WINDOW, "VALID")


def _forward(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    greatest = halve(x)
    return greatest, (x, greatest)


def _backward(kept: tuple[jax.Array, jax.Array], given: jax.Array) -> tuple[jax.Array]:
    x, greatest = kept
    zeros, free = jnp.zeros_like(given), jnp.ones(given.shape, bool)
    pixels = []
    for row in (0, 1):
        for column in (0, 1):
            chosen = free & (x[:, row::2, column::2] == greatest)
            free &= ~chosen
            pixels.append(jnp.where(chosen, given, zeros))
    rows = [jnp.stack(pixels[:2], axis=3), jnp.stack(pixels[2:], axis=3)]
    return (jnp.stack(rows, axis=2).reshape(x.shape),)


halve.defvjp(_forward, _backward)
