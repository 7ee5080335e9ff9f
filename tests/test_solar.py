"""Reflectance images by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from preprocess.grid import GriddedChannel
from preprocess.solar import solar_images

NAN = np.nan
IRRADIANCE = np.full(6, 100 * np.pi)
FACTORS = np.array([0.5, 1, 1, 1, 1, 1])
ALL = np.ones((1, 3), bool)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def channels(**images: np.ndarray) -> Iterator[GriddedChannel]:
    for _ in range(6):
        yield GriddedChannel(row(100, NAN, 100), ALL)._replace(**images)


@pytest.mark.quick
def test_reflectance_radiance_and_texture_by_hand() -> None:
    found = solar_images(
        channels(deviation=row(10, NAN, 10)), FACTORS, IRRADIANCE, row(0.5, 0.5, NAN), rads=True, texture=True
    )
    # pi * 100 / (100 pi * 0.5) = 2, half of that after calibration; nothing known; the sun is down
    np.testing.assert_allclose(found.refs[0, :, 0], [1, 0, 0], rtol=3e-7)
    np.testing.assert_allclose(found.refs[0, :, 1], [2, 0, 0], rtol=3e-7)
    assert found.texture is not None
    np.testing.assert_allclose(found.texture[0, :, 0], [0.1, 0, 0], rtol=3e-7)
    np.testing.assert_allclose(found.texture[0, :, 5], [0.2, 0, 0], rtol=3e-7)
    assert found.rads is not None
    np.testing.assert_array_equal(found.rads[0, :, 0], [50, 0, 50])  # radiance needs no sun
    assert [image.dtype for image in (found.refs, found.rads, found.texture)] == [np.float32] * 3
    assert len(found.measured) == 6


def test_reflectance_is_of_the_equalised_radiance_and_rads_of_the_radiance() -> None:
    found = solar_images(channels(equalised=row(50, 0, 25)), np.ones(6), IRRADIANCE, row(1, 1, 0.5), rads=True)
    np.testing.assert_allclose(found.refs[0, :, 3], [0.5, 0, 0.5], rtol=3e-7)
    assert found.rads is not None
    np.testing.assert_array_equal(found.rads[0, :, 3], [100, 0, 100])
    assert found.texture is None


def test_at_night_no_channel_is_gridded_unless_radiances_are_kept() -> None:
    night = row(NAN, NAN, NAN)
    source = channels()
    found = solar_images(source, FACTORS, IRRADIANCE, night)
    assert not found.refs.any()
    assert (found.rads, found.texture, found.measured) == (None, None, ())
    assert len(list(source)) == 6  # none was taken
    kept = solar_images(channels(), FACTORS, IRRADIANCE, night, rads=True, texture=True)
    assert not kept.refs.any()
    assert kept.rads is not None
    np.testing.assert_array_equal(kept.rads[0, :, 0], [50, 0, 50])
    assert kept.texture is not None
    assert not kept.texture.any()
