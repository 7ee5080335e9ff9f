"""Edge: patches read from shards, as training keeps them: counts of int16, labels and weights of uint8."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grain
import h5py
import numpy as np
from numpy.typing import NDArray

from jaxmask import pixels
from jaxmask.patch_index import PatchIndex
from jaxmask.pixels import Patch
from preprocess.chunks import DAMAGE
from preprocess.errors import UserError
from preprocess.pool import available_cores
from preprocess.progress import progress
from preprocess.shard import ShardWindows

DATASETS = ("refs", "bts", "bayes", "valid", "label_valid")
MOST_THREADS = 16  # that read shards, each of which holds one decoded, 100 MB
OPEN_FILES = 64  # well below the usual limit of 1024 descriptors a process


class ShardPatches:
    """Patches read from the shards each time: image (P, P, 9) int16, label and weight (P, P, 1) uint8.

    Files are opened at first use, kept while few, and left behind when the source is pickled. Threads unpack side by
    side: a file that is dropped closes when the last of them has done with it.
    """

    def __init__(self, index: PatchIndex) -> None:
        self.index = index
        self._open: OrderedDict[int, ShardWindows] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Patch:
        shard, size = int(self.index.shard[number]), self.index.patch_size
        row, column = int(self.index.row[number]), int(self.index.column[number])
        path, down, across = self.index.paths[shard], slice(row, row + size), slice(column, column + size)
        return _decode(_read(self._windows(shard), path, down, across), path)

    def __getstate__(self) -> dict[str, Any]:
        return {"index": self.index}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["index"])  # type: ignore[misc]

    def _windows(self, shard: int) -> ShardWindows:
        with self._lock:
            if shard not in self._open:
                if len(self._open) >= OPEN_FILES:
                    self._open.popitem(last=False)
                self._open[shard] = ShardWindows(_opened(self.index.paths[shard]))
            self._open.move_to_end(shard)
            return self._open[shard]


def read_all(index: PatchIndex, numbers: NDArray[np.int64], *, quiet: bool = False) -> Iterator[tuple[int, Patch]]:
    """Yield patches `numbers` (different ones), each with its number, shard by shard; threads read shards ahead."""
    shards = np.unique(index.shard[numbers]).tolist()
    if not shards:
        return
    wanted = [np.sort(numbers[index.shard[numbers] == shard]) for shard in shards]
    threads = min(MOST_THREADS, available_cores())
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
    read = grain.MapDataset.source(wanted).map(partial(_patches_of_one, index)).to_iter_dataset(options)
    with progress(len(shards), "decode", "shards", quiet=quiet) as advance:
        for found in read:
            advance(1, "")
            yield from found


def _patches_of_one(index: PatchIndex, numbers: NDArray[np.int64]) -> list[tuple[int, Patch]]:
    """Patches of one shard, cut from one reading of what they span, as chunks are shared between them.

    Each is decoded by itself: a patch stays in the processor's caches, a product doesn't.
    """
    size, rows, columns = index.patch_size, index.row[numbers], index.column[numbers]
    path = index.paths[index.shard[numbers[0]]]
    down, across = _extent(rows, size), _extent(columns, size)
    with _opened(path) as file:
        whole = _read(ShardWindows(file), path, down, across)
    found = []
    for number, row, column in zip(numbers.tolist(), rows - down.start, columns - across.start, strict=True):
        window = slice(row, row + size), slice(column, column + size)
        found.append((number, _decode({name: array[window] for name, array in whole.items()}, path)))
    return found


def _extent(starts: NDArray[np.int32], size: int) -> slice:
    return slice(int(starts.min()), int(starts.max()) + size)


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(
            f"{path}: the shard can't be opened any more ({error}): put it back, or convert the product again"
        ) from error


def _read(windows: ShardWindows, path: Path, rows: slice, columns: slice) -> dict[str, NDArray[Any]]:
    try:
        return windows.read(DATASETS, rows, columns)
    except MemoryError:
        raise
    except DAMAGE as error:
        raise UserError(
            f"{path}: rows {rows.start} to {rows.stop} can't be read ({error}): the shard is damaged; "
            "convert the product again"
        ) from error


def _decode(found: dict[str, NDArray[Any]], path: Path) -> Patch:
    image = pixels.image(found["refs"], found["bts"])
    if not np.isfinite(image).all():
        raise UserError(
            f"{path}: it holds a reflectance or temperature that is infinite or not a number, from which nothing can "
            "be learnt: convert the product again"
        )
    return {
        "image": pixels.quantise(image),
        "label": pixels.label(found["bayes"]).astype(np.uint8),
        "weight": pixels.weight(found["valid"], found["label_valid"]).astype(np.uint8),
    }
