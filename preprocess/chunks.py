"""Edge: the numbers of one HDF5 dataset, its chunks inflated straight from the bytes of the file that holds it."""

from __future__ import annotations

import math
from typing import NamedTuple

import deflate
import h5py
import numpy as np

MAX_ARRAY_BYTES = 256 * 2**20  # the largest dataset of a full product, in float64, has 58 MB
SIGNATURE = b"\x89HDF\r\n\x1a\n"
DEFLATE = [h5py.h5z.FILTER_DEFLATE]
SHUFFLE_DEFLATE = [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]
ZLIB_HEADER_BYTES, ZLIB_SUM_BYTES = 2, 4  # RFC 1950
# What a damaged file makes h5py raise; and we, ValueError.
DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, MemoryError, SystemError)

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """How a dataset is stored."""

    shape: Shape
    dtype: np.dtype
    parts: Shape  # of a chunk; () if it isn't stored in chunks
    filters: list[tuple[int, Shape]]  # code and parameters, in the order of writing
    elsewhere: bool  # other files hold its numbers


class Chunk(NamedTuple):
    """Where one chunk lies: first element, in the dataset; first byte and length, in the file."""

    start: Shape
    byte_start: int
    size: int


def read_array(
    file: bytes | bytearray, dataset: h5py.h5d.DatasetID, out: np.ndarray | None = None, *, verified: bool = False
) -> np.ndarray:
    """All numbers of `dataset` in native byte order, in `out` (C-contiguous, its shape and dtype) if that is given.

    `file` are the bytes that `dataset` was opened from; where they are `verified` to be those that were written, the
    weaker Adler-32 sums of the chunks are not worked out again. Chunks filtered by shuffle and deflate, or by deflate
    alone, are inflated by libdeflate, three times as fast as by HDF5's zlib; every other layout is read by HDF5.
    Raises one of DAMAGE if anything contradicts itself: an Adler-32 sum, a size, a place outside the file or the
    array; or if the array is too large to be believed.
    """
    layout = _layout(dataset)
    _check_size(layout)
    native = layout.dtype.newbyteorder("=")
    if out is None:
        out = np.empty(layout.shape, native)
    elif out.shape != layout.shape or out.dtype != native:
        raise ValueError(f"expected {out.dtype} numbers of shape {out.shape}; found {native} {layout.shape}")
    chunks = _plain_chunks(file, dataset, layout)
    if chunks is not None:
        shuffled = len(layout.filters) == len(SHUFFLE_DEFLATE)
        for chunk in chunks:
            packed = memoryview(file)[chunk.byte_start : chunk.byte_start + chunk.size]
            size = math.prod(layout.parts) * native.itemsize
            unpacked = inflate_verified(packed, size) if verified else inflate(packed, size)
            _place(unpacked, chunk.start, out, layout.parts, shuffled=shuffled)
    elif out.size:
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, out)
    return out


def _layout(dataset: h5py.h5d.DatasetID) -> Layout:
    created = dataset.get_create_plist()
    kind = created.get_layout()
    filters = [created.get_filter(index) for index in range(created.get_nfilters())]
    return Layout(
        shape=dataset.shape,
        dtype=dataset.dtype,
        parts=created.get_chunk() if kind == h5py.h5d.CHUNKED else (),
        filters=[(code, values) for code, _, values, _ in filters],
        elsewhere=kind == h5py.h5d.VIRTUAL or created.get_external_count() > 0,
    )


def _check_size(layout: Layout) -> None:
    """Nothing of an absurd size is allocated, here or in HDF5; and nobody else's files are read."""
    for what, shape in (("an array", layout.shape), ("a chunk", layout.parts)):
        size = math.prod(shape) * layout.dtype.itemsize
        if size > MAX_ARRAY_BYTES:
            raise ValueError(f"{what} of {size} bytes; at most {MAX_ARRAY_BYTES} are believable")
    if layout.elsewhere:
        raise ValueError("its numbers lie in other files")


