"""Random fields against their analytic spectrum and variance; sampling against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.simulation.fields import (
    Extent,
    Field,
    Spectrum,
    amplitude,
    expected_variance,
    gaussian_field,
    sample,
    smooth_field,
    stream,
)

EXTENT = Extent(-20e3, 30e3, 1e7, 1e7 + 40e3)


@pytest.mark.quick
def test_sample_is_bilinear_by_hand() -> None:
    field = Field(np.array([[0.0, 1.0], [2.0, 5.0]], np.float32), x_origin_m=100.0, y_origin_m=-50.0, spacing_m=10.0)
    # A quarter of the way in x and half of it in y: rows 0.25 and 2.75, mean 1.5. float32 throughout.
    assert sample(field, np.array([102.5]), np.array([-45.0])) == pytest.approx([1.5], rel=1e-6)
    assert sample(field, np.array([110.0]), np.array([-40.0])) == pytest.approx([5.0])
    assert sample(field, np.array([1e6]), np.array([-1e6])) == pytest.approx([1.0])  # beyond: the edge


def test_mean_square_is_one_over_many_fields() -> None:
    spectrum = Spectrum(5e3)
    squares = [np.mean(gaussian_field(EXTENT, spectrum, stream(number)).values ** 2) for number in range(60)]
    # 60 fields of some 80 independent 5 km patches each: standard error about sqrt(2 / 4800) = 0.02; four of them.
    assert np.mean(squares) == pytest.approx(1.0, abs=0.08)


def test_expected_variance_is_that_of_the_transform() -> None:
    modes = amplitude((8, 6), 500.0, Spectrum(2e3))
    # The slow way: each mode of the full transform, mirrored from the half that a real field needs.
    rows, columns = np.meshgrid(np.arange(8), np.arange(6), indexing="ij")
    mirrored = columns > 3
    full = modes[np.where(mirrored, -rows % 8, rows), np.where(mirrored, -columns % 6, columns)].astype(np.float64)
    assert expected_variance(modes, 6) == pytest.approx((full**2).sum() / 48, rel=1e-6)


def test_spectrum_falls_with_its_slope() -> None:
    spectrum = Spectrum(40e3, slope=4 / 3)
    fields = [gaussian_field(EXTENT, spectrum, stream(number)).values for number in range(20)]
    power = np.mean([np.abs(np.fft.rfft2(values)) ** 2 for values in fields], axis=0)
    rows, columns = fields[0].shape
    k = np.hypot(np.fft.fftfreq(rows, 500.0)[:, None], np.fft.rfftfreq(columns, 500.0)[None, :])
    inertial = (k > 2e-4) & (k < 8e-4)  # wavelengths of 1.2 to 5 km, far below the outer scale
    slope = np.polyfit(np.log(k[inertial]), np.log(power[inertial]), 1)[0]
    # Amplitude k^-4/3, so power k^-8/3; thousands of modes make the fit good to a few hundredths.
    assert slope == pytest.approx(-8 / 3, abs=0.1)


def test_stretch_draws_structures_out_along_the_angle() -> None:
    values = gaussian_field(EXTENT, Spectrum(10e3, stretch=6.0, angle_rad=0.0), stream(1)).values
    along, across = (np.mean(np.diff(values, axis=axis) ** 2) for axis in (1, 0))
    assert across > 2 * along


def test_a_field_covers_its_extent_and_its_grid_points_are_its_values() -> None:
    for field in (gaussian_field(EXTENT, Spectrum(5e3), stream(2)), smooth_field(EXTENT, 100.0, stream(2))):
        rows, columns = field.values.shape
        assert field.x_origin_m < EXTENT.x_low
        assert field.x_origin_m + (columns - 1) * field.spacing_m > EXTENT.x_high
        assert field.y_origin_m < EXTENT.y_low
        assert field.y_origin_m + (rows - 1) * field.spacing_m > EXTENT.y_high
        assert field.values.dtype == np.float32
        x, y = field.x_origin_m + 3 * field.spacing_m, field.y_origin_m + 5 * field.spacing_m
        assert sample(field, np.array([x]), np.array([y])) == pytest.approx([field.values[5, 3]], rel=1e-5)


def test_streams_repeat_and_differ_by_purpose_and_seed() -> None:
    assert stream(7, 1).random() == stream(7, 1).random()
    assert len({stream(seed, purpose).random() for seed in (7, 8) for purpose in (1, 2, 3)}) == 6


def test_equal_seeds_give_equal_fields() -> None:
    one, two = (gaussian_field(EXTENT, Spectrum(5e3), stream(4)).values for _ in range(2))
    np.testing.assert_array_equal(one, two)
