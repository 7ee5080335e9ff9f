"""The U-Net, as pure functions of a pytree of parameters: 9 channels in, cloud logits out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jaxmask.conv import CPU, XLA, Form, convolve, convolve_joined
from jaxmask.halving import halve
from jaxmask.pixels import CHANNELS

DEPTH = 3  # times the image is halved
SIZE_MULTIPLE = 2**DEPTH  # height and width must be multiples of it
KERNEL_AXES = 4  # of a convolution's kernel; its bias has one
TRUNCATED_DEVIATION = 0.87962566103423978  # standard deviation of a normal distribution cut at 2 (as in jax.nn)
FEATURES = 32  # of the original, in its first level

Params = dict[str, Any]  # nested, names to float32 arrays


class ConvPair(nnx.Module):
    """Two 3 x 3 convolutions of the same size, each with bias and ReLU."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.first = _conv(inputs, outputs, 3, rngs)
        self.second = _conv(outputs, outputs, 3, rngs)

    def __call__(self, x: jax.Array, form: Form) -> jax.Array:
        return self._finish(convolve(x, self.first.kernel[...], form), form)

    def join(self, low: jax.Array, skip: jax.Array, form: Form) -> jax.Array:
        """The pair of [upsampled low, skip]."""
        return self._finish(convolve_joined(low, skip, self.first.kernel[...], form), form)

    def _finish(self, convolved: jax.Array, form: Form) -> jax.Array:
        x = _biased_relu(convolved, self.first.bias)
        return _biased_relu(convolve(x, self.second.kernel[...], form), self.second.bias)


class UNet(nnx.Module):
    """Ronneberger et al. 2015 (arXiv:1505.04597) as the original has it: f, 2f, 4f and 8f features, no transposed
    convolution: nearest upsampling, then [upsampled, skip]."""

    def __init__(self, features: int, rngs: nnx.Rngs) -> None:
        widths = [features * 2**level for level in range(DEPTH + 1)]
        inputs = [CHANNELS, *widths]
        self.encoder = nnx.List([ConvPair(inputs[level], widths[level], rngs) for level in range(DEPTH)])
        self.bottom = ConvPair(inputs[DEPTH], widths[DEPTH], rngs)
        self.decoder = nnx.List(
            [ConvPair(widths[level + 1] + widths[level], widths[level], rngs) for level in reversed(range(DEPTH))]
        )
        self.head = _conv(features, 1, 1, rngs)

    def __call__(self, x: jax.Array, form: Form) -> jax.Array:
        skips = []
        for pair in self.encoder:
            skips.append(pair(x, form))
            x = halve(skips[-1])
        x = self.bottom(x, form)
        for pair, skip in zip(self.decoder, reversed(skips), strict=True):
            x = pair.join(x, skip, form)
        return self.head(x)


def create(features: int, seed: int) -> tuple[nnx.GraphDef, Params]:
    """Make a U-Net with `features` in its first level: its structure (hashable, static) and its parameters.

    Kernels are truncated He-normal, as Keras' `he_normal` (He et al. 2015, arXiv:1502.01852), biases zero.
    """
    graphdef, shapes = structure(features)
    return graphdef, _he_normal(shapes, jax.random.key(seed))


def structure(features: int) -> tuple[nnx.GraphDef, Params]:
    """The same without making any array: the parameters are `jax.ShapeDtypeStruct`s."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: UNet(features, nnx.Rngs(0))))
    return graphdef, _text_keys(nnx.to_pure_dict(state))


def layer_paths() -> tuple[tuple[str, ...], ...]:
    """Where each convolution's kernel and bias lie in the parameters, in the order that data flow through them."""
    encoder = [("encoder", str(level), name) for level in range(DEPTH) for name in ("first", "second")]
    bottom = [("bottom", "first"), ("bottom", "second")]
    decoder = [("decoder", str(level), name) for level in range(DEPTH) for name in ("first", "second")]
    return (*encoder, *bottom, *decoder, ("head",))


def apply(
    graphdef: nnx.GraphDef,
    params: Params,
    images: jax.Array,
    dtype: DTypeLike = jnp.float32,
    form: Form | None = None,
) -> jax.Array:
    """Logits (B, H, W, 1) of normalised images (B, H, W, 9), computed in `dtype`.

    Parameters and images are cast to it first; logits are float32 whatever `dtype`, but float64 under float64.
    form: of its convolutions; None: what is fastest on the platform that it is compiled for. Every form is the same
    function, to rounding.
    Raises ValueError if H or W is no multiple of 8, or the channels are not 9.
    """
    check_size(images.shape)
    cast = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), _list_keys(params))

    def network(form: Form) -> Callable[[Any, jax.Array], jax.Array]:
        return lambda params, images: nnx.merge(graphdef, params)(images, form)

    given = cast, jnp.asarray(images, dtype)
    logits = network(form)(*given) if form else lax.platform_dependent(*given, cpu=network(CPU), default=network(XLA))
    return logits.astype(jnp.float64 if logits.dtype == jnp.float64 else jnp.float32)


def check_size(shape: Sequence[int]) -> None:
    """Raise ValueError unless images of this shape (B, H, W, C) suit the network."""
    _, height, width, channels = shape
    if height % SIZE_MULTIPLE or width % SIZE_MULTIPLE or channels != CHANNELS:
        raise ValueError(
            f"images must have height and width that are multiples of {SIZE_MULTIPLE} and {CHANNELS} channels; "
            f"found {shape}"
        )


def count_parameters(params: Params) -> int:
    """Number of trained numbers: 1,948,609 at 32 features."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _he_normal(shapes: Params, key: jax.Array) -> Params:
    """Kernels from one draw, cut up: drawing each by itself would compile the generator once a shape, 20 s in all."""
    leaves, tree = jax.tree.flatten(shapes)
    sizes = [leaf.size if len(leaf.shape) == KERNEL_AXES else 0 for leaf in leaves]
    draw = jax.jit(jax.random.truncated_normal, static_argnames="shape")(key, -2.0, 2.0, shape=(sum(sizes),))
    parts = jnp.split(draw, np.cumsum(sizes)[:-1])
    made = [
        part.reshape(leaf.shape) * _he_scale(leaf.shape) if part.size else jnp.zeros(leaf.shape)
        for part, leaf in zip(parts, leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, made)


def _he_scale(shape: tuple[int, ...]) -> float:
    """Makes the variance of the truncated draw 2 / fan-in."""
    return math.sqrt(2 / math.prod(shape[:-1])) / TRUNCATED_DEVIATION


def _conv(inputs: int, outputs: int, size: int, rngs: nnx.Rngs) -> nnx.Conv:
    return nnx.Conv(inputs, outputs, (size, size), kernel_init=nnx.initializers.he_normal(), rngs=rngs)


def _biased_relu(convolved: jax.Array, bias: nnx.Param[jax.Array] | None) -> jax.Array:
    biased = convolved if bias is None else convolved + jnp.broadcast_to(bias[...], convolved.shape)
    return nnx.relu(biased)


# NNX numbers the items of a list with ints, checkpoints name everything with text.
def _text_keys(tree: Any) -> Any:
    return {str(key): _text_keys(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def _list_keys(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return {int(key) if key.isdigit() else key: _list_keys(value) for key, value in tree.items()}
