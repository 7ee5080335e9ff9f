"""The attempts of gpu.py: the same network and step written so that one thing at a time can be changed.

`network` computes what jaxmask.unet.apply computes (a test holds the two together): by it, in any of its forms, or by
its own lines, in NHWC or NCHW, with upsampling and convolution folded into one, and with activations computed again
instead of kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jaxmask import unet
from jaxmask.conv import Form
from jaxmask.losses import clip_weights, weighted_cross_entropy
from jaxmask.metrics import Sums, batch_sums
from jaxmask.pixels import decode
from jaxmask.unet import DEPTH, Params

State = tuple[Params, Any]


@dataclass(frozen=True)
class Settings:
    """What is changed; the defaults are the network as it is, but that XLA makes the gradient of halving."""

    layout: str = "NHWC"  # or "NCHW": the order of activations' axes
    folded: str = ""  # "blocks", "transposed": nearest upsampling and the convolution after it made one, in two ways
    remat: bool = False  # keep each pair's input alone, and compute its inside again for the gradient
    matmul: str | None = None  # jax.default_matmul_precision; None: of the work's own precision
    shipped: bool = False  # jaxmask.unet itself, in the form it has on the device
    form: dict[str, bool] | None = None  # jaxmask.unet itself, in this form of jaxmask.conv


def network(params: Params, images: jax.Array, settings: Settings, dtype: DTypeLike) -> jax.Array:
    """Logits (B, H, W, 1) float32 of images (B, H, W, 9), computed in `dtype`."""
    if settings.shipped or settings.form:
        graphdef, _ = unet.structure(params["head"]["kernel"].shape[2])
        return unet.apply(graphdef, params, images, dtype, Form(**settings.form) if settings.form else None)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    x = images.astype(dtype)
    x = x.transpose(0, 3, 1, 2) if settings.layout == "NCHW" else x
    keep = jax.checkpoint if settings.remat else lambda function: function
    skips = []
    for level in range(DEPTH):
        skips.append(keep(partial(pair, settings=settings))(params["encoder"][str(level)], x))
        x = halve(skips[-1], settings)
    x = keep(partial(pair, settings=settings))(params["bottom"], x)
    for level, skip in enumerate(reversed(skips)):
        x = keep(partial(joined, settings=settings))(params["decoder"][str(level)], x, skip)
    logits = convolution(params["head"], x, settings)
    logits = logits.transpose(0, 2, 3, 1) if settings.layout == "NCHW" else logits
    return logits.astype(jnp.float32)


def pair(params: Params, x: jax.Array, settings: Settings) -> jax.Array:
    """Two convolutions, each with ReLU."""
    inner = jax.nn.relu(convolution(params["first"], x, settings))
    return jax.nn.relu(convolution(params["second"], inner, settings))


def joined(params: Params, low: jax.Array, skip: jax.Array, settings: Settings) -> jax.Array:
    """A pair of the upsampled `low` and `skip`, side by side."""
    axis = channel_axis(settings)
    if settings.folded:
        upper, lower = jnp.split(params["first"]["kernel"], [low.shape[axis]], axis=2)
        beside = convolution({"kernel": lower, "bias": params["first"]["bias"]}, skip, settings)
        fold = folded_blocks if settings.folded == "blocks" else folded_transposed
        first = fold(upper, low, settings) + beside
        return jax.nn.relu(convolution(params["second"], jax.nn.relu(first), settings))
    rows, columns = (1, 2) if settings.layout == "NHWC" else (2, 3)
    doubled = jnp.repeat(jnp.repeat(low, 2, axis=rows), 2, axis=columns)
    return pair(params, jnp.concatenate([doubled, skip], axis=axis), settings)


def folded_blocks(kernel: jax.Array, low: jax.Array, settings: Settings) -> jax.Array:
    """The 3 x 3 convolution of `low` upsampled by nearest neighbours, as 2 x 2 convolutions of `low`.

    A pixel of an even row sees the low row above and its own twice; of an odd one its own twice and the one below. So
    each of the four positions in a block of 2 x 2 has a 2 x 2 kernel of sums; one convolution computes all four, for
    one row and column more than there are, of which the positions take the first or the last.
    """
    outputs, nhwc = kernel.shape[3], settings.layout == "NHWC"
    wide = jnp.concatenate([block_kernel(kernel, row, column) for row in (0, 1) for column in (0, 1)], axis=3)
    padding = ((1, 1), (1, 1))
    found = jax.lax.conv_general_dilated(low, wide, (1, 1), padding, dimension_numbers=axes(settings))
    found = found if nhwc else found.transpose(0, 2, 3, 1)
    count, height, width = (found.shape[0], found.shape[1] - 1, found.shape[2] - 1)
    parts = [
        found[:, row : row + height, column : column + width, (2 * row + column) * outputs :][..., :outputs]
        for row in (0, 1)
        for column in (0, 1)
    ]
    blocks = jnp.stack(parts, axis=3).reshape(count, height, width, 2, 2, outputs)
    joined_blocks = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(count, 2 * height, 2 * width, outputs)
    return joined_blocks if nhwc else joined_blocks.transpose(0, 3, 1, 2)


def block_kernel(kernel: jax.Array, row: int, column: int) -> jax.Array:
    """The 2 x 2 kernel at low resolution of the pixels at (row, column) of their blocks."""
    for axis, odd in ((0, row), (1, column)):
        first, middle, last = jnp.split(kernel, 3, axis=axis)
        taps = [first + middle, last] if odd else [first, middle + last]
        kernel = jnp.concatenate(taps, axis=axis)
    return kernel


def folded_transposed(kernel: jax.Array, low: jax.Array, settings: Settings) -> jax.Array:
    """The same as one transposed convolution: upsampling is a kernel of 2 x 2 ones at every second pixel, and with the
    3 x 3 kernel behind it one of 4 x 4, a quarter of which meets each pixel."""
    for axis in (0, 1):
        widths = [(0, 0)] * 4
        before, after = list(widths), list(widths)
        before[axis], after[axis] = (1, 0), (0, 1)
        kernel = jnp.pad(kernel, before) + jnp.pad(kernel, after)
    return jax.lax.conv_general_dilated(
        low, kernel, (1, 1), ((2, 2), (2, 2)), lhs_dilation=(2, 2), dimension_numbers=axes(settings)
    )


def convolution(params: Params, x: jax.Array, settings: Settings) -> jax.Array:
    """A convolution of the same size, with bias."""
    bias = jnp.expand_dims(params["bias"], [axis for axis in range(4) if axis != channel_axis(settings)])
    found = jax.lax.conv_general_dilated(x, params["kernel"], (1, 1), "SAME", dimension_numbers=axes(settings))
    return found + bias


def halve(x: jax.Array, settings: Settings) -> jax.Array:
    """The greatest of each block of 2 x 2."""
    window = (1, 2, 2, 1) if settings.layout == "NHWC" else (1, 1, 2, 2)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")


def axes(settings: Settings) -> tuple[str, str, str]:
    """The order of the axes of what goes in, of kernels, and of what comes out."""
    return settings.layout, "HWIO", settings.layout


def channel_axis(settings: Settings) -> int:
    """Where the channels lie."""
    return 3 if settings.layout == "NHWC" else 1


def step_of(
    settings: Settings,
    optimiser: optax.GradientTransformation,
    dtype: DTypeLike,
    positive_weight: float,
    clip: int,
) -> Callable[[State, dict[str, jax.Array]], tuple[State, Sums]]:
    """A step of training with that network, and with loss, sums and optimiser as jaxmask.step has them."""

    def step(state: State, batch: dict[str, jax.Array]) -> tuple[State, Sums]:
        decoded = decode(batch)

        def mean_loss(params: Params) -> tuple[jax.Array, Sums]:
            logits = network(params, decoded["image"], settings, dtype)
            weights = clip_weights(decoded["weight"], clip)
            loss, weight = weighted_cross_entropy(logits, decoded["label"], weights, positive_weight)
            return loss / weight, batch_sums(logits, decoded["label"], weights, loss, weight)

        gradient, sums = jax.grad(mean_loss, has_aux=True)(state[0])
        change, moments = optimiser.update(gradient, state[1], state[0])
        return (optax.apply_updates(state[0], change), moments), sums

    return step
