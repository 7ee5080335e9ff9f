"""Regridding against tables by hand and slow obvious loops."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.grid import any_2x2, mean_2x2, nearest
from preprocess.resample import reference_resize, reference_resize_flag

NAN = np.nan


@pytest.mark.quick
def test_mean_2x2_by_hand() -> None:
    fine = np.array(
        [
            [1, 3, NAN, NAN],
            [NAN, 2, NAN, NAN],
            [5, 5, 1, 2],
            [5, 5, 3, 4],
        ],
        np.float32,
    )
    coarse = mean_2x2(fine)
    assert coarse.dtype == np.float32
    np.testing.assert_array_equal(coarse, [[2, NAN], [5, 2.5]])


def test_mean_and_any_2x2_against_loops() -> None:
    rng = np.random.default_rng(0)
    fine = rng.normal(100, 20, (12, 16)).astype(np.float32)
    fine[rng.random(fine.shape) < 0.4] = NAN
    mean, some = mean_2x2(fine), any_2x2(fine > 110)
    for row in range(6):
        for column in range(8):
            block = fine[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            held = block[~np.isnan(block)].astype(np.float64)
            # Four float32 numbers are added: 3 roundings of 6e-8.
            np.testing.assert_allclose(mean[row, column], held.mean() if held.size else NAN, rtol=2e-7)
            assert some[row, column] == (block > 110).any()


def test_nearest_by_hand_and_by_distance() -> None:
    row = np.array([[10, 20, 30, 40]])
    np.testing.assert_array_equal(nearest(row, 1, 8), [[10, 10, 20, 20, 30, 30, 40, 40]])
    np.testing.assert_array_equal(nearest(np.array([[10, 20]]), 1, 3), [[10, 20, 20]])  # a tie goes to the right
    index = nearest(np.arange(1198)[:, None], 1200, 1)[:, 0]
    centres, targets = (np.arange(1198) + 0.5) / 1198, (np.arange(1200) + 0.5) / 1200
    distance = np.abs(targets[:, None] - centres[None])
    # The chosen row is the closest one, up to rounding where two are equally far.
    np.testing.assert_allclose(distance[np.arange(1200), index], distance.min(axis=1), atol=1e-12)


def test_nearest_keeps_further_axes_and_types() -> None:
    image = np.arange(2 * 3 * 1, dtype=np.uint8).reshape(2, 3, 1)
    assert nearest(image, 4, 6).shape == (4, 6, 1)
    assert nearest(image, 4, 6).dtype == np.uint8


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
