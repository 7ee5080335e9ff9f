"""The original's resize, skimage's, as two banded matrices: one for rows, one for columns, taken from skimage itself.

It is linear and does one axis after the other, so what it does to a comb of single pixels is all there is to know; the
matrices then give the same images many times faster.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from skimage.transform import resize

# Target rows done at a time: their source rows, in float64, stay in a core's own cache.
BLOCK_ROWS = 32
# skimage smooths with a Gaussian of (shrinking factor - 1) / 2 pixels, cut off where scipy cuts: at four of those.
SMOOTHING_REACH = 4.0


class RowBlock(NamedTuple):
    """Some target rows, the source rows that they depend on, and how: a matrix (target rows, source rows)."""

    target: slice
    source: slice
    operator: Any  # scipy.sparse.csr_array f8


@lru_cache(maxsize=32)
def resize_operator(size: int, target: int, *, smooth: bool = True) -> Any:
    """What skimage's resize does along an axis of `size` pixels: a sparse matrix (target, size) f8; not to be changed.

    smooth: skimage's `anti_aliasing`, which acts where the axis shrinks, and only there.
    """
    # Pixels a period apart cannot meet in one target pixel: its reach is the smoothing's and one for interpolation.
    sigma = max(0.0, (size / target - 1) / 2) if smooth else 0.0
    period = min(size, 2 * (int(SMOOTHING_REACH * sigma + 0.5) + 2) + 1)
    comb = np.zeros((size, period))
    comb[np.arange(size), np.arange(size) % period] = 1.0
    found = resize(comb, (target, period), anti_aliasing=None if smooth else False)
    centre = np.rint((np.arange(target) + 0.5) * size / target - 0.5).astype(np.intp)
    source = np.clip(centre - period // 2, 0, size - period)[:, None] + np.arange(period)
    weights = np.take_along_axis(found, source % period, axis=1)
    rows = np.repeat(np.arange(target), period)
    operator = csr_array((weights.ravel(), (rows, source.ravel())), shape=(target, size))
    operator.eliminate_zeros()
    return operator


@lru_cache(maxsize=32)
def row_blocks(size: int, target: int, *, smooth: bool = True) -> tuple[RowBlock, ...]:
    """`resize_operator` cut into blocks of target rows, each with the source rows that it needs alone."""
    operator = resize_operator(size, target, smooth=smooth)
    blocks = []
    for start in range(0, target, BLOCK_ROWS):
        rows = slice(start, min(start + BLOCK_ROWS, target))
        part = operator[rows]
        source = slice(int(part.indices.min()), int(part.indices.max()) + 1)
        blocks.append(RowBlock(rows, source, csr_array(part[:, source])))
    return tuple(blocks)


def resize_columns(rows: np.ndarray, width: int, *, smooth: bool = True) -> np.ndarray:
    """Resize each row of (N, C) f8 to `width`: (N, width) f8."""
    if rows.shape[1] == width:
        return rows
    # Sparse matrices multiply whole rows; transposing twice is cheaper than doing without.
    resized: np.ndarray = (resize_operator(rows.shape[1], width, smooth=smooth) @ np.ascontiguousarray(rows.T)).T
    return resized


def reference_resize(image: np.ndarray, height: int, width: int, *, smooth: bool = True) -> np.ndarray:
    """The original's resize of an image (R, C) with missing values 0: linear, smoothed first where it shrinks; f8."""
    resized = np.empty((height, width))
    for block in row_blocks(image.shape[0], height, smooth=smooth):
        rows = block.operator @ image[block.source].astype(np.float64)
        resized[block.target] = resize_columns(rows, width, smooth=smooth)
    return resized


def reference_resize_flag(flag: np.ndarray, height: int, width: int) -> np.ndarray:
    """The original's resize of a flag: bool (R, C) -> u1 (height, width), 0..255 with greys at the edges.

    Greys are rounded up: to the original any value above 0 is cloud.
    """
    resized = np.empty((height, width), np.uint8)
    for block in row_blocks(flag.shape[0], height, smooth=False):
        rows = block.operator @ np.where(flag[block.source], 255.0, 0.0)
        # skimage too holds what it makes within the range of the image.
        resized[block.target] = np.ceil(np.minimum(resize_columns(rows, width, smooth=False), 255.0))
    return resized
