"""Regridding against tables by hand and slow obvious loops."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.grid import any_2x2, mean_2x2, mean_channels, mean_packed, measured_2x2, nearest
from preprocess.level1 import Packed
from tests.products import SATURATION, make_product

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


@pytest.mark.quick
def test_mean_of_packed_counts_by_hand() -> None:
    fill = -32768
    counts = np.array([[1, 3, fill, fill], [fill, 2, fill, fill], [32767] * 2 + [-32767] * 2, [32767] * 4], np.int16)
    mean = mean_packed(Packed(counts, scale=0.5, offset=10.0, fill=fill))
    assert mean.dtype == np.float32
    # (1 + 3 + 2) / 3 = 2 -> 11; four of the largest counts; two each of the largest and the lowest
    np.testing.assert_array_equal(mean, [[11.0, NAN], [10 + 32767 / 2, 10.0]])


def exact_mean(packed: Packed) -> np.ndarray:
    """In float64, a pixel after another, rounded to float32 at the very end."""
    rows, columns = (size // 2 for size in packed.counts.shape)
    mean = np.full((rows, columns), NAN)
    values = np.where(packed.known(), packed.counts.astype(np.float64) * packed.scale + packed.offset, NAN)
    for row in range(rows):
        for column in range(columns):
            block = values[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            held = block[~np.isnan(block)]
            mean[row, column] = held.mean() if held.size else NAN
    return mean.astype(np.float32)


@pytest.mark.parametrize("fill", [-32768, 7, None])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", ["i2", "i4", "f4"])
def test_mean_of_packed_counts_is_the_float64_mean_to_the_last_bit_of_float32(
    dtype: str, share: float, fill: int | None
) -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(-32768, 32768, (70 * 2, 6 * 2)).astype(dtype)  # more rows than are done at a time
    counts[rng.random(counts.shape) < share] = -32768 if fill is None else fill
    packed = Packed(counts, scale=0.01, offset=273.15, fill=fill)
    found, expected = mean_packed(packed), exact_mean(packed)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    known = ~np.isnan(expected)
    # Both round float64 numbers that differ in their last bits: the same float32 number, or its neighbour; where
    # 273.15 cancels nearly all of a mean, what is left of float64's own rounding, 1e-13, counts more.
    np.testing.assert_allclose(found[known], expected[known], rtol=1.2e-7, atol=1e-12)


def test_mean_of_counts_that_lie_apart_in_memory() -> None:
    counts = np.arange(8 * 24, dtype=np.int16).reshape(8, 24)[::2, ::3]
    np.testing.assert_array_equal(mean_packed(Packed(counts)), exact_mean(Packed(counts)))


def test_measured_2x2_against_loops() -> None:
    rng = np.random.default_rng(4)
    counts = rng.integers(0, 3, (2 * 40, 2 * 5)).astype(np.int16)
    exception = rng.choice(np.array([0, SATURATION, 1, SATURATION | 1, 128], np.uint8), counts.shape)
    found = measured_2x2(Packed(counts, fill=0), exception, SATURATION)
    fine = (counts != 0) & np.isin(exception, (0, SATURATION))
    expected = [[fine[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].any() for c in range(5)] for r in range(40)]
    assert 0 < found.mean() < 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.quick
def test_each_pixel_counts_with_the_irradiance_of_its_own_detector() -> None:
    # Irradiances 100, 300, 200 and one unknown: mean 200, so ratios 2, 2/3, 1, 1, and 1 for detector 255.
    irradiance = np.tile([100.0, 300.0, 200.0, NAN], (6, 1))
    irradiance[5] = 200.0
    detector = np.array([[0, 0, 1, 1], [0, 0, 255, 3], [0, 1, 2, 2], [1, 0, 0, 0]], np.uint8)
    counts = np.array([[10, 10, 30, 60], [10, 10, 10, 20], [30, 60, 0, 50], [0, 0, 0, 0]], np.int16)
    radiances = (Packed(counts, fill=0),) * 6
    product = make_product(2, 2, radiances=radiances, irradiance=irradiance, detector=detector)
    channels = list(mean_channels(product))
    np.testing.assert_array_equal(channels[0].radiance, [[10, 30], [45, 50]])
    # 10 * 2; (30 * 2/3 + 60 * 2/3 + 10 + 20) / 4 = 22.5; (30 * 2 + 60 * 2/3) / 2 = 50; 50 * 1
    assert channels[0].equalised is not None
    np.testing.assert_allclose(channels[0].equalised, [[20, 22.5], [50, 50]], rtol=1.2e-7)
    assert channels[5].equalised is None  # equal, as in every product seen
