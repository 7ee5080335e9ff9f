"""Patches and tiles: the original's numbers, and cutting and stitching as inverses."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.tiles import cut, patch_origins, stitch, tiling


@pytest.mark.quick
def test_patches_of_the_original() -> None:
    origins = patch_origins(1200, 1500)
    expected = [(row, column) for row in range(88, 1112, 256) for column in range(110, 1390, 256)]
    assert origins.tolist() == [list(origin) for origin in expected]
    assert len(origins) == 20


def test_patches_of_small_images() -> None:
    assert patch_origins(256, 384).tolist() == [[0, 64]]
    assert patch_origins(255, 384).shape == (0, 2)
    assert patch_origins(7, 8, patch=3).tolist() == [[0, 1], [0, 4], [3, 1], [3, 4]]


@pytest.mark.quick
def test_tiling_of_the_original() -> None:
    tiles = tiling(1200, 1500)
    assert (tiles.rows, tiles.columns, tiles.stride, tiles.margin) == (7, 9, 176, 40)
    assert (tiles.pad_top, tiles.pad_left) == (56, 82)
    assert tiles.padded_shape == (1200 + 56 + 56, 1500 + 82 + 82)


@pytest.mark.parametrize(
    ("height", "width", "patch", "crop"),
    [(12, 15, 8, 4), (12, 15, 8, 3), (5, 31, 8, 0), (8, 8, 8, 6), (1, 1, 8, 2), (258, 384, 64, 20)],
)
def test_stitched_tiles_are_the_image(height: int, width: int, patch: int, crop: int) -> None:
    image = np.random.default_rng(0).normal(size=(height, width, 2)).astype(np.float32)
    tiles = tiling(height, width, patch, crop)
    pieces = cut(image, tiles)
    assert pieces.shape == (tiles.rows * tiles.columns, patch, patch, 2)
    np.testing.assert_array_equal(stitch(pieces, tiles), image)


def test_tiles_against_an_index_loop() -> None:
    height, width, patch, crop = 12, 15, 8, 4
    image = np.arange(1.0, height * width + 1).reshape(height, width, 1)
    # ceil(12 / 4) = 3 by ceil(15 / 4) = 4 tiles; padding (2 * 4 + 8 - 12) / 2 = 2 above, (3 * 4 + 8 - 15) // 2 = 2 left
    expected = np.zeros((12, patch, patch, 1))
    for tile in range(12):
        for y in range(patch):
            for x in range(patch):
                row, column = 4 * (tile // 4) + y - 2, 4 * (tile % 4) + x - 2
                if 0 <= row < height and 0 <= column < width:
                    expected[tile, y, x] = image[row, column]
    np.testing.assert_array_equal(cut(image, tiling(height, width, patch, crop)), expected)


def test_only_the_middle_of_a_tile_is_used() -> None:
    tiles = tiling(12, 15, 8, 4)
    pieces = cut(np.ones((12, 15, 1)), tiles)
    pieces[:, :2], pieces[:, -2:], pieces[:, :, :2], pieces[:, :, -2:] = 9, 9, 9, 9
    np.testing.assert_array_equal(stitch(pieces, tiles), np.ones((12, 15, 1)))


def test_errors_name_expected_and_found() -> None:
    with pytest.raises(ValueError, match="crop must be at least 0 and less than the patch of 8 pixels; found 8"):
        tiling(12, 15, 8, 8)
    tiles = tiling(12, 15, 8, 4)
    with pytest.raises(ValueError, match=r"for 12 x 15 pixels; found \(12, 14\)"):
        cut(np.zeros((12, 14, 1)), tiles)
    with pytest.raises(ValueError, match=r"tiles of shape \(12, 8, 8\); found \(11, 8, 8\)"):
        stitch(np.zeros((11, 8, 8, 1)), tiles)
