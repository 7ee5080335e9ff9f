"""What lies under the clouds of a simulated scene: surface kind, temperatures, water vapour, wind, aerosol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.fields import Extent, Field, Floats, Spectrum, gaussian_field, sample, smooth_field
from preprocess.simulation.plan import Theme

SURFACES = ("sea", "vegetation", "desert", "snow", "ice")
SEA, VEGETATION, DESERT, SNOW, ICE = range(5)

FREEZING_SEA_K = 271.35
MELTING_K = 273.15
ICE_RANGE_K = (250.0, 271.0)
DAY_WARMING_K = 15.0
NIGHT_COOLING_K = 5.0
LAPSE_K_PER_KM = 6.5
WATER_SCALE_HEIGHT_KM = 2.0
AIR_DEFICIT_K = (8.0, 16.0)
WIND_RANGE_M_S = (2.0, 14.0)

# Share of a scene that is land, share of the land that is snow, share of the sea that is ice: range drawn from.
SHARES: dict[Theme, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "sea": ((0.0, 0.02), (0.0, 0.0), (0.0, 0.0)),
    "glint": ((0.0, 0.02), (0.0, 0.0), (0.0, 0.0)),
    "coast": ((0.3, 0.6), (0.0, 0.0), (0.0, 0.0)),
    "land": ((0.9, 1.0), (0.0, 0.1), (0.0, 0.0)),
    "snow": ((0.85, 1.0), (0.5, 0.9), (0.0, 0.5)),
    "ice": ((0.0, 0.1), (0.8, 1.0), (0.3, 0.7)),
}


@dataclass(frozen=True)
class SurfaceFields:
    """The continuous surface of a scene: standard Gaussian fields, thresholds on them, and one-value draws."""

    land: Field
    dry: Field
    snow: Field
    ice: Field
    warm: Field
    front: Field
    relief: Field
    land_warm: Field
    vapour: Field
    wind: Field
    haze: Field
    brightness: Field
    land_above: float
    desert_above: float
    snow_above: float
    ice_above: float
    mean_wind_m_s: float
    air_deficit_k: float


@dataclass(frozen=True)
class Surface:
    """The state of the surface and the clear air at some positions; every field has their shape.

    `kind` uint8, codes of SURFACES; `skin_k`; `low_cloud_k` is the temperature that low cloud tops are counted from:
    the skin's without the land's daily swing; `air_k` of the atmosphere as an emitter; `water_mm` precipitable water;
    `wind_m_s`; `elevation_km`; `brightness` multiplies the reflectance of land; `aerosol` optical depth at 0.55 um.
    """

    kind: NDArray[np.uint8]
    skin_k: Floats
    low_cloud_k: Floats
    air_k: Floats
    water_mm: Floats
    wind_m_s: Floats
    elevation_km: Floats
    brightness: Floats
    aerosol: Floats


def _above(field: Field, share: float) -> float:
    """The threshold that leaves `share` of the field above it; infinity for none."""
    if share <= 0:
        return float("inf")
    if share >= 1:
        return float("-inf")
    return float(np.quantile(field.values[::2, ::2], 1 - share))


def make_surface_fields(extent: Extent, theme: Theme, rng: np.random.Generator) -> SurfaceFields:
    """Draw the continuous surface of one scene; scales after the model of the simulated archive."""
    land = gaussian_field(extent, Spectrum(100e3, slope=1.6), rng)
    dry, snow = smooth_field(extent, 120.0, rng), gaussian_field(extent, Spectrum(60e3), rng)
    ice = gaussian_field(extent, Spectrum(60e3), rng)
    fields = {
        name: smooth_field(extent, scale, rng)
        for name, scale in (("warm", 200.0), ("relief", 30.0), ("land_warm", 20.0), ("vapour", 200.0), ("wind", 50.0))
    }
    front = gaussian_field(extent, Spectrum(10e3, slope=2.0), rng)
    haze, brightness = smooth_field(extent, 100.0, rng), gaussian_field(extent, Spectrum(10e3), rng)
    land_share, snow_share, ice_share = (rng.uniform(*pair) for pair in SHARES[theme])
    return SurfaceFields(
        land=land,
        dry=dry,
        snow=snow,
        ice=ice,
        front=front,
        haze=haze,
        brightness=brightness,
        land_above=_above(land, land_share),
        desert_above=_above(dry, rng.uniform(0.0, 0.8)),
        snow_above=_above(snow, snow_share),
        ice_above=_above(ice, ice_share),
        mean_wind_m_s=rng.uniform(3.0, 12.0),
        air_deficit_k=rng.uniform(*AIR_DEFICIT_K),
        **fields,
    )


def zonal_temperature(latitude_deg: NDArray[np.floating]) -> Floats:
    """Mean surface temperature, K, by latitude: 273 + 29 cos^2(latitude)."""
    return (273.0 + 29.0 * np.cos(np.radians(latitude_deg)) ** 2).astype(np.float32)


def precipitable_water(temperature_k: Floats, spread: Floats) -> Floats:
    """Water vapour, mm: (4 + 46 exp((SST - 302) / 12)) exp(0.25 spread)."""
    return (4 + 46 * np.exp((temperature_k - 302) / 12)) * np.exp(np.float32(0.25) * spread)


def _kinds(fields: SurfaceFields, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.uint8]:
    land = sample(fields.land, x, y) > fields.land_above
    on_land = np.where(sample(fields.dry, x, y) > fields.desert_above, DESERT, VEGETATION)
    on_land = np.where(sample(fields.snow, x, y) > fields.snow_above, SNOW, on_land)
    on_sea = np.where(sample(fields.ice, x, y) > fields.ice_above, ICE, SEA)
    return np.where(land, on_land, on_sea).astype(np.uint8)


def sample_surface(
    fields: SurfaceFields,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    latitude_deg: NDArray[np.floating],
    mu_sun: Floats,
    aerosol: tuple[float, float],
) -> Surface:
    """The surface at positions x, y (m), all arguments of one shape; `aerosol` is median and log spread of its depth.

    Sea: max(271.35, zonal + 1.5 G(200 km) + 0.3 G(10 km)). Land: zonal, plus 15 mu0 by day or less 5 by night, plus
    3 G(20 km), less 6.5 K a km; snow no warmer than melting; ice 250..271 K. Water vapour over snow and ice falls with
    exp((T - 273) / 10), as saturation does: the air over cold ground is dry, and S4 sees the ground through it.
    """
    kind = _kinds(fields, x, y)
    water_like = zonal_temperature(latitude_deg) + 1.5 * sample(fields.warm, x, y) + 0.3 * sample(fields.front, x, y)
    sea_k = np.maximum(water_like, np.float32(FREEZING_SEA_K))
    is_land = (kind != SEA) & (kind != ICE)
    elevation = np.where(is_land, np.clip(0.3 + 0.4 * sample(fields.relief, x, y), 0, 3), 0).astype(np.float32)
    swing = np.where(mu_sun > 0, DAY_WARMING_K * mu_sun, -NIGHT_COOLING_K)
    land_warm = 3.0 * sample(fields.land_warm, x, y)
    land_k = zonal_temperature(latitude_deg) + land_warm - LAPSE_K_PER_KM * elevation
    low, high = ICE_RANGE_K
    ice_k = np.clip((low + high) / 2 + 5.0 * sample(fields.warm, x, y) + land_warm, low, high)
    skin = np.select([kind == SEA, kind == ICE, kind == SNOW], [sea_k, ice_k, np.minimum(land_k, 273)], land_k + swing)
    base = np.where((kind == VEGETATION) | (kind == DESERT), land_k, skin)
    water = precipitable_water(sea_k, sample(fields.vapour, x, y)) * np.exp(-elevation / WATER_SCALE_HEIGHT_KM)
    frozen = (kind == SNOW) | (kind == ICE)
    water = np.where(frozen, water * np.exp(np.minimum(skin - 273, 0) / 10), water)
    wind = np.clip(fields.mean_wind_m_s + 1.5 * sample(fields.wind, x, y), *WIND_RANGE_M_S)
    return Surface(
        kind=kind,
        skin_k=skin.astype(np.float32),
        low_cloud_k=base.astype(np.float32),
        air_k=(base - fields.air_deficit_k).astype(np.float32),
        water_mm=water.astype(np.float32),
        wind_m_s=wind.astype(np.float32),
        elevation_km=elevation,
        brightness=np.exp(np.float32(0.15) * sample(fields.brightness, x, y)),
        aerosol=(aerosol[0] * np.exp(aerosol[1] * sample(fields.haze, x, y))).astype(np.float32),
    )
