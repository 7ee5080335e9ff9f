"""Edge: the patches of a part held in the devices' memory, from which batches are gathered without leaving it.

Each place of a batch draws from patches of its own (order.deal), so that a device needs those of its places alone, and
a batch is gathered without any exchange. Everything is held by every device all the same where it is small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, PartitionSpec
from numpy.typing import NDArray

from jaxmask import pixels
from jaxmask.memory import available_memory, processes_here
from jaxmask.mesh import DATA_AXIS, batch_sharding, own_places, replicated
from jaxmask.order import PADDING
from jaxmask.patch_index import PatchIndex
from jaxmask.pixels import Patch, blank
from preprocess.errors import UserError

# Of the memory that is free on the device with the least: what the patches of one part may take, the rest being for the
# training itself, and up to where all devices hold all of them.
RESIDENT_SHARE = 2 / 3
REPLICATED_SHARE = 1 / 4
PATCHES_A_TRANSFER = 64
MEGABYTE = 2**20

Reading = Callable[[PatchIndex, NDArray[np.int64]], Iterable[tuple[int, Patch]]]  # of patches by their numbers
Arrays = dict[str, jax.Array]  # of each kind (rows, numbers of a patch): flat, as some devices pad the last axis


@dataclass(frozen=True)
class Resident:
    """Patches on the devices: `arrays` hold those of place 0 in the order of its dealing, then those of place 1..."""

    arrays: Arrays
    gather: Callable[[Arrays, jax.Array], Arrays]
    first_row: NDArray[np.int64]  # of each place's patches, in what its device holds

    def rows(self, dealt: NDArray[np.int64], order: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int32]:
        """Which rows of `arrays`, on its own device, each of `places` takes at each step: (steps, places)."""
        taken = np.take_along_axis(dealt, order, axis=0)[:, places]
        return np.where(taken == PADDING, PADDING, self.first_row[places] + order[:, places]).astype(np.int32)


def open_resident(index: PatchIndex, dealt: NDArray[np.int64], mesh: Mesh, read: Reading) -> Resident:
    """Lay the patches, as `read` gives them, on the devices of `mesh`: each device's own, or all on each if few.

    Every host reads those of its own devices' places. All processes must call this together.
    Raises UserError on all of them if they don't fit.
    """
    steps, global_batch = dealt.shape
    whole_bytes = dealt.size * pixels.kept_bytes(index.patch_size)
    free_bytes = _free_bytes(mesh)
    _check_fit(whole_bytes // mesh.size, free_bytes)
    arrays = _load(index, dealt, mesh, read)
    everywhere = whole_bytes <= REPLICATED_SHARE * free_bytes
    if everywhere:
        arrays = jax.jit(lambda held: held, out_shardings=replicated(mesh))(arrays)
    place = np.arange(global_batch)
    first_row = steps * (place if everywhere else place % (global_batch // mesh.size))
    return Resident(arrays, gatherer(mesh, index.patch_size, everywhere=everywhere), first_row)


def gatherer(mesh: Mesh, patch_size: int, *, everywhere: bool) -> Callable[[Arrays, jax.Array], Arrays]:
    """The compiled function from (arrays, rows (B,) int32) to a batch: each device takes rows of what it holds.

    PADDING gives zeros, of weight 0. `everywhere`: arrays are replicated; else divided over the devices.
    """
    shapes = {name: array.shape for name, array in blank(patch_size).items()}

    def own(held: Arrays, rows: jax.Array) -> Arrays:
        return {name: _taken(array, rows).reshape(-1, *shapes[name]) for name, array in held.items()}

    divided = PartitionSpec(DATA_AXIS)
    held = PartitionSpec() if everywhere else divided
    gather = jax.shard_map(own, mesh=mesh, in_specs=(held, divided), out_specs=divided)
    return jax.jit(gather, out_shardings=batch_sharding(mesh))


def _taken(array: jax.Array, rows: jax.Array) -> jax.Array:
    there = (rows != PADDING).reshape(-1, 1)
    return jnp.where(there, jnp.take(array, rows, axis=0, mode="clip"), jnp.zeros((), array.dtype))


def _load(index: PatchIndex, dealt: NDArray[np.int64], mesh: Mesh, read: Reading) -> Arrays:
    """Read each shard once, and send its patches to this host's devices as they come: (B * steps, numbers), divided."""
    columns = dealt[:, own_places(mesh, dealt.shape[1])]
    blocks = columns.T.reshape(len(mesh.local_devices), -1)  # of each device, the patch in each row
    rows_each = blocks.shape[1]
    row_of = np.full(len(index), PADDING, np.int64)
    row_of[blocks[blocks != PADDING]] = np.flatnonzero(blocks != PADDING)
    local = [device for device in mesh.devices.flat if device.process_index == jax.process_index()]
    held = [_zeros(device, rows_each, index.patch_size) for device in local]
    waiting: list[list[tuple[int, Patch]]] = [[] for _ in local]
    for number, patch in read(index, np.flatnonzero(row_of != PADDING)):
        which, row = divmod(int(row_of[number]), rows_each)
        waiting[which].append((row, patch))
        if len(waiting[which]) == PATCHES_A_TRANSFER:
            held[which] = _sent(held[which], waiting[which], local[which])
            waiting[which] = []
    for which, device in enumerate(local):
        held[which] = _sent(held[which], waiting[which], device)
    return _joined(held, mesh)


