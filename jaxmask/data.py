"""Edge: what a training reads: the batches of its parts, kept and placed as --cache says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import grain
import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from jaxmask.device_cache import open_resident
from jaxmask.host_cache import HostPatches
from jaxmask.mesh import own_places, to_global
from jaxmask.order import PADDING, Order, deal
from jaxmask.patch_index import PatchIndex, index_patches
from jaxmask.pixels import Patch, blank
from jaxmask.shard_patches import ShardPatches, read_all
from jaxmask.training_set import TrainShard
from preprocess.pool import available_cores

MOST_THREADS = 16
LEAST_AHEAD = 4  # batches; where there are more threads, one of each

HostBatch = dict[str, NDArray[Any]]  # this host's places of a batch
Batch = dict[str, jax.Array]  # image (B, P, P, 9) int16, label and weight (B, P, P, 1) uint8[, turn (B,) uint8]

Batches = Callable[[int, int], Iterator[HostBatch]]
Place = Callable[[HostBatch], Batch]


class PatchSource(Protocol):
    """Random access to patches: image (P, P, 9) int16, label and weight (P, P, 1) uint8 of 0 and 1."""

    def __getitem__(self, number: int) -> Patch:
        """Patch `number`."""


@dataclass(frozen=True)
class Feed:
    """One part of the data: all that training, validation or testing sees of it. Epochs count from 1, steps from 0."""

    patches: int
    steps: int  # of an epoch, on every host; the last one padded by patches of weight 0
    batches: Batches  # (epoch, first step): from there on; epoch 0 is unshuffled
    place: Place  # this host's part -> the whole batch, divided over the devices
    products: Callable[[int, int], tuple[str, ...]]  # (epoch, step): the products in that whole batch, sorted


def open_feed(
    shards: Sequence[TrainShard],
    *,
    patch_size: int,
    cache: Literal["none", "host", "device"],
    mesh: Mesh,
    global_batch: int,
    seed: int | None,
    augment: bool,
    quiet: bool,
) -> Feed:
    """Open the patches of `shards`: read each time, or held by the hosts or the devices; the same batches bit for bit.

    `seed` None gives them in order, whatever the epoch: for validation and test. `augment` turns and flips patches.
    All processes must call this together. Raises UserError where the patches can't be held.
    """
    index = index_patches(shards, patch_size)
    order = Order(deal(len(index), global_batch, seed), seed, augment)
    own = own_places(mesh, global_batch)
    opened = _open_resident if cache == "device" else partial(_open_source, cache=cache)
    batches, place = opened(index, order, own, mesh, quiet=quiet)
    return Feed(
        patches=len(index),
        steps=len(order.dealt),
        batches=batches,
        place=place,
        products=lambda epoch, step: _products(index, order.numbers(epoch)[step]),
    )


def read_ahead(
    source: PatchSource, numbers: NDArray[np.int64], turns: NDArray[np.uint8] | None, patch_size: int
) -> Iterator[HostBatch]:
    """Yield a batch for each row of `numbers` (steps, b): the patches of those numbers, stacked, and their turns.

    PADDING gives a patch of zeros with weight 0. Threads read ahead; they never touch an accelerator.
    """
    if not len(numbers):
        return iter(())
    threads = min(MOST_THREADS, available_cores())
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(LEAST_AHEAD, threads))
    return iter(grain.MapDataset.source(Steps(source, numbers, turns, patch_size)).to_iter_dataset(options))


class Steps:
    """The batches of a pass, by step."""

    def __init__(
        self, source: PatchSource, numbers: NDArray[np.int64], turns: NDArray[np.uint8] | None, patch_size: int
    ) -> None:
        self._source, self._numbers, self._turns, self._size = source, numbers, turns, patch_size

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, step: int) -> HostBatch:
        numbers = self._numbers[step].tolist()
        batch = {name: np.zeros((len(numbers), *array.shape), array.dtype) for name, array in blank(self._size).items()}
        for place, number in enumerate(numbers):
            if number != PADDING:
                for name, array in self._source[number].items():
                    batch[name][place] = array
        return batch if self._turns is None else batch | {"turn": self._turns[step]}


def _open_source(
    index: PatchIndex, order: Order, own: NDArray[np.int64], mesh: Mesh, *, cache: str, quiet: bool
) -> tuple[Batches, Place]:
    """Batches that come from the host: its own places' patches."""
    source = ShardPatches(index) if cache == "none" else HostPatches(index, order.dealt[:, own], quiet=quiet)

    def batches(epoch: int, first_step: int) -> Iterator[HostBatch]:
        numbers, turns = order.numbers(epoch)[first_step:, own], order.turns(epoch)
        return read_ahead(source, numbers, None if turns is None else turns[first_step:, own], index.patch_size)

    return batches, partial(to_global, mesh)


def _open_resident(
    index: PatchIndex, order: Order, own: NDArray[np.int64], mesh: Mesh, *, quiet: bool
) -> tuple[Batches, Place]:
    """Batches that are on the devices already: the host says which rows, and how they are turned."""
    resident = open_resident(index, order.dealt, mesh, partial(read_all, quiet=quiet))

    def batches(epoch: int, first_step: int) -> Iterator[HostBatch]:
        rows, turns = resident.rows(order.dealt, order.rows(epoch), own), order.turns(epoch)
        for step in range(first_step, len(rows)):
            yield {"row": rows[step]} | ({} if turns is None else {"turn": turns[step, own]})

    def place(batch: HostBatch) -> Batch:
        placed = to_global(mesh, batch)
        return resident.gather(resident.arrays, placed.pop("row")) | placed

    return batches, place


def _products(index: PatchIndex, numbers: NDArray[np.int64]) -> tuple[str, ...]:
    shards = np.unique(index.shard[numbers[numbers != PADDING]])
    return tuple(sorted(index.names[shard] for shard in shards))
