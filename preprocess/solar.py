"""Reflectance of S1 to S6 on the 1 km grid, from gridded radiances and the height of the sun."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from preprocess.grid import BLOCK_ROWS, GriddedChannel
from preprocess.scene import MISSING_RADIANCE, MISSING_REFLECTANCE

SOLAR_COUNT = 6


class SolarImages(NamedTuple):
    """S1..S6 at 1 km; nothing is NaN."""

    refs: np.ndarray  # (R, C, 6) f4, missing 0
    rads: np.ndarray | None  # (R, C, 6) f4, mW m-2 sr-1 nm-1, calibrated, missing 0
    texture: np.ndarray | None  # (R, C, 6) f4, standard deviation of reflectance, missing 0
    measured: tuple[np.ndarray, ...]  # of each channel, as `GriddedChannel.measured`; empty if no channel was needed


def solar_images(
    channels: Iterable[GriddedChannel],
    factors: np.ndarray,
    irradiance: np.ndarray,
    mu0: np.ndarray,
    *,
    rads: bool = False,
    texture: bool = False,
) -> SolarImages:
    """Reflectance pi * factor * L / (E * mu0) of gridded channels; `channels` is left alone where nothing is lit.

    factors (6,) f8 of the calibration; irradiance (6,) f8, mW m-2 nm-1, the mean over detectors, of the sensing day
    (the sun's distance is in it); mu0 (R, C) f4, NaN where the sun is down. Within 3e-7 of itself: one rounding to
    float32 for each of five numbers.
    """
    shape = (*mu0.shape, SOLAR_COUNT)
    images = SolarImages(
        refs=np.zeros(shape, np.float32),
        rads=np.empty(shape, np.float32) if rads else None,
        texture=np.zeros(shape, np.float32) if texture else None,
        measured=(),
    )
    mu0 = np.ascontiguousarray(mu0)
    lit = bool((mu0 > 0).any())
    if not lit and not rads:
        return images
    measured = []
    for index, channel in enumerate(channels):
        if images.rads is not None:
            _multiply(channel.radiance, np.float32(factors[index]), None, MISSING_RADIANCE, images.rads[..., index])
        if lit:
            scale = np.float32(np.pi * factors[index] / irradiance[index])
            shared = channel.radiance if channel.equalised is None else channel.equalised
            _multiply(shared, scale, mu0, MISSING_REFLECTANCE, images.refs[..., index])
            if images.texture is not None and channel.deviation is not None:
                _multiply(channel.deviation, scale, mu0, MISSING_REFLECTANCE, images.texture[..., index])
        measured.append(channel.measured)
    return images._replace(measured=tuple(measured))


def _multiply(image: np.ndarray, scale: np.float32, mu0: np.ndarray | None, missing: float, out: np.ndarray) -> None:
    """image * scale / mu0 into `out`, `missing` where that is NaN; rows at a time stay in a core's own cache."""
    for start in range(0, len(image), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        values = image[rows] * scale
        if mu0 is not None:
            values /= mu0[rows]
        np.copyto(values, missing, where=np.isnan(values))
        out[rows] = values