def _plain_chunks(file: bytes | bytearray, dataset: h5py.h5d.DatasetID, layout: Layout) -> list[Chunk] | None:
    """Every chunk, if all are there and plainly (shuffled and) deflated numbers; None if HDF5 had better read them."""
    dtype = layout.dtype
    codes = [code for code, _ in layout.filters]
    if not layout.parts or not math.prod(layout.shape) or codes not in (SHUFFLE_DEFLATE, DEFLATE):
        return None
    if codes == SHUFFLE_DEFLATE and layout.filters[0][1] != (dtype.itemsize,):
        return None
    if dtype.kind not in "fiu" or dtype.str[0] == ">" or not dtype.isnative or not file.startswith(SIGNATURE):
        return None
    if dataset.get_type() != h5py.h5t.py_create(dtype):  # numbers of fewer bits than they take up
        return None
    found: list[h5py.h5d.StoreInfo] = []
    dataset.chunk_iter(found.append)
    unpacked_bytes = math.prod(layout.parts) * dtype.itemsize
    # Chunks over the edge may be stored as they are, without any sign of it but their size.
    if any(info.filter_mask or info.size == unpacked_bytes for info in found):
        return None
    chunks = [Chunk(tuple(info.chunk_offset), info.byte_offset, info.size) for info in found]
    _check_places(chunks, layout.shape, layout.parts, len(file))
    expected = math.prod(-(-side // part) for side, part in zip(layout.shape, layout.parts, strict=True))
    return chunks if len(chunks) == expected else None


def _check_places(chunks: list[Chunk], shape: Shape, parts: Shape, file_bytes: int) -> None:
    for chunk in chunks:
        inside = all(
            start < side and start % part == 0 for start, side, part in zip(chunk.start, shape, parts, strict=True)
        )
        if not inside:
            raise ValueError(f"a chunk at {chunk.start} of an array {shape} in chunks of {parts}")
        if chunk.byte_start + chunk.size > file_bytes:
            raise ValueError(f"a chunk ends at byte {chunk.byte_start + chunk.size} of a file of {file_bytes}")
    if len({chunk.start for chunk in chunks}) != len(chunks):
        raise ValueError("two chunks of one place")


def _place(unpacked: bytearray, start: Shape, out: np.ndarray, parts: Shape, *, shuffled: bool) -> None:
    """Put into `out` what of a chunk of shape `parts` that begins at `start` lies inside."""
    kept = tuple(min(part, side - first) for first, part, side in zip(start, parts, out.shape, strict=True))
    target = out[tuple(slice(first, first + length) for first, length in zip(start, kept, strict=True))]
    inside = tuple(slice(length) for length in kept)
    if shuffled and out.dtype.itemsize > 1:
        planes = np.frombuffer(unpacked, np.uint8).reshape(out.dtype.itemsize, *parts)
        unshuffle(planes[:, *inside], target)
    else:
        target[...] = np.frombuffer(unpacked, out.dtype).reshape(parts)[inside]


def inflate_verified(packed: memoryview, size: int) -> bytearray:
    """As `inflate` of a zlib stream that is known to be what was written: its sum is not worked out again."""
    return inflate(packed[ZLIB_HEADER_BYTES:-ZLIB_SUM_BYTES], size, raw=True)


def inflate(packed: memoryview | bytes | bytearray, size: int, *, raw: bool = False) -> bytearray:
    """The `size` bytes of a zlib stream, its sum checked, or of a `raw` deflated one without header and sum.

    Raises ValueError if it is damaged, or holds fewer bytes or more; more are never made.
    """
    try:
        unpacked: bytearray = (deflate.deflate_decompress if raw else deflate.zlib_decompress)(packed, size)
    except deflate.DeflateError as error:
        raise ValueError(f"{len(packed)} bytes don't inflate to {size}: damaged, or of another size") from error
    if len(unpacked) != size:
        raise ValueError(f"{len(packed)} bytes don't inflate to {size}, but to {len(unpacked)}")
    return unpacked


def unshuffle(planes: np.ndarray, target: np.ndarray) -> None:
    """Undo HDF5's shuffle filter: planes (itemsize, ...) u1, lowest byte first, into `target` (...), little-endian."""
    # Two bytes at a time by arithmetic on whole rows, which takes a third of the time of writing single bytes.
    pairs = len(planes) // 2
    numbers = target.view(np.uint16)
    for pair in range(pairs):
        joined = np.multiply(planes[2 * pair + 1], np.uint16(256))
        np.add(joined, planes[2 * pair], out=joined)
        numbers[..., pair::pairs] = joined
