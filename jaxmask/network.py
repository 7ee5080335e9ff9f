"""Edge: a model made ready to compute on this machine's devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax

from jaxmask import jax_network, openvino_network
from jaxmask.logits import Logits
from jaxmask.model import Model

Backend = Literal["jax", "openvino"]
Precision = Literal["float32", "bfloat16"]

__all__ = ["Backend", "Logits", "Network", "Precision", "open_network"]


@dataclass(frozen=True)
class Network:
    """A model's function and how many scenes it takes at once for all devices to work."""

    logits: Logits
    devices: int = 1  # a batch of fewer scenes leaves some idle


def open_network(model: Model, backend: Backend = "jax", precision: Precision = "float32") -> Network:
    """Put the model's parameters on the devices; compiled for each shape when it is first met.

    Raises UserError if the backend's packages are missing.
    """
    if backend == "openvino":
        return Network(openvino_network.open_logits(model.params, precision))
    return Network(jax_network.open_logits(model, precision), jax.local_device_count())
