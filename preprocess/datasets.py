"""Edge: the datasets of a shard, in chunks that every HDF5 tool reads, and windows of them read faster than HDF5 does.

All are shuffled and deflated (single bytes deflated only). HDF5's zlib is slow, and only one thread at a time is let
into HDF5: here chunks pass its filters by, both ways, so that threads unpack side by side.

Every chunk carries the checksum of its zlib stream, which HDF5 and we compare on reading. The fletcher32 filter would
only add a second one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import h5py
import numpy as np

from preprocess.chunks import DAMAGE, inflate, unshuffle
from preprocess.planes import LEVEL, compress, noisy_planes, split_bytes

# A patch of 256 x 256 touches about nine chunks of 128, which hold twice its pixels. Smaller ones would cost more in
# calls than they save; the maps of one channel are small anyway.
LONGEST_SIDE = 128
LONGEST_SIDE_OF_MAPS = 256
WORDS: dict[int, np.dtype[np.unsignedinteger]] = {1: np.dtype("u1"), 2: np.dtype("u2"), 4: np.dtype("u4")}


def write_dataset(file: h5py.File, name: str, array: np.ndarray) -> h5py.Dataset:
    """Write `array` (H, W) or (H, W, channels), of 1, 2 or 4 bytes a number, as dataset `name`.

    Chunks hold all channels and divide the image as evenly as they can: what lies over its edge would be stored too.
    """
    channels = math.prod(array.shape[2:])
    longest = LONGEST_SIDE if channels > 1 else LONGEST_SIDE_OF_MAPS
    rows, columns = (_even_part(length, longest) for length in array.shape[:2])
    dataset: h5py.Dataset = file.create_dataset(
        name,
        array.shape,
        array.dtype.newbyteorder("<"),
        chunks=(rows, columns, *array.shape[2:]),
        shuffle=array.itemsize > 1,
        compression="gzip",
        compression_opts=LEVEL,
    )
    planes = np.zeros((array.itemsize, rows, columns * channels), np.uint8)
    for row in range(0, array.shape[0], rows):
        band = np.ascontiguousarray(array[row : row + rows])
        words = band.view(WORDS[array.itemsize]).reshape(len(band), -1)
        noisy = noisy_planes(words)
        for column in range(0, array.shape[1], columns):
            block = words[:, column * channels : (column + columns) * channels]
            if block.shape != planes.shape[1:]:
                planes[...] = 0
            split_bytes(block, planes[:, : block.shape[0], : block.shape[1]])
            dataset.id.write_direct_chunk((row, column, 0)[: array.ndim], compress(planes, noisy))
    return dataset


class DatasetReader:
    """Windows of one dataset of an open file, whatever its layout; ours are read fast. Threads may share a reader."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._shape = dataset.shape
        self._dtype = dataset.dtype
        self._chunk = dataset.chunks if _is_ours(dataset) else None

    def read(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Return the window (rows, columns[, channels]); raises OSError if a chunk of it is damaged."""
        if self._chunk and rows.step in (None, 1) and columns.step in (None, 1):
            try:
                return self._unpacked(self._chunk, rows, columns)
            except DAMAGE:
                pass  # a chunk never written, or without a filter, is HDF5's to read; of a damaged one its error tells
        window: np.ndarray = self._dataset[rows, columns]
        return window

    def _unpacked(self, chunk: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
        top, bottom, _ = rows.indices(self._shape[0])
        left, right, _ = columns.indices(self._shape[1])
        window = np.empty((max(0, bottom - top), max(0, right - left), *self._shape[2:]), self._dtype)
        for row, rows_inside, rows_there in _parts(top, bottom, chunk[0]):
            for column, columns_inside, columns_there in _parts(left, right, chunk[1]):
                planes = self._planes(chunk, (row, column, 0)[: len(chunk)])
                inside, target = planes[:, rows_inside, columns_inside], window[rows_there, columns_there]
                if len(planes) > 1:
                    unshuffle(inside, target)
                else:
                    target.view(np.uint8)[...] = inside[0]
        return window

    def _planes(self, chunk: tuple[int, ...], start: tuple[int, ...]) -> np.ndarray:
        skipped_filters, stream = self._dataset.id.read_direct_chunk(start)
        if skipped_filters:
            raise ValueError("a chunk without all of its filters")
        shape = (self._dtype.itemsize, *chunk)
        return np.frombuffer(inflate(stream, math.prod(shape)), np.uint8).reshape(shape)


def _even_part(length: int, longest: int) -> int:
    """The length of equal parts of `length`, as few as may be, none longer than `longest`."""
    return math.ceil(length / math.ceil(length / longest))


def _parts(first: int, last: int, length: int) -> Iterator[tuple[int, slice, slice]]:
    """The chunks that `first` to `last` touches: start, what of it lies inside, and where that lies from `first` on."""
    for start in range(first // length * length, last, length):
        begin, end = max(start, first), min(start + length, last)
        yield start, slice(begin - start, end - start), slice(begin - first, end - first)


def _is_ours(dataset: h5py.Dataset) -> bool:
    """Whether its chunks hold all channels of little-endian numbers, shuffled if of several bytes, and deflated."""
    if not dataset.chunks or dataset.ndim not in (2, 3) or dataset.chunks[2:] != dataset.shape[2:]:
        return False
    if dataset.dtype.itemsize not in WORDS or dataset.dtype != dataset.dtype.newbyteorder("<"):
        return False
    if dataset.compression != "gzip" or dataset.shuffle != (dataset.dtype.itemsize > 1):
        return False
    filters: int = dataset.id.get_create_plist().get_nfilters()
    return filters == 1 + dataset.shuffle
