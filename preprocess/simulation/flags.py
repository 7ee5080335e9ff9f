"""The flag words of a simulated product, from its geography, its geometry and its noisy observations; never the truth.

`Truth.surface` counts as geography: a land mask is known. What lies on it (cloud) is not read here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter

from preprocess.simulation.quality import IRRADIANCES
from preprocess.simulation.regrid import Regridding, gridded, orphans
from preprocess.simulation.scene import SimulatedScene

Words = NDArray[np.uint16]

CONFIDENCE_MEANINGS = (
    "coastline ocean tidal land inland_water unfilled spare spare cosmetic duplicate day twilight sun_glint snow "
    "summary_cloud summary_pointing"
)
CLOUD_MEANINGS = (
    "visible 1.37_threshold 1.6_small_histogram 1.6_large_histogram 2.25_small_histogram 2.25_large_histogram "
    "11_spatial_coherence gross_cloud thin_cirrus medium_high fog_low_stratus 11_12_view_difference "
    "3.7_11_view_difference thermal_histogram spare spare"
)
COASTLINE, OCEAN, LAND, UNFILLED, COSMETIC, DUPLICATE = 1, 2, 8, 32, 256, 512
DAY, TWILIGHT, SUN_GLINT, SNOW, SUMMARY_CLOUD = 1024, 2048, 4096, 8192, 16384
VISIBLE, THRESHOLD_137, SPATIAL_COHERENCE, GROSS_CLOUD, THIN_CIRRUS, MEDIUM_HIGH, FOG = 1, 2, 64, 128, 256, 512, 1024

SEA, ICE = 0, 4
"""Codes of Truth.surface that are water; the rest is land."""
DAY_BELOW_DEG = 90.0
"""Sun zenith below which a pixel is day in the measured product; every other pixel is twilight there."""
SEA_CLIMATE_K, SEA_CLIMATE_RISE_K, SEA_COLDER_K, LAND_COLDER_K = 273.0, 29.0, 7.0, 25.0
"""Zonal sea temperature 273 + 29 cos^2(latitude) K, and how much colder a cloud looks over sea and over land."""
CIRRUS_K, CIRRUS_PER_K = 1.2, 0.08
COHERENCE_K, FOG_K, MEDIUM_HIGH_K = 0.4, 1.0, 8.0
VISIBLE_SEA, VISIBLE_LAND, THRESHOLD_137_REFLECTANCE = 0.12, 0.45, 0.025
SNOW_NDSI, SNOW_REFLECTANCE, SNOW_WARMEST_K = 0.4, 0.35, 276.0
LIT_COSINE = 0.05
"""Thresholds of the tests: round numbers in the spirit of ATSR's (Zavody et al. 2000, J. Atmos. Oceanic Tech. 17),
chosen before any score was seen."""


def cloud_words(scene: SimulatedScene) -> Words:
    """cloud_in of the measured pixels, (R, C): threshold tests on observed temperatures and reflectances."""
    s7, s8, s9 = scene.observation.bt
    lit, reflectance = observed_reflectance(scene)
    land = is_land(scene)
    words = np.zeros(s8.shape, np.uint16)
    climate = SEA_CLIMATE_K + SEA_CLIMATE_RISE_K * np.cos(np.radians(scene.geometry.latitude_in)) ** 2
    _set(words, GROSS_CLOUD, s8 < climate - np.where(land, LAND_COLDER_K, SEA_COLDER_K))
    _set(words, THIN_CIRRUS, s8 - s9 > CIRRUS_K + CIRRUS_PER_K * np.maximum(s8 - SEA_CLIMATE_K, 0.0))
    _set(words, SPATIAL_COHERENCE, ~land & (_local_deviation(s8) > COHERENCE_K))
    _set(words, FOG, ~lit & (s8 - s7 > FOG_K))
    _set(words, MEDIUM_HIGH, ~lit & (s7 - s9 > MEDIUM_HIGH_K))
    bright = np.where(land, reflectance[1] > VISIBLE_LAND, reflectance[2] > VISIBLE_SEA)
    _set(words, VISIBLE, lit & bright & ~scene.observation.glint & ~snow(scene))
    _set(words, THRESHOLD_137, lit & (reflectance[3] > THRESHOLD_137_REFLECTANCE))
    return words


def confidence_words(scene: SimulatedScene, cells: Regridding, cloud: Words) -> tuple[Words, Words]:
    """confidence_in (R, C) and confidence_orphan_in (R, S), from the cloud words of the measured pixels (R, C); or with
    `cells` of 500 m confidence_an (2R, 2C) and confidence_orphan_an (2R, 2S).

    Geography and light are the cell's own; snow and cloud come with the measurement that fills it.
    """
    where = _where_words(scene)
    what = np.zeros_like(where)
    _set(what, SNOW, snow(scene))
    _set(what, SUMMARY_CLOUD, cloud != 0)
    where, what = on_grid(where, cells), on_grid(what, cells)
    words = where | gridded(cells, what, 0)
    _set(words, UNFILLED, cells.unfilled)
    _set(words, COSMETIC, cells.cosmetic)
    _set(words, DUPLICATE, cells.duplicate)
    spare = orphans(cells, where | what | np.uint16(DUPLICATE), UNFILLED)
    return words, spare


def on_grid(words: Words, cells: Regridding) -> Words:
    """Words of 1 km pixels, (R, C), for each cell of the grid of `cells`: (R, C), or (2R, 2C) at 500 m."""
    finer = cells.cosmetic.shape[0] // words.shape[0]
    return words.repeat(finer, axis=0).repeat(finer, axis=1)


def observed_reflectance(scene: SimulatedScene) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Where S1-S6 are lit, (R, C), and their reflectance there, (6, R, C) float32, 0 elsewhere: pi L / (E cos(sun
    zenith)) of the mean of the four 500 m pixels.
    """
    radiance = scene.observation.radiance
    mean = radiance.reshape(6, radiance.shape[1] // 2, 2, radiance.shape[2] // 2, 2).mean(axis=(2, 4))
    cosine = np.cos(np.radians(scene.geometry.solar_zenith_in)).astype(np.float32)
    lit = (cosine > LIT_COSINE) & np.isfinite(mean).all(axis=0)
    flux = np.asarray(IRRADIANCES, np.float32)[:, None, None] * np.maximum(cosine, np.float32(LIT_COSINE))
    return lit, np.where(lit, np.float32(np.pi) * mean / flux, np.float32(0.0))


def snow(scene: SimulatedScene) -> NDArray[np.bool_]:
    """Cold, bright in S1 and dark in S5 (normalised difference snow index), by day; (R, C)."""
    lit, reflectance = observed_reflectance(scene)
    green, shortwave = reflectance[0], reflectance[4]
    index = (green - shortwave) / np.maximum(green + shortwave, np.float32(1e-3))
    cold = scene.observation.bt[1] < SNOW_WARMEST_K
    found: NDArray[np.bool_] = lit & cold & (green > SNOW_REFLECTANCE) & (index > SNOW_NDSI)
    return found


def is_land(scene: SimulatedScene) -> NDArray[np.bool_]:
    """The land mask, (R, C); sea ice is water."""
    return ~np.isin(scene.truth.surface, (SEA, ICE))


def _where_words(scene: SimulatedScene) -> Words:
    """Geography and light: what is known without a measurement, on unfilled pixels too."""
    land = is_land(scene)
    words = np.zeros(land.shape, np.uint16)
    day = scene.geometry.solar_zenith_in < DAY_BELOW_DEG
    near_both = (maximum_filter(land, 3) != 0) & (maximum_filter(~land, 3) != 0)
    for bit, holds in (
        (LAND, land),
        (OCEAN, ~land),
        (COASTLINE, near_both),
        (DAY, day),
        (TWILIGHT, ~day),
        (SUN_GLINT, scene.observation.glint & ~land),
    ):
        _set(words, bit, holds)
    return words


def _set(words: Words, bit: int, holds: Any) -> None:
    words |= np.where(holds, np.uint16(bit), np.uint16(0))


def _local_deviation(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standard deviation over 3 x 3 pixels."""
    centred = values.astype(np.float64) - float(np.mean(values))
    variance = uniform_filter(centred**2, 3) - uniform_filter(centred, 3) ** 2
    deviation: NDArray[np.float64] = np.sqrt(np.maximum(variance, 0.0))
    return deviation
