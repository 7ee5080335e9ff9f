"""A chunk's bytes by their significance, and zlib streams that store noise and deflate the rest.

The low bytes of measured float32 numbers are noise: deflate spends nearly all its time on them and saves little, and
inflating them takes as long. Its format may change from block to block, so that one stream can hold the planes of low
bytes as they are, at the speed of copying, and the others deflated; the stream's checksum covers both. To a reader it
is the chunk of any dataset with HDF5's shuffle and deflate filters.
"""

from __future__ import annotations

import struct
from itertools import groupby

import numpy as np
from isal import igzip_lib, isal_zlib
from numpy.typing import NDArray

LEVEL = 1  # of isal's 0 to 3: faster than 0 on planes that deflate well, and 2 hardly saves more

# A plane is noise if a sample of it, pieces of 64 numbers spread over it, keeps more than this share when deflated.
MOST_KEPT = 0.5
PIECE = 64
PIECES = 256
# Of a chunk amid noise, every so many bytes are looked at: where they are all the same (night, fill) it has none.
EVERY_BYTE = 499

# RFC 1950: deflate with a window of 32 KiB, no dictionary, fastest. RFC 1951: a last block that is empty; the most
# bytes of a stored block, whose header is one byte (not the last, stored), their number, and its complement.
HEADER = b"\x78\x01"
LAST_BLOCK = b"\x03\x00"
STORED_BYTES = 65535


def split_bytes(words: NDArray[np.unsignedinteger], planes: NDArray[np.uint8]) -> None:
    """Put the bytes of `words` (R, C), u1, u2 or u4, into `planes` (bytes a word, R, C), the least significant first.

    So HDF5's shuffle filter orders the bytes of little-endian numbers.
    """
    np.copyto(planes[0], words, casting="unsafe")  # the lowest byte is all that fits
    if len(planes) > 1:
        rest = words >> 8
        np.copyto(planes[1], rest, casting="unsafe")
        for plane in planes[2:]:
            np.right_shift(rest, 8, out=rest)
            np.copyto(plane, rest, casting="unsafe")


def noisy_planes(words: NDArray[np.unsignedinteger]) -> list[bool]:
    """Which planes of `words` (R, C) are noise, judged by a sample: hundreds of chunks need not each be tried."""
    flat = words.reshape(-1)
    pieces = flat[: flat.size // PIECE * PIECE].reshape(-1, PIECE) if flat.size >= PIECE else flat[None]
    sample = pieces[:: max(1, len(pieces) // PIECES)].reshape(1, -1)
    planes = np.empty((words.itemsize, *sample.shape), np.uint8)
    split_bytes(sample, planes)
    kept = [len(igzip_lib.compress(plane, 0, igzip_lib.COMP_DEFLATE)) for plane in planes]
    return [size > MOST_KEPT * sample.size for size in kept]


def compress(planes: NDArray[np.uint8], noisy: list[bool]) -> bytes:
    """Return `planes` (P, ...) as a zlib stream (RFC 1950), plane after plane, those that are `noisy` as they are."""
    flat = planes.reshape(len(planes), -1)
    noise = [stored and _varies(plane) for stored, plane in zip(noisy, flat, strict=True)]
    parts: list[bytes | memoryview] = [HEADER]
    for stored, run in groupby(range(len(flat)), key=noise.__getitem__):
        numbers = list(run)
        data = flat[numbers[0] : numbers[-1] + 1].reshape(-1)
        parts += _stored(data) if stored else _deflated(data)
    return b"".join([*parts, LAST_BLOCK, struct.pack(">I", isal_zlib.adler32(planes))])


def _varies(plane: NDArray[np.uint8]) -> bool:
    return bool((plane[::EVERY_BYTE] != plane[0]).any())


def _stored(data: NDArray[np.uint8]) -> list[bytes | memoryview]:
    parts: list[bytes | memoryview] = []
    for start in range(0, len(data), STORED_BYTES):
        block = data[start : start + STORED_BYTES]
        parts += [struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), block.data]
    return parts


def _deflated(data: NDArray[np.uint8]) -> list[bytes | memoryview]:
    deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    # Flushed so, it ends at a whole byte, without a last block.
    return [deflate.compress(data), deflate.flush(isal_zlib.Z_SYNC_FLUSH)]
