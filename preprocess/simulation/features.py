"""The few quantities that the Bayes-like label looks at, and how likely a clear sky makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from preprocess.simulation.fields import Floats
from preprocess.simulation.geometry import Geometry
from preprocess.simulation.radiance import Observation
from preprocess.simulation.solar import Angles, clear_reflectance, make_angles, sea_glint
from preprocess.simulation.surface import SEA, SNOW, Surface
from preprocess.simulation.thermal import NOISE_K, S7, S8, S9, brightness_temperature, clear_radiance

SEA_GROUP, LAND_GROUP, BRIGHT_GROUP = range(3)

DAY_BELOW_DEG, NIGHT_FROM_DEG = 85.0, 90.0
TEXTURE_FLOOR_K = 0.01
S3, S5 = 2, 4

# What the label believes of its prior: standard deviations. They are round numbers, not this world's own.
SEA_SPREAD_K, LAND_SPREAD_K = 0.9, 4.0
WATER_SPREAD = 0.2
AIR_SPREAD_K = 2.5
AEROSOL_SPREAD = 0.1
MODEL_SPREAD_K = {SEA_GROUP: 0.1, LAND_GROUP: 0.4, BRIGHT_GROUP: 0.4}
REFLECTANCE_SPREAD = {SEA_GROUP: (0.02, 0.012), LAND_GROUP: (0.07, 0.06), BRIGHT_GROUP: (0.13, 0.04)}


@dataclass(frozen=True)
class Features:
    """Each (R, C) float32: `s8` and `s8_s9` less what the prior expects of clear sky (K); `texture`, log10 of the 3 x 3
    standard deviation of S8 (K); `s7_s8` less its expectation, NaN unless night; reflectances `s3`, `s5`, NaN
    unless day. `group` uint8: what the prior takes the surface for, sea, land or bright.
    """

    s8: Floats
    s8_s9: Floats
    texture: Floats
    s7_s8: Floats
    s3: Floats
    s5: Floats
    group: NDArray[np.uint8]


def groups(prior: Surface) -> NDArray[np.uint8]:
    """Sea, land or bright (snow), as the prior has it."""
    return np.select([prior.kind == SEA, prior.kind == SNOW], [SEA_GROUP, BRIGHT_GROUP], LAND_GROUP).astype(np.uint8)


def texture(s8_k: Floats) -> Floats:
    """log10 of the 3 x 3 standard deviation of S8, K, plus 0.01 K."""
    centred = s8_k.astype(np.float64) - 270.0
    mean = ndimage.uniform_filter(centred, 3)
    variance = ndimage.uniform_filter(centred**2, 3) - mean**2
    return np.log10(np.sqrt(np.maximum(variance, 0)) + TEXTURE_FLOOR_K).astype(np.float32)


def expected_temperatures(prior: Surface, mu_view: Floats) -> Floats:
    """Clear S7, S8, S9 at the prior's state without sunlight: (3, R, C) float32, K."""
    return np.stack(
        [brightness_temperature(channel, clear_radiance(channel, prior, mu_view)) for channel in (S7, S8, S9)]
    ).astype(np.float32)


def reflectances(observation: Observation, geometry: Geometry, irradiances: Sequence[float]) -> tuple[Floats, Floats]:
    """S3 and S5 as reflectance on the 1 km grid (mean of 2 x 2), NaN where the sun is lower than 5 degrees."""
    mu_sun = np.cos(np.radians(geometry.solar_zenith_in))
    rows, columns = mu_sun.shape
    result = []
    for channel in (S3, S5):
        mean = observation.radiance[channel].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
        rho = np.pi * mean / (irradiances[channel] * np.maximum(mu_sun, 0.01))
        result.append(np.where(geometry.solar_zenith_in < DAY_BELOW_DEG, rho, np.nan).astype(np.float32))
    return result[0], result[1]


def make_features(
    observation: Observation, geometry: Geometry, prior: Surface, irradiances: Sequence[float], oblique: bool = False
) -> Features:
    """The label's view of a product; `oblique` takes S8 and S9, and what is expected of them, from the oblique view."""
    nadir = np.cos(np.radians(geometry.sat_zenith_in)).astype(np.float32)
    expected = expected_temperatures(prior, nadir)
    s7_s8 = observation.bt[S7] - observation.bt[S8] - (expected[S7] - expected[S8])
    s8, s9 = observation.bt[S8], observation.bt[S9]
    if oblique:
        s8, s9 = observation.bt_oblique
        expected = expected_temperatures(prior, _oblique_mu(geometry))
    s3, s5 = reflectances(observation, geometry, irradiances)
    return Features(
        s8=s8 - expected[S8],
        s8_s9=s8 - s9 - (expected[S8] - expected[S9]),
        texture=texture(s8),
        s7_s8=np.where(geometry.solar_zenith_in >= NIGHT_FROM_DEG, s7_s8, np.nan).astype(np.float32),
        s3=s3,
        s5=s5,
        group=groups(prior),
    )


