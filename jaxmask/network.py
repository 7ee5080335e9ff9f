"""Edge: a model made ready to compute on this machine's devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxmask import unet
from jaxmask.model import Model
from jaxmask.unet import Params

Backend = Literal["jax", "openvino"]
Precision = Literal["float32", "bfloat16"]

# Normalised images (B, H, W, 9) float32, H and W multiples of 8 -> logits (B, H, W) float32: a numpy array, or a jax
# array that may still be computed (np.asarray waits for it).
Logits = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Network:
    """A model's function and how many scenes it takes at once for all devices to work."""

    logits: Logits
    devices: int = 1  # a batch of fewer scenes leaves some idle


def open_network(model: Model, backend: Backend = "jax", precision: Precision = "float32") -> Network:
    """Put the model's parameters on the devices; compiled for each shape when it is first met."""
    params = jax.device_put(model.params)
    return Network(partial(_logits, model.graphdef, params, precision))


@partial(jax.jit, static_argnums=(0, 2))
def _logits(graphdef: nnx.GraphDef, params: Params, precision: Precision, images: jax.Array) -> jax.Array:
    return unet.apply(graphdef, params, images, jnp.dtype(precision))[..., 0]
