"""Batches for training end to end, without files: patches in memory, in training's own order, from either cache.

device: jaxmask.device_cache's gathering on the device. host: jaxmask.data's reading ahead by grain; where that is not
installed, plain threads do the same, and the report says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any

import jax
import numpy as np
from gpu_work import Arrays, random_batch
from jax.sharding import Mesh
from numpy.typing import NDArray

from jaxmask.device_cache import gatherer
from jaxmask.mesh import batch_sharding, replicated, to_global
from jaxmask.order import deal, shuffled_rows

DISTINCT = 64  # random patches, of which the set is made by shifting their rows
THREADS, BATCHES_AHEAD = 4, 4
SEED = 0
Batch = dict[str, jax.Array]


def synthetic_set(patches: int, patch: int) -> Arrays:
    """So many patches, none the same as another while there are fewer than DISTINCT times their rows."""
    few = random_batch(min(DISTINCT, patches), patch)
    made = {name: np.empty((patches, *array.shape[1:]), array.dtype) for name, array in few.items()}
    for first in range(0, patches, DISTINCT):
        part = slice(first, min(first + DISTINCT, patches))
        for name, array in few.items():
            made[name][part] = np.roll(array, first // DISTINCT, axis=1)[: part.stop - part.start]
    return made


def numbers_of_steps(patches: int, batch: int) -> Iterator[NDArray[np.int64]]:
    """Which patches each step takes, epoch after epoch; the last step of an epoch if it is full."""
    dealt = deal(patches, batch, SEED)
    for epoch in count(1):
        order = np.take_along_axis(dealt, shuffled_rows(dealt, SEED, epoch), axis=0)
        yield from order[: patches // batch]


def batches_of(cache: str, patches: int, patch: int, batch: int, mesh: Mesh) -> tuple[Iterator[Batch], str]:
    """Batches on the device without end, and what brings them; ValueError unless the set has a whole batch."""
    if patches < batch:
        raise ValueError(f"{patches} patches make no batch of {batch}")
    kept, steps = synthetic_set(patches, patch), numbers_of_steps(patches, batch)
    if cache == "device":
        return from_device(kept, steps, patch, mesh), "jaxmask.device_cache"
    try:
        from jaxmask.data import read_ahead
    except ImportError:
        return (to_global(mesh, found) for found in by_threads(kept, steps)), "threads, as grain is not installed"
    return from_grain(read_ahead, kept, steps, patches // batch, patch, mesh), "grain"


def from_device(kept: Arrays, steps: Iterator[NDArray[np.int64]], patch: int, mesh: Mesh) -> Iterator[Batch]:
    """From arrays on the device, by the numbers of patches."""
    gather = gatherer(mesh, patch, everywhere=True)
    flat = {name: array.reshape(len(array), -1) for name, array in kept.items()}
    resident = jax.device_put(flat, replicated(mesh))
    rows = (jax.device_put(numbers.astype(np.int32), batch_sharding(mesh)) for numbers in steps)
    return (gather(resident, each) for each in rows)


def from_grain(
    read_ahead: Any, kept: Arrays, steps: Iterator[NDArray[np.int64]], an_epoch: int, patch: int, mesh: Mesh
) -> Iterator[Batch]:
    """From arrays of the host, an epoch at a time, as jaxmask.train reads them."""
    while True:
        numbers = np.stack([next(steps) for _ in range(an_epoch)])
        for found in read_ahead(Held(kept), numbers, None, patch):
            yield to_global(mesh, found)


def by_threads(kept: Arrays, steps: Iterator[NDArray[np.int64]]) -> Iterator[Arrays]:
    """The same on plain threads, some batches ahead."""
    with ThreadPoolExecutor(THREADS) as pool:
        ahead: deque[Future[Arrays]] = deque()
        for numbers in steps:
            ahead.append(pool.submit(gathered, kept, numbers))
            if len(ahead) > BATCHES_AHEAD:
                yield ahead.popleft().result()


def gathered(kept: Arrays, numbers: NDArray[np.int64]) -> Arrays:
    """The patches of those numbers."""
    return {name: array[numbers] for name, array in kept.items()}


class Held:
    """Patches by number, as jaxmask.data.PatchSource has it."""

    def __init__(self, kept: Arrays) -> None:
        self._kept = kept

    def __getitem__(self, number: int) -> Arrays:
        return {name: array[number] for name, array in self._kept.items()}