def clear_log_density(features: Features, geometry: Geometry, prior: Surface, oblique: bool = False) -> Floats:
    """log p(features but texture | clear, prior): Gaussian about the clear model at the prior's state, (R, C).

    Its covariance is the clear model's response to the prior's uncertainty (surface, vapour, air; aerosol by day), by
    differences, plus noise and what the model does not resolve.
    """
    mu_view = _oblique_mu(geometry) if oblique else np.cos(np.radians(geometry.sat_zenith_in)).astype(np.float32)
    night = np.isfinite(features.s7_s8)
    responses = _thermal_responses(prior, mu_view)
    spread = _by_group(features.group, MODEL_SPREAD_K)
    noise = np.array(NOISE_K[1:]) ** 2
    pair = np.stack([features.s8, features.s8_s9], axis=-1)
    triple = np.stack([features.s8, features.s8_s9, np.nan_to_num(features.s7_s8)], axis=-1)
    extra = np.zeros((*night.shape, 3, 3))
    extra[..., 0, 0] = noise[0] + spread**2
    extra[..., 1, 1] = noise.sum() + (0.5 * spread) ** 2
    extra[..., 2, 2] = NOISE_K[0] ** 2 + noise[0] + spread**2
    extra[..., 0, 1] = extra[..., 1, 0] = noise[0]
    extra[..., 0, 2] = extra[..., 2, 0] = -noise[0]
    extra[..., 1, 2] = extra[..., 2, 1] = -noise[0]
    covariance = np.einsum("...ip,...jp->...ij", responses, responses) + extra
    thermal = np.where(night, log_gaussian(triple, covariance), log_gaussian(pair, covariance[..., :2, :2]))
    return (thermal + _solar_log_density(features, geometry, prior)).astype(np.float32)


def log_gaussian(x: NDArray[np.floating], covariance: NDArray[np.floating]) -> NDArray[np.float64]:
    """log density of x (..., n) under a Gaussian of mean 0 and covariance (..., n, n)."""
    factor = np.linalg.cholesky(np.asarray(covariance, np.float64))
    white = np.linalg.solve(factor, np.asarray(x, np.float64)[..., None])[..., 0]
    log_root = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return -0.5 * (white**2).sum(axis=-1) - log_root - 0.5 * x.shape[-1] * np.log(2 * np.pi)


def _thermal_responses(prior: Surface, mu_view: Floats) -> NDArray[np.floating]:
    """Change of (S8, S8-S9, S7-S8) by one standard deviation of surface, vapour and air: (R, C, 3, 3)."""
    skin_spread = np.where(prior.kind == SEA, SEA_SPREAD_K, LAND_SPREAD_K).astype(np.float32)
    changed = (
        replace(prior, skin_k=prior.skin_k + skin_spread, air_k=prior.air_k + skin_spread),
        replace(prior, water_mm=prior.water_mm * np.float32(1 + WATER_SPREAD)),
        replace(prior, air_k=prior.air_k + np.float32(AIR_SPREAD_K)),
    )
    base = expected_temperatures(prior, mu_view)
    deltas = [expected_temperatures(state, mu_view) - base for state in changed]
    columns = [np.stack([d[S8], d[S8] - d[S9], d[S7] - d[S8]], axis=-1) for d in deltas]
    return np.stack(columns, axis=-1)


def _solar_log_density(features: Features, geometry: Geometry, prior: Surface) -> NDArray[np.floating]:
    """log p(S3, S5 | clear, prior), 0 where they are not used.

    Aerosol is uncertain; the forecast wind is believed, so that the glint of another wind looks like cloud.
    """
    day = np.isfinite(features.s3)
    if not day.any():
        return np.zeros(day.shape)
    angles = make_angles(geometry.solar_zenith_in, geometry.sat_zenith_in, geometry.relative_azimuth_in)
    base = _expected_reflectances(prior, angles)
    hazy = _expected_reflectances(replace(prior, aerosol=prior.aerosol + np.float32(AEROSOL_SPREAD)), angles)
    response = (hazy - base)[..., None]
    seen = np.stack([features.s3, features.s5], axis=-1)
    spread = np.stack([_by_group(features.group, REFLECTANCE_SPREAD, i) for i in range(2)], axis=-1)
    covariance = response @ np.swapaxes(response, -1, -2) + spread[..., None] ** 2 * np.eye(2)
    return np.where(day, log_gaussian(np.where(day[..., None], seen - base, 0), covariance), 0)


def _expected_reflectances(prior: Surface, angles: Angles) -> Floats:
    glint = sea_glint(prior, angles)
    return np.stack([clear_reflectance(channel, prior, angles, glint) for channel in (S3, S5)], axis=-1)


def _by_group(group: NDArray[np.uint8], table: dict, item: int | None = None) -> NDArray[np.floating]:
    values = [table[code] if item is None else table[code][item] for code in range(len(table))]
    return np.array(values)[group]


def _oblique_mu(geometry: Geometry) -> Floats:
    return np.cos(np.radians(geometry.sat_zenith_oblique_in)).astype(np.float32)
