"""Edge: the patches that a host needs, decoded once and held in its memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jaxmask import pixels
from jaxmask.memory import available_memory, processes_here
from jaxmask.order import PADDING
from jaxmask.patch_index import PatchIndex
from jaxmask.pixels import Patch
from jaxmask.shard_patches import read_all
from preprocess.errors import UserError


class HostPatches:
    """Patches by number, as ShardPatches gives them, bit for bit; of the others none is read or held.

    All processes must make theirs together. Raises UserError where they don't fit into the host's memory.
    """

    def __init__(self, index: PatchIndex, numbers: NDArray[np.int64], *, quiet: bool = False) -> None:
        held = np.unique(numbers[numbers != PADDING])
        shape = (len(held), index.patch_size, index.patch_size)
        _check_memory(len(held) * pixels.kept_bytes(index.patch_size))
        self._row = np.full(len(index), PADDING, np.int64)
        self._row[held] = np.arange(len(held))
        self._patches: Patch = {
            "image": np.empty((*shape, pixels.CHANNELS), np.int16),
            "label": np.empty((*shape, 1), np.uint8),
            "weight": np.empty((*shape, 1), np.uint8),
        }
        for number, patch in read_all(index, held, quiet=quiet):
            for name, array in patch.items():
                self._patches[name][self._row[number]] = array

    def __len__(self) -> int:
        return len(self._patches["image"])

    def __getitem__(self, number: int) -> Patch:
        row = self._row[number]
        if row == PADDING:
            raise IndexError(f"patch {number} is not one of the {len(self)} that this host holds")
        return {name: array[row] for name, array in self._patches.items()}


def _check_memory(needed_bytes: int) -> None:
    available = available_memory()  # before the others fill theirs, for whom all wait
    processes = processes_here()
    if available is not None and processes * needed_bytes > available:
        among = f" of {processes} processes" if processes > 1 else ""
        raise UserError(
            f"--cache host needs {processes * needed_bytes / 1e9:.1f} GB of this host's memory for the decoded "
            f"patches{among}, {available / 1e9:.1f} GB are available: use --cache none, or more hosts"
        )
