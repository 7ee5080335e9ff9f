"""The two matrices against skimage itself, which they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.transform import resize

from preprocess.resample import reference_resize, reference_resize_flag, resize_operator

ROWS = range(1196, 1204)


def test_reference_resize_doubles_linearly() -> None:
    # skimage's grid: target i lies at (i + 1/2) / 2 - 1/2 = -1/4, 1/4, 3/4, 5/4, mirrored about the outermost
    # pixels' centres: 1/4, 1/4, 3/4, 3/4; so 0, 4 -> 1, 1, 3, 3.
    image = np.array([[0.0, 4.0], [0.0, 4.0]])
    np.testing.assert_allclose(reference_resize(image, 2, 4), [[1, 1, 3, 3]] * 2, atol=1e-12)


def test_reference_flags_turn_grey_at_edges() -> None:
    flag = np.array([[False, True], [False, True]])
    found = reference_resize_flag(flag, 2, 4)
    assert found.dtype == np.uint8
    # 255 / 4 = 63.75 and 3 * 63.75 = 191.25, rounded up: any grey is cloud to the original
    np.testing.assert_array_equal(found, [[64, 64, 192, 192]] * 2)
    np.testing.assert_array_equal(reference_resize_flag(flag, 2, 2), [[0, 255]] * 2)


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize(("size", "target"), [(7, 5), (40, 20), (50, 7), (6, 6), (5, 30), (97, 50), (3, 40)])
def test_operator_does_to_every_single_pixel_what_skimage_does(size: int, target: int, smooth: bool) -> None:
    single = np.eye(size)
    expected = resize(single, (target, size), anti_aliasing=None if smooth else False)
    np.testing.assert_allclose(resize_operator(size, target, smooth=smooth).toarray(), expected, atol=1e-15)


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("rows", ROWS)
def test_images_of_every_number_of_rows_are_skimages(rows: int, factor: int) -> None:
    """1 km and 500 m; columns are halved at 500 m, as 3000 -> 1500."""
    image = np.random.default_rng(rows).normal(100, 30, (rows * factor, 12 * factor))
    # float64 throughout: rounding alone, of numbers near 100
    np.testing.assert_allclose(reference_resize(image, 1200, 12), resize(image, (1200, 12)), atol=1e-12)


@pytest.mark.quick
@pytest.mark.parametrize("rows", ROWS)
def test_flags_of_every_number_of_rows_are_skimages(rows: int) -> None:
    flag = np.random.default_rng(rows).random((rows, 12)) < 0.5
    expected = np.ceil(resize(np.where(flag, 255.0, 0.0), (1200, 12), anti_aliasing=False, preserve_range=True))
    np.testing.assert_array_equal(reference_resize_flag(flag, 1200, 12), expected)


def test_columns_of_the_measured_grid_are_skimages() -> None:
    image = np.random.default_rng(0).normal(100, 30, (8, 3000)).astype(np.float32)
    expected = resize(image.astype(np.float64), (4, 1500))
    np.testing.assert_allclose(reference_resize(image, 4, 1500), expected, atol=1e-12)
    flag = image > 100
    assert (reference_resize_flag(np.ones((5, 7), bool), 9, 4) == 255).all()
    expected = np.ceil(resize(np.where(flag, 255.0, 0.0), (9, 1499), anti_aliasing=False, preserve_range=True))
    # Interpolated along both axes a grey may fall on either side of a whole number.
    np.testing.assert_allclose(reference_resize_flag(flag, 9, 1499).astype(float), expected, atol=1)
