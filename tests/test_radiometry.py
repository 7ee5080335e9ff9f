"""Angles against cubic polynomials and a spline a pixel, the original's fault on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline, RectBivariateSpline

from preprocess.level1 import Grid
from preprocess.radiometry import (
    cosine_of_sun,
    interpolate_zenith,
    reference_cosine_of_sun,
    tie_columns,
    tie_rows,
)

PIXELS, FINE, TIES = Grid(1000, 1000, 998, 4081), Grid(500, 500, 1996, 4081), Grid(16000, 1000, 64, 4081)
SMALL, SMALL_FINE, SMALL_TIES = Grid(1000, 1000, 40, 7), Grid(500, 500, 80, 7), Grid(16000, 1000, 4, 7)


@pytest.mark.quick
def test_tie_columns_of_the_measured_grids() -> None:
    # By hand: the track lies at 998, 1996 and 64; column 0 is 998 km west of it, that is 62.375 tie columns.
    coarse, fine = tie_columns(1500, PIXELS, TIES), tie_columns(3000, FINE, TIES)
    assert (coarse[998], coarse[0], fine[1996]) == (64.0, 1.625, 64.0)
    np.testing.assert_array_equal(fine[::2], coarse)


def test_rows_of_pixels_are_rows_of_ties_whatever_the_start_offset() -> None:
    np.testing.assert_array_equal(tie_rows(4, PIXELS, TIES), [0, 1, 2, 3])
    np.testing.assert_array_equal(tie_rows(4, FINE, TIES), [0, 0.5, 1, 1.5])


@pytest.mark.quick
def test_cubic_polynomials_of_the_column_are_reproduced_at_the_pixels_own_row() -> None:
    # A cubic spline through a cubic is that cubic; 1e-9 is rounding of numbers near 100.
    def zenith(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return 30 + 5 * row + 2 * column - 0.3 * column**2 + 0.02 * (1 + row) * column**3

    row, column = np.arange(5.0)[:, None], np.arange(10.0)[None]
    ties = zenith(row, column)
    ties[:, 8:] = np.nan
    found = interpolate_zenith(ties, SMALL_TIES, SMALL, 5, 80)
    np.testing.assert_allclose(found, zenith(row, tie_columns(80, SMALL, SMALL_TIES)[None]), atol=1e-9)


def test_half_rows_are_interpolated_cubically_too() -> None:
    def zenith(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return 40 + row**3 / 50 + column + row * column / 10

    ties = zenith(np.arange(6.0)[:, None], np.arange(10.0)[None])
    found = interpolate_zenith(ties, SMALL_TIES, SMALL_FINE, 11, 160)
    expected = zenith(np.arange(11)[:, None] / 2, tie_columns(160, SMALL_FINE, SMALL_TIES)[None])
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_gaps_are_bridged_from_valid_ties_alone_and_nothing_is_extrapolated() -> None:
    # Oracle: one not-a-knot spline a row and pixel, by another routine of scipy.
    rng = np.random.default_rng(1)
    ties = 50 + rng.normal(size=(4, 12))
    ties[:, 9:] = np.nan
    ties[1, 4] = ties[2, 0] = np.nan
    ties[3, 1:] = np.nan
    pixels = Grid(1000, 1000, 8, 0)
    at = tie_columns(180, pixels, SMALL_TIES)
    found = interpolate_zenith(ties, SMALL_TIES, pixels, 4, 180)
    expected = np.full((4, 180), np.nan)
    for row in range(3):
        knots = np.flatnonzero(np.isfinite(ties[row]))
        spline = CubicSpline(knots, ties[row, knots])
        for pixel, column in enumerate(at):
            if knots[0] <= column <= knots[-1]:
                expected[row, pixel] = spline(column)
    assert np.isnan(expected[:3, -1]).all()
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("rows", [4, 7])
def test_two_and_three_ties_give_a_line_and_a_parabola(rows: int) -> None:
    at = tie_columns(40, SMALL, SMALL_TIES)
    ties = np.full((rows, 8), np.nan)
    ties[:, 2:4] = [20, 30]
    ties[0, 1:4] = [1, 4, 9]
    ties[1, :] = np.nan
    ties[1, 5] = 60  # one alone tells nothing
    found = interpolate_zenith(ties, SMALL_TIES, SMALL, rows, 40)
    np.testing.assert_allclose(found[2:], np.tile(np.where((at >= 2) & (at <= 3), 10 * at, np.nan), (rows - 2, 1)))
    np.testing.assert_allclose(found[0], np.where((at >= 1) & (at <= 3), at**2, np.nan))
    assert np.isnan(found[1]).all()


def test_float32_holds_the_cosine_at_every_height_of_the_sun() -> None:
    zenith = np.linspace(0, 90, 100_001)[:-1]
    expected = np.maximum(np.cos(np.radians(zenith)), np.cos(np.radians(88)))
    # float32 sines are good to 1.5 of their last bits, 1.8e-7.
    np.testing.assert_allclose(cosine_of_sun(zenith), expected, rtol=2e-7)


def test_low_sun_is_held_at_88_degrees_and_a_sun_that_is_down_gives_none() -> None:
    lowest = 0.03489949670250097  # cos 88 degrees
    found = cosine_of_sun(np.array([0.0, 60.0, 87.0, 88.5, 89.999, 90.0, 95.0, np.nan]))
    expected = [1.0, 0.5, 0.052335956242943835, lowest, lowest, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(found, expected, rtol=2e-7)  # float32


@pytest.mark.quick
def test_reference_takes_the_last_rows_angle_everywhere() -> None:
    ties = np.linspace(20, 70, 6)[:, None] + np.zeros((6, 10))
    found = reference_cosine_of_sun(ties, Grid(16000, 1000, 4, 4081), SMALL_FINE, 12, 160)
    # The original's radians have eight digits: cos differs by less than 1e-9 * 70 degrees.
    np.testing.assert_allclose(found, np.cos(np.radians(70.0)), atol=1e-7)


def test_reference_without_start_offset_is_the_bicubic_spline_of_native() -> None:
    rng = np.random.default_rng(2)
    ties = 50 + rng.normal(size=(12, 10))
    found = reference_cosine_of_sun(ties, Grid(16000, 1000, 4, 0), SMALL_FINE, 23, 150)
    native = np.cos(np.radians(interpolate_zenith(ties, SMALL_TIES, SMALL_FINE, 23, 150)))
    assert np.isfinite(native).all()
    np.testing.assert_allclose(found, native, atol=1e-7)


@pytest.mark.parametrize(("start_offset", "distinct"), [(0, 23), (3, 17), (12, 1), (4081, 1)])
def test_reference_evaluates_each_distinct_row_once_as_if_it_had_evaluated_all(
    start_offset: int, distinct: int
) -> None:
    """Of 24 half rows on 12 tie rows: from 0 on, the last two lie on the last tie row; and so on."""
    rng = np.random.default_rng(3)
    ties = 85 + 5 * rng.normal(size=(12, 10))
    found = reference_cosine_of_sun(ties, Grid(16000, 1000, 4, start_offset), SMALL_FINE, 24, 150)
    assert len(found) == (1 if distinct == 1 else 24)
    assert np.unique(found, axis=0).shape[0] == distinct
    spline = RectBivariateSpline(np.arange(12), np.arange(10), ties)
    zenith = spline(np.arange(24) * 0.5 + start_offset, tie_columns(150, SMALL_FINE, SMALL_TIES))
    expected = np.where(zenith < 90, np.cos(0.017453292 * zenith), 1.0)
    assert (expected == 1).any() or start_offset
    np.testing.assert_array_equal(np.broadcast_to(found, (24, 150)), expected)


def test_reference_counts_missing_angles_as_zero_and_night_as_one() -> None:
    missing = np.full((5, 10), np.nan)
    night = np.full((5, 10), 95.0)
    for ties in (missing, night):
        np.testing.assert_array_equal(reference_cosine_of_sun(ties, SMALL_TIES, SMALL_FINE, 10, 160), 1.0)
