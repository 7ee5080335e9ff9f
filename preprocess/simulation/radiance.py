"""What the instrument sees of a simulated scene: noisy, quantised radiances and brightness temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.clouds import CloudLayer, SeenLayer, seen_footprints, seen_points
from preprocess.simulation.fields import Floats
from preprocess.simulation.geometry import Geometry
from preprocess.simulation.solar import SOLAR_CHANNELS, make_angles, reflectance, sea_glint
from preprocess.simulation.surface import Surface, SurfaceFields, sample_surface
from preprocess.simulation.thermal import (
    S7,
    S8,
    S9,
    brightness_temperature,
    clear_radiance,
    cloudy_radiance,
    noisy_temperature,
    sunlight_s7,
)

Positions = NDArray[np.float64]

# How the files pack: value = count * scale + offset, int16. S1-S3 of bright cloud exceed 327 mW m-2 sr-1 nm-1, the
# most that a scale of 0.01 could hold.
RADIANCE_SCALE = (0.02, 0.02, 0.02, 0.01, 0.01, 0.01)
TEMPERATURE_SCALE_K, TEMPERATURE_OFFSET_K = 0.01, 283.73
GREATEST_COUNT = 32767

REFLECTANCE_NOISE, REFLECTANCE_NOISE_SHARE = 0.002, 0.01
GLINT_FLAG_ABOVE = 0.01
BLOCK_ROWS = 128  # 500 m rows worked on at once: bounds memory, changes the noise's order


@dataclass(frozen=True)
class Observation:
    """What the files of a product hold, quantised as their int16 is, but for cosmetic and unfilled pixels.

    `radiance` (6, 2R, 2C) float32 S1-S6, mW m-2 sr-1 nm-1, all NaN in a night product; `bt` (3, R, C) float32 S7-S9 and
    `bt_oblique` (2, R, C) float32 S8, S9, K, the latter meaningful inside the dual swath; `glint` (R, C) bool, where a
    sea with the forecast wind would mirror the sun.
    """

    radiance: Floats
    bt: Floats
    bt_oblique: Floats
    glint: NDArray[np.bool_]


def quantise(values: Floats, scale: float, offset: float) -> Floats:
    """What is left of values after packing into int16 with that scale and offset, and unpacking; NaN stays."""
    counts = np.clip(np.round((values - offset) / scale), -GREATEST_COUNT, GREATEST_COUNT)
    return (counts * scale + offset).astype(np.float32)


def is_night(geometry: Geometry) -> bool:
    """Whether the solar channels hold nothing: a night product, or the sun below the horizon everywhere."""
    return geometry.plan.illumination == "night" or bool((geometry.solar_zenith_in >= 90).all())


def observe_solar(
    geometry: Geometry,
    fields: SurfaceFields,
    layers: Sequence[CloudLayer],
    irradiances: Sequence[float],
    aerosol: tuple[float, float],
    rng: np.random.Generator,
    oblique: bool = False,
) -> Floats:
    """Quantised radiances (6, 2R, 2C), mW m-2 sr-1 nm-1: rho mu0 E / pi at the 500 m positions, noise included.

    `irradiances` of S1-S6 in mW m-2 nm-1. The noise of reflectance is 0.002 + 0.01 rho. In the oblique view clouds are
    displaced: `looked_up`.
    """
    shape = geometry.x_an.shape
    radiance = np.full((len(SOLAR_CHANNELS), *shape), np.nan, np.float32)
    if is_night(geometry):
        return radiance
    for first in range(0, shape[0], BLOCK_ROWS):
        rows = slice(first, min(first + BLOCK_ROWS, shape[0]))
        coarse = slice(rows.start // 2, (rows.stop + 1) // 2)
        parts = (geometry.solar_zenith_in, geometry.sat_zenith_in, geometry.relative_azimuth_in)
        fine = [part[coarse].repeat(2, 0).repeat(2, 1) for part in parts]
        angles = make_angles(*fine)
        x, y = geometry.x_an[rows], geometry.y_an[rows]
        surface = sample_surface(fields, x, y, geometry.latitude_an[rows], angles.mu_sun, aerosol)
        seen = [seen_points(layer, x, looked_up(layer, y, fine[1]) if oblique else y) for layer in layers]
        glint, light = sea_glint(surface, angles), np.maximum(angles.mu_sun, 0)
        for channel, irradiance in enumerate(irradiances):
            rho = reflectance(channel, surface, angles, glint, seen)
            deviation = REFLECTANCE_NOISE + REFLECTANCE_NOISE_SHARE * rho
            rho += deviation * rng.standard_normal(rho.shape, np.float32)
            exact = rho * light * np.float32(irradiance / np.pi)
            radiance[channel, rows] = quantise(exact, RADIANCE_SCALE[channel], 0.0)
    return radiance


def looked_up(layer: CloudLayer, y: Positions, zenith_deg: NDArray[np.floating]) -> Positions:
    """Where the layer is that a pixel at y (m) sees: z tan(zenith) further along the track, as the backward view looks
    up towards a satellite that has flown on.
    """
    return y + 1000 * layer.height_km * np.tan(np.radians(zenith_deg))


def observe_thermal(
    surface: Surface, seen: Sequence[SeenLayer], geometry: Geometry, glint: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Quantised S7-S9 (3, R, C), K, and the noise-free cooling of S8 by cloud (R, C), K."""
    angles = make_angles(geometry.solar_zenith_in, geometry.sat_zenith_in, geometry.relative_azimuth_in)
    clear = [clear_radiance(channel, surface, angles.mu_view) for channel in (S7, S8, S9)]
    cloudy = [cloudy_radiance(channel, clear[channel], seen, angles.mu_view) for channel in (S7, S8, S9)]
    if geometry.plan.illumination != "night":
        cloudy[S7] = cloudy[S7] + sunlight_s7(surface, seen, angles.mu_sun, angles.mu_view, glint)
    temperatures = np.stack([noisy_temperature(channel, cloudy[channel], rng) for channel in (S7, S8, S9)])
    cooling = _cooling(clear[S8], cloudy[S8])
    return quantise(temperatures, TEMPERATURE_SCALE_K, TEMPERATURE_OFFSET_K), cooling


def _cooling(clear: Floats, cloudy: Floats) -> Floats:
    return (brightness_temperature(S8, clear) - brightness_temperature(S8, cloudy)).astype(np.float32)


def observe_oblique(
    surface: Surface, layers: Sequence[CloudLayer], geometry: Geometry, rng: np.random.Generator
) -> Floats:
    """Quantised oblique S8, S9 (2, R, C), K, at the nadir pixels; clouds are displaced: `looked_up`."""
    zenith = geometry.sat_zenith_oblique_in
    mu_view = np.cos(np.radians(zenith)).astype(np.float32)
    seen = [seen_footprints(layer, geometry.x_in, looked_up(layer, geometry.y_in, zenith), surface) for layer in layers]
    temperatures = [
        noisy_temperature(
            channel, cloudy_radiance(channel, clear_radiance(channel, surface, mu_view), seen, mu_view), rng
        )
        for channel in (S8, S9)
    ]
    return quantise(np.stack(temperatures), TEMPERATURE_SCALE_K, TEMPERATURE_OFFSET_K)