def _zeros(device: jax.Device, rows: int, patch_size: int) -> Arrays:
    kinds = blank(patch_size).items()
    return {name: jnp.zeros((rows, array.size), array.dtype, device=device) for name, array in kinds}


def _sent(held: Arrays, waiting: list[tuple[int, Patch]], device: jax.Device) -> Arrays:
    """Write the patches that wait into their rows."""
    rows = np.zeros(PATCHES_A_TRANSFER, np.int32)
    rows[: len(waiting)] = [row for row, _ in waiting]
    patches = {name: np.zeros((PATCHES_A_TRANSFER, array.shape[1]), array.dtype) for name, array in held.items()}
    for place, (_, patch) in enumerate(waiting):
        for name, array in patch.items():
            patches[name][place] = array.reshape(-1)
    return _written(held, *jax.device_put((rows, patches, np.int32(len(waiting))), device))


@partial(jax.jit, donate_argnums=0)
def _written(held: Arrays, rows: jax.Array, patches: Arrays, count: jax.Array) -> Arrays:
    def write(place: jax.Array, arrays: Arrays) -> Arrays:
        start = rows[place], jnp.zeros_like(rows[place])
        return {
            name: lax.dynamic_update_slice(array, lax.dynamic_index_in_dim(patches[name], place), start)
            for name, array in arrays.items()
        }

    return lax.fori_loop(jnp.zeros_like(count), count, write, held)


def _joined(held: list[Arrays], mesh: Mesh) -> Arrays:
    def join(*parts: jax.Array) -> jax.Array:
        shape = (len(parts[0]) * mesh.size, parts[0].shape[1])
        return jax.make_array_from_single_device_arrays(shape, batch_sharding(mesh), parts)

    joined: Arrays = jax.tree.map(join, *held)
    return joined


def _check_fit(needed_bytes: int, free_bytes: float) -> None:
    if needed_bytes > RESIDENT_SHARE * free_bytes:
        raise UserError(
            f"--cache device needs {needed_bytes / 1e9:.2f} GB of each device for its share of the patches, and may "
            f"take {100 * RESIDENT_SHARE:.0f} % of the {free_bytes / 1e9:.2f} GB that are free: use --cache host, or "
            "more devices"
        )


def _free_bytes(mesh: Mesh) -> float:
    """What is free on the device that has the least, over all processes; infinite where no device tells."""
    sharers = len(mesh.local_devices) * processes_here()
    free = [_free_on(device, sharers) for device in mesh.local_devices]
    least = min((found for found in free if found is not None), default=None)
    limit = np.iinfo(np.int32).max  # int64 may not pass
    everyones = multihost_utils.process_allgather(np.int32(limit if least is None else min(least // MEGABYTE, limit)))
    megabytes = int(np.min(everyones))
    return np.inf if megabytes == limit else float(megabytes * MEGABYTE)


def _free_on(device: Any, sharers: int) -> int | None:
    """Bytes; a device without memory of its own has its share of the host's."""
    told = device.memory_stats() or {}
    if "bytes_limit" in told:
        return int(told["bytes_limit"] - told.get("bytes_in_use", 0))
    available = available_memory()
    return None if available is None or device.platform != "cpu" else available // sharers
