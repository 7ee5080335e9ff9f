"""In what order patches come, and how each is turned: pure functions of (seed, epoch, position).

Position is a place in the whole batch of a step, over all devices and hosts. Patches are dealt to the places once a
training, and each place draws from its own ever after, shuffled anew each epoch: every batch draws alike from each
place's patches, and a host or a device needs no others than those of its places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PADDING = -1
TURNS = 8  # of a square: a quarter turn and a flip make them all; pixels.turned tells what each code does
DEALING_EPOCH = 0
ORDER_STREAM, TURN_STREAM = 0, 1
BITS_OF_SEED = 32


@dataclass(frozen=True)
class Order:
    """The order of all epochs of a part, and how its patches are turned in them."""

    dealt: NDArray[np.int64]  # (steps, B), of `deal`
    seed: int | None  # None: in order, and never turned, whatever the epoch
    augment: bool

    def rows(self, epoch: int) -> NDArray[np.int64]:
        """Which row of `dealt` each place takes at each step, (steps, B); epoch 0 is unshuffled."""
        if self.seed is None or epoch == 0:
            return np.broadcast_to(np.arange(len(self.dealt))[:, None], self.dealt.shape)
        return shuffled_rows(self.dealt, self.seed, epoch)

    def numbers(self, epoch: int) -> NDArray[np.int64]:
        """The patch of each place at each step, (steps, B), or PADDING."""
        return np.take_along_axis(self.dealt, self.rows(epoch), axis=0)

    def turns(self, epoch: int) -> NDArray[np.uint8] | None:
        """The code of each place's turn at each step, (steps, B), all 0 in epoch 0; None where nothing is turned."""
        if self.seed is None or not self.augment:
            return None
        return turn_codes(self.dealt.shape, self.seed, epoch) * np.uint8(epoch > 0)


def permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return an order of range(count) that depends on (seed, epoch) alone, now and in later versions of NumPy."""
    return np.argsort(_keys(count, seed, epoch, ORDER_STREAM), kind="stable").astype(np.int64)


def step_count(count: int, global_batch: int) -> int:
    """Return the steps that use each of `count` patches once, the last one padded."""
    return -(-count // global_batch)


def deal(count: int, global_batch: int, seed: int | None) -> NDArray[np.int64]:
    """Deal the numbers of patches to the places of a batch: (steps, global_batch), PADDING at the end of the last step.

    Column b holds the patches of place b. `seed` None deals them in order: patch s * global_batch + b at step s.
    """
    dealt = np.full(step_count(count, global_batch) * global_batch, PADDING, np.int64)
    dealt[:count] = np.arange(count) if seed is None else permutation(count, seed, DEALING_EPOCH)
    return dealt.reshape(-1, global_batch)


def shuffled_rows(dealt: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """Return which row of `dealt` each place takes at each step of an epoch: each column a shuffle of its own.

    `np.take_along_axis(dealt, rows, 0)` is the epoch's order. Padding stays in the last step.
    """
    keys = _keys(dealt.size, seed, epoch, ORDER_STREAM).reshape(dealt.shape)
    keys[dealt == PADDING] = np.iinfo(keys.dtype).max
    return np.argsort(keys, axis=0, kind="stable")  # stable, so that padding, which comes last, wins no tie


def turn_codes(shape: tuple[int, ...], seed: int, epoch: int) -> NDArray[np.uint8]:
    """Return how each place's patch is turned at each step, (steps, global_batch): 0 as it is, below TURNS."""
    keys = _keys(math.prod(shape), seed, epoch, TURN_STREAM).reshape(shape)
    return (keys >> np.uint64(64 - (TURNS - 1).bit_length())).astype(np.uint8)


def _keys(count: int, seed: int, epoch: int, stream: int) -> NDArray[np.uint64]:
    """Random numbers of 64 bits.

    The raw stream of a bit generator is under NumPy's compatibility guarantee, Generator's methods aren't (NEP 19).
    """
    key = np.array([seed | stream << BITS_OF_SEED, epoch], np.uint64)
    return np.asarray(np.random.Philox(key=key).random_raw(count))
