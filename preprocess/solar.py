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
    gridded = list(channels)
    # Some rows of all channels at a time: what is interleaved stays in a core's own cache meanwhile.
    for start in range(0, len(mu0), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        for index, channel in enumerate(gridded):
            place = (rows, slice(None), index)
            if images.rads is not None:
                images.rads[place] = _product(channel.radiance[rows], factors[index], None, MISSING_RADIANCE)
            if lit:
                scale = np.pi * factors[index] / irradiance[index]
                shared = channel.radiance if channel.equalised is None else channel.equalised
                images.refs[place] = _product(shared[rows], scale, mu0[rows], MISSING_REFLECTANCE)
                if images.texture is not None and channel.deviation is not None:
                    images.texture[place] = _product(channel.deviation[rows], scale, mu0[rows], MISSING_REFLECTANCE)
    return images._replace(measured=tuple(channel.measured for channel in gridded))


def _product(image: np.ndarray, scale: float, mu0: np.ndarray | None, missing: float) -> np.ndarray:
    """image * scale / mu0, f4, `missing` where that is NaN."""
    values: np.ndarray = image * np.float32(scale)
    if mu0 is not None:
        values /= mu0
    np.copyto(values, missing, where=np.isnan(values))
    return values
