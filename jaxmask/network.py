"""Edge: a model made ready to compute on this machine's devices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxmask import unet
from jaxmask.logits import Logits
from jaxmask.model import Model
from jaxmask.unet import Params

Backend = Literal["jax", "openvino"]
Precision = Literal["float32", "bfloat16"]

__all__ = ["Backend", "Logits", "Network", "Precision", "open_network"]


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
