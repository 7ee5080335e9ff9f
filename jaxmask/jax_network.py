"""Edge: a model in jax on all devices of this process, each of which computes its share of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh, PartitionSpec

from jaxmask import unet
from jaxmask.mesh import DATA_AXIS, batch_sharding, replicated
from jaxmask.model import Model
from jaxmask.unet import Params


def open_logits(model: Model, precision: str, devices: Sequence[jax.Device] | None = None) -> Callable[[Any], Any]:
    """The model's Logits on `devices`, by default all of this process; compiled for each shape when it is first met.

    A batch that they can't share evenly is filled up with zeros, of which nothing is seen.
    """
    mesh = Mesh(np.array(devices or jax.local_devices()), (DATA_AXIS,), axis_types=(AxisType.Auto,))
    params = jax.device_put(model.params, replicated(mesh))
    program = _program(model.graphdef, precision, mesh)

    def logits(images: np.ndarray) -> Any:
        count = len(images)
        missing = -count % mesh.size
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), images.dtype)])
        found = program(params, jax.device_put(images, batch_sharding(mesh)))
        return np.asarray(found)[:count] if missing else found

    return logits


def _program(graphdef: nnx.GraphDef, precision: str, mesh: Mesh) -> Callable[[Params, jax.Array], jax.Array]:
    """Parameters, alike everywhere, and images (B, H, W, 9), divided, to logits (B, H, W), divided."""
    divided = PartitionSpec(DATA_AXIS)
    network = partial(_logits, graphdef, jnp.dtype(precision))
    if mesh.size > 1:  # no device need know of the others
        network = jax.shard_map(
            network, mesh=mesh, in_specs=(PartitionSpec(), divided), out_specs=divided, check_vma=False
        )
    return jax.jit(network)


def _logits(graphdef: nnx.GraphDef, dtype: np.dtype[Any], params: Params, images: jax.Array) -> jax.Array:
    return unet.apply(graphdef, params, images, dtype)[..., 0]
