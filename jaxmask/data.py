"""Edge: patches of shards by number, and the batches of a pass over them, through grain."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import grain
import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jaxmask import pixels
from jaxmask.pixels import Patch
from jaxmask.split import PADDING
from jaxmask.tiles import patch_origins
from jaxmask.training_set import TrainShard
from preprocess.chunks import DAMAGE
from preprocess.errors import UserError
from preprocess.pool import available_cores
from preprocess.shard import ShardWindows

DATASETS = ("refs", "bts", "bayes", "valid", "label_valid")
OPEN_FILES = 64  # well below the usual limit of 1024 descriptors a process
MOST_THREADS = 4
BATCHES_AHEAD = 4
CACHED_BYTES_PER_PIXEL = 4 * pixels.CHANNELS + 2
MEMORY_INFO = Path("/proc/meminfo")
CGROUP_MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")


class PatchSource(Protocol):
    """Random access to patches: image (P, P, 9) normalised, label and weight (P, P, 1) of 0 and 1, all float32."""

    patch_size: int

    def __len__(self) -> int:
        """The number of patches."""

    def __getitem__(self, index: int) -> Patch:
        """Patch number `index`."""


@dataclass(frozen=True)
class PatchIndex:
    """Where each patch lies: products in the order given, each product's patches row by row."""

    paths: tuple[Path, ...]
    shard: NDArray[np.int32]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    patch_size: int


def index_patches(shards: Sequence[TrainShard], patch_size: int) -> PatchIndex:
    """Lay the centred grid of patches over every shard."""
    origins = [patch_origins(shard.height, shard.width, patch_size) for shard in shards]
    numbers = np.repeat(np.arange(len(shards), dtype=np.int32), [len(grid) for grid in origins])
    corners = np.concatenate([np.zeros((0, 2), np.int64), *origins]).astype(np.int32)
    return PatchIndex(tuple(shard.path for shard in shards), numbers, corners[:, 0], corners[:, 1], patch_size)


class ShardPatches:
    """Patches read from the shards each time.

    Files are opened at first use, kept while few, and left behind when the source is pickled. Threads unpack side by
    side: a file that is dropped closes when the last of them has done with it.
    """

    def __init__(self, index: PatchIndex) -> None:
        self.index = index
        self.patch_size = index.patch_size
        self._open: OrderedDict[int, ShardWindows] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.index.shard)

    def __getitem__(self, index: int) -> Patch:
        shard, size = int(self.index.shard[index]), self.patch_size
        row, column = int(self.index.row[index]), int(self.index.column[index])
        windows = self._windows(shard)
        return _decode(_read(windows, self.index.paths[shard], slice(row, row + size), slice(column, column + size)))

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


class CachedPatches:
    """The same patches, all held in memory: images float32, labels and weights uint8."""

    def __init__(self, index: PatchIndex, *, quiet: bool = False) -> None:
        self.patch_size = index.patch_size
        shape = (len(index.shard), index.patch_size, index.patch_size)
        _check_memory(int(np.prod(shape)) * CACHED_BYTES_PER_PIXEL)
        self._image = np.empty((*shape, pixels.CHANNELS), np.float32)
        self._label = np.empty((*shape, 1), np.uint8)
        self._weight = np.empty((*shape, 1), np.uint8)
        for shard in tqdm(range(len(index.paths)), desc="decoding", unit="shard", disable=True if quiet else None):
            self._fill(index, shard)

    def _fill(self, index: PatchIndex, shard: int) -> None:
        """Decode one shard's patches from a single reading, as chunks are shared between patches."""
        size, numbers = index.patch_size, np.flatnonzero(index.shard == shard)
        rows, columns, path = index.row[numbers], index.column[numbers], index.paths[shard]
        down, across = _extent(rows, size), _extent(columns, size)
        with _opened(path) as file:
            whole = _decode(_read(ShardWindows(file), path, down, across))
        for number, row, column in zip(numbers, rows - down.start, columns - across.start, strict=True):
            self._image[number] = whole["image"][row : row + size, column : column + size]
            self._label[number] = whole["label"][row : row + size, column : column + size]
            self._weight[number] = whole["weight"][row : row + size, column : column + size]

    def __len__(self) -> int:
        return len(self._image)

    def __getitem__(self, index: int) -> Patch:
        return {
            "image": self._image[index],
            "label": self._label[index].astype(np.float32),
            "weight": self._weight[index].astype(np.float32),
        }


def open_patches(
    shards: Sequence[TrainShard], patch_size: int, cache: Literal["none", "host"], *, quiet: bool = False
) -> PatchSource:
    """Return the patches of `shards`, read each time or held in memory: the same numbers bit for bit."""
    index = index_patches(shards, patch_size)
    return ShardPatches(index) if cache == "none" else CachedPatches(index, quiet=quiet)


def batches(source: PatchSource, slots: NDArray[np.int64]) -> Iterator[Patch]:
    """Yield one host's batches: for each row of `slots` (steps, B) the patches of those numbers, stacked.

    PADDING gives a patch of zeros with weight 0. Threads read ahead; they never touch an accelerator.
    """
    threads = min(MOST_THREADS, available_cores())
    dataset = grain.MapDataset.source(_Slots(source, slots.ravel())).batch(slots.shape[1])
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=BATCHES_AHEAD)
    return iter(dataset.to_iter_dataset(options))


class _Slots:
    """A pass over a source: its patches in the order of `numbers`, blank ones at PADDING."""

    def __init__(self, source: PatchSource, numbers: NDArray[np.int64]) -> None:
        self._source = source
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> Patch:
        number = int(self._numbers[place])
        return _blank(self._source.patch_size) if number == PADDING else self._source[number]


def _blank(size: int) -> Patch:
    flat = (size, size, 1)
    return {
        "image": np.zeros((size, size, pixels.CHANNELS), np.float32),
        "label": np.zeros(flat, np.float32),
        "weight": np.zeros(flat, np.float32),
    }


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


def _decode(found: dict[str, NDArray[Any]]) -> Patch:
    return {
        "image": pixels.image(found["refs"], found["bts"]),
        "label": pixels.label(found["bayes"]),
        "weight": pixels.weight(found["valid"], found["label_valid"]),
    }


def _check_memory(needed: int) -> None:
    available = _available_memory()
    if available is not None and needed > available:
        raise UserError(
            f"--cache host needs {needed / 1e9:.1f} GB of memory for the decoded patches, {available / 1e9:.1f} GB are "
            "available: use --cache none"
        )


def _available_memory() -> int | None:
    """Bytes that can be had without swapping, at most what the container allows; None where the system doesn't tell."""
    lines = _text(MEMORY_INFO).splitlines()
    limits = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    allowed = _text(CGROUP_MEMORY_MAX).strip()
    return min([*limits, int(allowed)] if allowed.isdecimal() else limits, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
