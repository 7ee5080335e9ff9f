"""Tiles that give the very same logits as the whole scene: each with a rim of HALO pixels that are then dropped.

Why 56 pixels: a logit at column o is made of columns o - 2 to o + 2 of the first level (two 3 x 3 convolutions). Those
are upsampled from columns (o - 2) // 2 to (o + 2) // 2 of the second level, which again are made of two more to each
side, and so down to the fourth level, whose column k is pooled from 8k to 8k + 7 of the first, each of the three
levels passed on the way up adding two of its own columns. So a logit at o reaches down to
    lowest(o) = 2 (2 (2 (f(f(f(o - 2) - 2) - 2) - 2) - 2) - 2) - 2,   f(x) = x // 2,
and at the worst alignment, o = 5 modulo 8, o - lowest(o) = 51; upwards the same at o = 2. Tiles begin at multiples of 8
so that the same pixels are pooled together as in the whole scene; 56 is the first multiple of 8 that is enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jaxmask.logits import Logits
from jaxmask.unet import SIZE_MULTIPLE

REACH = 51  # pixels: how far a logit depends on the image, at the worst alignment; tests/test_halo_tiles.py
HALO = math.ceil(REACH / SIZE_MULTIPLE) * SIZE_MULTIPLE
OVERLAP = 2 * HALO  # of neighbouring tiles


@dataclass(frozen=True)
class Line:
    """Tiles of one size along one axis: where each begins, and which pixels of the axis are taken from it."""

    length: int  # of the axis, padded to a multiple of 8
    size: int
    origins: tuple[int, ...]

    @property
    def kept(self) -> tuple[tuple[int, int], ...]:
        """First pixel, and the one behind the last, that each tile gives; side by side they are the axis."""
        starts = [0, *(origin + HALO for origin in self.origins[1:])]
        return tuple(zip(starts, [*starts[1:], self.length], strict=True))


def line(length: int, tiles: int) -> Line:
    """Lay `tiles` tiles over an axis of `length` pixels, a multiple of 8: as small as they can be, the last at its end.

    n tiles cover n * size - (n - 1) * 112 pixels: neighbours share two halos, the axis' ends have none.
    """
    size = _up(math.ceil((length + (tiles - 1) * OVERLAP) / tiles))
    stride = size - OVERLAP
    return Line(length, size, tuple(min(index * stride, length - size) for index in range(tiles)))


def plan(height: int, width: int, max_pixels: int) -> tuple[Line, Line]:
    """Tiles over an image (height, width, each a multiple of 8) of at most `max_pixels` each, for the least work.

    One tile, the whole image, where that is not too large; among equals, the fewest tiles.
    Raises ValueError if there is none so small: a tile must be wider than two halos, 120 x 120 for a large image.
    """
    rows, columns = ([line(length, tiles) for tiles in range(1, _most(length) + 1)] for length in (height, width))
    sizes = np.array([each.size for each in rows])[:, None] * np.array([each.size for each in columns])
    counts = np.arange(1, len(rows) + 1)[:, None] * np.arange(1, len(columns) + 1)
    work = np.where(sizes <= max_pixels, sizes * counts, np.inf)
    if not np.isfinite(work).any():
        raise ValueError(f"tiles of {height} x {width} pixels have at least {sizes.min()}; found {max_pixels} allowed")
    fewest = np.where(work == work.min(), counts, np.inf)
    row, column = np.unravel_index(np.argmin(fewest), fewest.shape)
    return rows[row], columns[column]


def tile_logits(logits: Logits, images: np.ndarray, max_pixels: int) -> np.ndarray:
    """Logits (B, H, W) float32 of normalised images (B, H, W, 9) float32, H and W any, tile by tile.

    One tile of each image at once, all tiles of one shape: the network is compiled once, and its memory does not grow
    with H and W. Beyond the image, up to a multiple of 8, are zeros as in `predict.padded`.
    """
    batch, height, width, channels = images.shape
    rows, columns = plan(_up(height), _up(width), max_pixels)
    found = np.empty((batch, rows.length, columns.length), np.float32)
    for top, (first_row, last_row) in zip(rows.origins, rows.kept, strict=True):
        for left, (first_column, last_column) in zip(columns.origins, columns.kept, strict=True):
            tile = np.zeros((batch, rows.size, columns.size, channels), images.dtype)
            part = images[:, top : top + rows.size, left : left + columns.size]
            tile[:, : part.shape[1], : part.shape[2]] = part
            inside = np.s_[:, first_row - top : last_row - top, first_column - left : last_column - left]
            found[:, first_row:last_row, first_column:last_column] = np.asarray(logits(tile))[inside]
    return found[:, :height, :width]


def _most(length: int) -> int:
    """The most tiles along an axis: each adds at least 8 pixels."""
    return max(1, (length - OVERLAP) // SIZE_MULTIPLE)


def _up(length: int) -> int:
    return math.ceil(length / SIZE_MULTIPLE) * SIZE_MULTIPLE
