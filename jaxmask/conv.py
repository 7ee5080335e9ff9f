"""Convolutions of the network, and all the ways to compute them: every `Form` is the same function.

XLA's convolutions are what a GPU is best at. On a CPU two other ways pay, measured by benchmarks/cpu.py: gradients of
kernels as matrix products, and the convolution of an upsampled image at the low resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

AXES = ("NHWC", "HWIO", "NHWC")
BORDER = 1  # zeros that an image is taken to have around it

# A row of two equal pixels under a kernel's row of three: [phase of the output row, tap of two, tap of three]
FOLDS = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])


@dataclass(frozen=True)
class Form:
    """How convolutions are computed."""

    products: bool = False  # gradients of kernels as matrix products, image by image; else as XLA does
    folded: bool = False  # upsampled images are convolved at the low resolution, and never made


XLA = Form()
CPU = Form(products=True, folded=True)


def convolve(x: jax.Array, kernel: jax.Array, form: Form) -> jax.Array:
    """Convolution of x (B, H, W, I) by a 3 x 3 kernel (3, 3, I, O), zeros beyond the border: (B, H, W, O)."""
    return _by_products(x, kernel) if form.products else _correlate(x, kernel, BORDER)


def convolve_joined(low: jax.Array, skip: jax.Array, kernel: jax.Array, form: Form) -> jax.Array:
    """The same of [low doubled to its nearest neighbours, skip], by a kernel (3, 3, I + J, O).

    low: (B, H, W, I); skip: (B, 2H, 2W, J); returns (B, 2H, 2W, O).
    """
    if not form.folded:
        return convolve(jnp.concatenate([_double(low), skip], axis=-1), kernel, form)
    upper, lower = jnp.split(kernel, [low.shape[-1]], axis=2)
    return _convolve_doubled(low, upper, form) + convolve(skip, lower, form)


def _convolve_doubled(low: jax.Array, kernel: jax.Array, form: Form) -> jax.Array:
    """convolve(_double(low), kernel) with 4 products for every 9.

    Three neighbouring rows of a doubled image are two rows of `low`, one of them twice: so with columns, and a 3 x 3
    kernel is four 2 x 2 kernels, one for each phase (row, column) of the output pixel. All four are one convolution of
    4 O outputs over the windows of 2 x 2; phase 1 is that of the next window. Zeros beyond the border double to zeros.
    """
    batch, height, width, inputs = low.shape
    outputs = kernel.shape[-1]
    folds = jnp.asarray(FOLDS, kernel.dtype)
    folded = jnp.einsum("aik,bjl,klco->ijcabo", folds, folds, kernel).reshape(2, 2, inputs, 4 * outputs)
    phases = convolve(low, folded, form).reshape(batch, height + 1, width + 1, 2, 2, outputs)
    rows = [
        jnp.stack([phases[:, row : row + height, column : column + width, row, column] for column in (0, 1)], axis=3)
        for row in (0, 1)
    ]
    return jnp.stack(rows, axis=2).reshape(batch, 2 * height, 2 * width, outputs)


def _double(x: jax.Array) -> jax.Array:
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def _correlate(x: jax.Array, kernel: jax.Array, border: int) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), [(border, border)] * 2, dimension_numbers=AXES)


@jax.custom_vjp
def _by_products(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _correlate(x, kernel, BORDER)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _correlate(x, kernel, BORDER), (x, kernel)


def _backward(kept: tuple[jax.Array, jax.Array], given: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    size, _, inputs, outputs = kernel.shape
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    to_x = _correlate(given, turned, size - 1 - BORDER)
    exact = jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)  # bfloat16 would lose small terms

    products = lax.map(lambda image: _kernel_gradient(image[0], image[1], size, exact), (x, given))
    total = products.sum(axis=0).reshape(size, inputs, size, outputs)
    return to_x, total.transpose(2, 0, 1, 3).astype(kernel.dtype)


_by_products.defvjp(_forward, _backward)


def _kernel_gradient(x: jax.Array, given: jax.Array, size: int, exact: jnp.dtype) -> jax.Array:
    """Sum over one image's pixels of x times `given`, for every tap at once: (columns x inputs, rows x outputs).

    x: (H, W, I); given: the gradient with respect to the output (H', W', O). Tap (i, j) pairs output pixel (h, w) with
    x at (h + i - 1, w + j - 1): x is laid beside itself shifted by j, `given` beside itself shifted back by i, and one
    product of the two holds all taps. One image fits the processor's caches, a batch does not.
    """
    height, width = x.shape[0], given.shape[1]
    wide = jnp.pad(x, ((0, 0), (BORDER, BORDER), (0, 0)))
    tall = jnp.pad(given, ((size - 1 - BORDER,) * 2, (0, 0), (0, 0)))
    columns = jnp.concatenate([wide[:, j : j + width] for j in range(size)], axis=-1)
    rows = jnp.concatenate([tall[i : i + height] for i in reversed(range(size))], axis=-1)
    pixels = height * width
    product = partial(lax.dot_general, dimension_numbers=(((0,), (0,)), ((), ())), preferred_element_type=exact)
    return product(columns.reshape(pixels, -1), rows.reshape(pixels, -1))
