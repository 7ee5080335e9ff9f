"""Edge: the devices: the mesh, how arrays lie on it, and host batches as global arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from preprocess.errors import UserError

DATA_AXIS = "data"


def use_cpu_only() -> None:
    """Leave accelerators alone; to be called before any device is touched."""
    jax.config.update("jax_platforms", "cpu")


def make_mesh() -> Mesh:
    """Return all devices of all processes in one row, named `DATA_AXIS`.

    Raises UserError unless every process has as many devices as the others: their shares of a batch are equal.
    """
    check_even([device.process_index for device in jax.devices()])
    # Explicit axes (the default of some versions) break the gradient of a convolution.
    return jax.make_mesh((jax.device_count(),), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def check_even(owners: Sequence[int]) -> None:
    """Raise UserError unless each process owns as many devices as the others; owners: the process of each device."""
    counts = Counter(owners)
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{counts[process]} in process {process}" for process in sorted(counts))
        raise UserError(
            f"every process must have as many devices as the others; found {found}: "
            "show each the same number (CUDA_VISIBLE_DEVICES), or start one process a device"
        )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The first axis divided over the devices: batches."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device: the state."""
    return NamedSharding(mesh, PartitionSpec())


def to_global(mesh: Mesh, host_batch: Any) -> Any:
    """Join the batches of all processes: a pytree of numpy (B_host, ...) to global arrays (B_host * processes, ...).

    Every process must give the same B_host, in the order of the processes.
    Raises ValueError unless B_host is a multiple of this process's devices.
    """
    sharding, devices = batch_sharding(mesh), len(mesh.local_devices)
    for leaf in jax.tree.leaves(host_batch):
        if leaf.shape[0] % devices:
            raise ValueError(f"a host's batch must be a multiple of its {devices} devices; found {leaf.shape[0]}")
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), host_batch)


def own_places(mesh: Mesh, global_batch: int) -> np.ndarray:
    """The places of a batch that this process gives to `to_global`: those of its devices, in their order on the mesh.

    Returns int64; global_batch must be a multiple of the devices.
    """
    places = np.arange(global_batch).reshape(mesh.size, -1)
    ours = [device.process_index == jax.process_index() for device in mesh.devices.flat]
    return places[ours].reshape(-1)
