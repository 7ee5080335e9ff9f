"""Patches and tiles: where training patches lie, and how the original cuts an image into tiles and stitches masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

PATCH_SIZE = 256  # pixels; the original's patch and tile
CROP_SIZE = 80  # pixels; the original's overlap of neighbouring tiles: half of it is cut from every side


def patch_origins(height: int, width: int, patch: int = PATCH_SIZE) -> np.ndarray:
    """First (row, column) of the patches that fill the centre of an image, row-major, without overlap.

    Returns (N, 2) int64, N = (height // patch) * (width // patch), which is 0 for an image smaller than a patch.
    1200 x 1500 and 256 give rows from 88, columns from 110, 4 x 5 = 20 patches, as the original.
    """
    rows, columns = height // patch, width // patch
    top, left = (height - rows * patch) // 2, (width - columns * patch) // 2
    return _grid_of_origins(rows, columns, patch) + np.array([top, left])


@dataclass(frozen=True)
class Tiling:
    """Overlapping tiles over a zero-padded image; all lengths in pixels."""

    height: int
    width: int
    patch: int
    stride: int
    margin: int  # cut from the top and left of each predicted tile
    rows: int  # of tiles
    columns: int  # of tiles
    pad_top: int
    pad_left: int

    @property
    def padded_shape(self) -> tuple[int, int]:
        """Height and width of the padded image, which the tiles cover exactly."""
        return (self.rows - 1) * self.stride + self.patch, (self.columns - 1) * self.stride + self.patch


def tiling(height: int, width: int, patch: int = PATCH_SIZE, crop: int = CROP_SIZE) -> Tiling:
    """Lay tiles at stride patch - crop with TensorFlow's 'SAME' padding, as the original's inference.

    1200 x 1500 gives 7 x 9 tiles, 56 + 56 rows and 82 + 82 columns of padding. An odd crop keeps every pixel in
    place here, where the original shifts it by one.
    Raises ValueError unless 0 <= crop < patch.
    """
    if not 0 <= crop < patch:
        raise ValueError(f"crop must be at least 0 and less than the patch of {patch} pixels; found {crop}")
    stride = patch - crop
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    # TensorFlow, nn.convolution, note on padding: 'SAME' puts the odd one of the padding at the end.
    pad_top = ((rows - 1) * stride + patch - height) // 2
    pad_left = ((columns - 1) * stride + patch - width) // 2
    return Tiling(height, width, patch, stride, crop // 2, rows, columns, pad_top, pad_left)


def cut(image: np.ndarray, tiles: Tiling) -> np.ndarray:
    """Cut a normalised image (H, W, C) into tiles (rows * columns, patch, patch, C), row-major, zero outside it.

    Raises ValueError if the image has not the tiling's height and width.
    """
    if image.shape[:2] != (tiles.height, tiles.width):
        raise ValueError(f"the tiling is for {tiles.height} x {tiles.width} pixels; found {image.shape[:2]}")
    padded = np.zeros((*tiles.padded_shape, *image.shape[2:]), image.dtype)
    padded[tiles.pad_top :, tiles.pad_left :][: tiles.height, : tiles.width] = image
    origins = _grid_of_origins(tiles.rows, tiles.columns, tiles.stride)
    return np.stack([padded[row : row + tiles.patch, column : column + tiles.patch] for row, column in origins])


def stitch(predicted: np.ndarray, tiles: Tiling) -> np.ndarray:
    """Lay the middles of predicted tiles (rows * columns, patch, patch, C) side by side: (H, W, C) of the image.

    Raises ValueError if the tiles have not the number and size of the tiling.
    """
    expected = (tiles.rows * tiles.columns, tiles.patch, tiles.patch)
    if predicted.shape[:3] != expected:
        raise ValueError(f"the tiling has tiles of shape {expected}; found {predicted.shape[:3]}")
    stop = tiles.margin + tiles.stride
    middles = predicted[:, tiles.margin : stop, tiles.margin : stop]
    middles = middles.reshape(tiles.rows, tiles.columns, tiles.stride, tiles.stride, -1).swapaxes(1, 2)
    mosaic = middles.reshape(tiles.rows * tiles.stride, tiles.columns * tiles.stride, -1)
    top, left = tiles.pad_top - tiles.margin, tiles.pad_left - tiles.margin
    return mosaic[top : top + tiles.height, left : left + tiles.width]


def _grid_of_origins(rows: int, columns: int, stride: int) -> np.ndarray:
    return np.indices((rows, columns)).reshape(2, -1).T * stride
