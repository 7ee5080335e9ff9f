"""Edge: what a training reads: the batches of its parts, kept and placed as --cache says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import grain
import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from jaxmask.host_cache import HostPatches
from jaxmask.mesh import to_global
from jaxmask.order import PADDING, deal, shuffled_rows, turn_codes
from jaxmask.patch_index import PatchIndex, index_patches
from jaxmask.pixels import Patch
from jaxmask.shard_patches import ShardPatches, blank
from jaxmask.training_set import TrainShard
from preprocess.pool import available_cores

MOST_THREADS = 4
BATCHES_AHEAD = 4

HostBatch = dict[str, NDArray[Any]]  # this host's places of a batch
Batch = dict[str, jax.Array]  # image (B, P, P, 9) int16, label and weight (B, P, P, 1) uint8[, turn (B,) uint8]


class PatchSource(Protocol):
    """Random access to patches: image (P, P, 9) int16, label and weight (P, P, 1) uint8 of 0 and 1."""

    def __getitem__(self, number: int) -> Patch:
        """Patch `number`."""


@dataclass(frozen=True)
class Feed:
    """One part of the data: all that training, validation or testing sees of it. Epochs count from 1, steps from 0."""

    patches: int
    steps: int  # of an epoch, on every host; the last one padded by patches of weight 0
    batches: Callable[[int, int], Iterator[HostBatch]]  # (epoch, first step): from there on; epoch 0 is unshuffled
    place: Callable[[HostBatch], Batch]  # this host's part -> the whole batch, divided over the devices
    products: Callable[[int, int], tuple[str, ...]]  # (epoch, step): the products in that whole batch, sorted


@dataclass(frozen=True)
class Order:
    """The order of a part's epochs."""

    dealt: NDArray[np.int64]  # (steps, B), of order.deal
    seed: int | None
    augment: bool

    def rows(self, epoch: int) -> NDArray[np.int64]:
        """Which row of `dealt` each place takes at each step."""
        if self.seed is None or epoch == 0:
            return np.broadcast_to(np.arange(len(self.dealt))[:, None], self.dealt.shape)
        return shuffled_rows(self.dealt, self.seed, epoch)

    def numbers(self, epoch: int) -> NDArray[np.int64]:
        """The patch of each place at each step, or PADDING."""
        return np.take_along_axis(self.dealt, self.rows(epoch), axis=0)

    def turns(self, epoch: int) -> NDArray[np.uint8] | None:
        """The code of each place's turn at each step; None where nothing is ever turned."""
        if self.seed is None or not self.augment:
            return None
        return turn_codes(self.dealt.shape, self.seed, epoch) * np.uint8(epoch > 0)


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
    own = _own_places(mesh, global_batch)
    source = ShardPatches(index) if cache == "none" else HostPatches(index, order.dealt[:, own], quiet=quiet)

    def batches(epoch: int, first_step: int) -> Iterator[HostBatch]:
        turns = order.turns(epoch)
        numbers = order.numbers(epoch)[first_step:, own]
        return read_ahead(source, numbers, None if turns is None else turns[first_step:, own], patch_size)

    return Feed(
        patches=len(index),
        steps=len(order.dealt),
        batches=batches,
        place=lambda batch: to_global(mesh, batch),
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
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=BATCHES_AHEAD)
    return iter(grain.MapDataset.source(_Steps(source, numbers, turns, patch_size)).to_iter_dataset(options))


class _Steps:
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


def _products(index: PatchIndex, numbers: NDArray[np.int64]) -> tuple[str, ...]:
    shards = np.unique(index.shard[numbers[numbers != PADDING]])
    return tuple(sorted(index.names[shard] for shard in shards))


def _own_places(mesh: Mesh, global_batch: int) -> NDArray[np.int64]:
    """The places that this process gives to `to_global`: those of its devices, in their order on the mesh."""
    places = np.arange(global_batch).reshape(mesh.size, -1)
    ours = [device.process_index == jax.process_index() for device in mesh.devices.flat]
    return places[ours].reshape(-1)
