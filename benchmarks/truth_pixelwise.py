"""A command of jaxmask with a network that sees one pixel at a time in the U-Net's place; all else is the same.

    python benchmarks/truth_pixelwise.py train SHARDS MODEL [the flags of jaxmask.train]
    python benchmarks/truth_pixelwise.py infer MODEL SCENES PREDICTIONS [the flags of jaxmask.infer]

Four layers of 1 x 1 convolutions, each 7 times as wide as --features (56 for 8), do about as many multiplications a
pixel as the U-Net of the same --features: 9,968 to 10,736 at 8. They have fewer parameters, 10,193 to 122,545, as none
of theirs works at a lower resolution, where a parameter costs less; it is ample for a function of nine numbers.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxmask import unet
from jaxmask.pixels import CHANNELS

LAYERS, WIDTH_A_FEATURE = 4, 7
COMMANDS = {"train": "jaxmask.train", "infer": "jaxmask.infer"}


class Pixelwise(nnx.Module):
    """9 channels of a pixel to the logit of cloud there; called and initialised as unet.UNet is."""

    def __init__(self, features: int, rngs: nnx.Rngs) -> None:
        width = WIDTH_A_FEATURE * features
        inputs = [CHANNELS, *[width] * LAYERS]
        convolve = nnx.initializers.he_normal()
        self.hidden = nnx.List(
            [nnx.Conv(inputs[layer], width, (1, 1), kernel_init=convolve, rngs=rngs) for layer in range(LAYERS)]
        )
        self.head = nnx.Conv(width, 1, (1, 1), kernel_init=convolve, rngs=rngs)

    def __call__(self, x: jax.Array, form: Any = None) -> jax.Array:
        for layer in self.hidden:
            x = nnx.relu(_per_pixel(layer, x))
        return _per_pixel(self.head, x)


def _per_pixel(layer: nnx.Conv, x: jax.Array) -> jax.Array:
    """A 1 x 1 convolution is a product of matrices, which is faster by that name, its gradient above all."""
    product = x @ layer.kernel[...][0, 0]
    return product if layer.bias is None else product + jnp.broadcast_to(layer.bias[...], product.shape)


def main() -> None:
    """Run the command in this process, which is the only one that knows of the other network."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"expected {' or '.join(COMMANDS)} and its arguments; found {' '.join(sys.argv[1:]) or 'nothing'}")
    module = COMMANDS[sys.argv[1]]
    unet.UNet = Pixelwise  # type: ignore[misc, assignment]
    sys.argv = [module, *sys.argv[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
