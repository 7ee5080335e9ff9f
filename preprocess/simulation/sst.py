"""Sea surface temperature from clear brightness temperatures: coefficients and retrieval, N2, N3, D2, D3."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.fields import Floats, stream
from preprocess.simulation.radiance import TEMPERATURE_OFFSET_K, TEMPERATURE_SCALE_K, quantise
from preprocess.simulation.surface import (
    AIR_DEFICIT_K,
    FREEZING_SEA_K,
    MELTING_K,
    SEA,
    Surface,
    precipitable_water,
    zonal_temperature,
)
from preprocess.simulation.thermal import S7, S8, S9, clear_radiance, noisy_temperature

ALGORITHMS = ("N2", "N3", "D2", "D3")
WITH_S7 = {"N2": False, "N3": True, "D2": False, "D3": True}
DUAL = {"N2": False, "N3": False, "D2": True, "D3": True}

FIT_SEED = 161803
FIT_COUNT = 20000
GREATEST_LATITUDE_DEG = 75.0
GREATEST_NADIR_ZENITH_DEG = 60.0
OBLIQUE_ZENITH_RANGE_DEG = (49.0, 56.0)

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Temperatures:
    """Brightness temperatures (K) and view cosines of N pixels: `nadir` (3, N) S7-S9, `oblique` (2, N) S8, S9."""

    nadir: Floats
    oblique: Floats
    mu_nadir: Floats
    mu_oblique: Floats


def terms(algorithm: str, seen: Temperatures) -> Doubles:
    """The regression's terms (N, K): 1 and each temperature (deg C), times 1 and 1/mu - 1 of its own view.

    N2: S8, S9 nadir; N3: S7 too; D2, D3: also S8, S9 oblique.
    """
    nadir = seen.nadir[0 if WITH_S7[algorithm] else 1 :].astype(np.float64) - MELTING_K
    slant = 1.0 / seen.mu_nadir.astype(np.float64) - 1.0
    one = np.ones_like(slant)
    columns = [one, slant, *nadir, *(nadir * slant)]
    if DUAL[algorithm]:
        oblique = seen.oblique.astype(np.float64) - MELTING_K
        slant_oblique = 1.0 / seen.mu_oblique.astype(np.float64) - 1.0
        columns += [slant_oblique, *oblique, *(oblique * slant_oblique)]
    return np.stack(columns, axis=-1)


def clear_set(count: int, rng: np.random.Generator) -> tuple[Temperatures, Floats]:
    """`count` clear night-time seas of the forward model seen with noise, and their skin temperatures, K.

    Latitude, surface, vapour, air and angles are drawn as a scene's are; no scene of any archive is among them.
    """
    climate = zonal_temperature(rng.uniform(-GREATEST_LATITUDE_DEG, GREATEST_LATITUDE_DEG, count))
    skin = np.maximum(climate + 1.5 * rng.standard_normal(count, np.float32), np.float32(FREEZING_SEA_K))
    zero = np.zeros(count, np.float32)
    surface = Surface(
        kind=np.full(count, SEA, np.uint8),
        skin_k=skin,
        low_cloud_k=skin,
        air_k=(skin - rng.uniform(*AIR_DEFICIT_K, count)).astype(np.float32),
        water_mm=precipitable_water(skin, rng.standard_normal(count, np.float32)),
        wind_m_s=zero,
        elevation_km=zero,
        brightness=zero + 1,
        aerosol=zero,
    )
    mu_nadir = np.cos(np.radians(rng.uniform(0, GREATEST_NADIR_ZENITH_DEG, count))).astype(np.float32)
    mu_oblique = np.cos(np.radians(rng.uniform(*OBLIQUE_ZENITH_RANGE_DEG, count))).astype(np.float32)
    nadir = _observe(surface, mu_nadir, (S7, S8, S9), rng)
    return Temperatures(nadir, _observe(surface, mu_oblique, (S8, S9), rng), mu_nadir, mu_oblique), skin


def _observe(surface: Surface, mu_view: Floats, channels: tuple[int, ...], rng: np.random.Generator) -> Floats:
    noisy = [noisy_temperature(channel, clear_radiance(channel, surface, mu_view), rng) for channel in channels]
    return quantise(np.stack(noisy), TEMPERATURE_SCALE_K, TEMPERATURE_OFFSET_K)


@cache
def coefficients() -> dict[str, Doubles]:
    """The least-squares coefficients of each algorithm, deg C, from one fixed clear set."""
    seen, skin = clear_set(FIT_COUNT, stream(FIT_SEED))
    target = skin.astype(np.float64) - MELTING_K
    return {
        name: np.asarray(np.linalg.lstsq(terms(name, seen), target, rcond=None)[0], np.float64) for name in ALGORITHMS
    }


def retrieve(algorithm: str, seen: Temperatures) -> Doubles:
    """Skin temperature (N,), K, that the algorithm makes of the temperatures, cloud or no cloud."""
    return terms(algorithm, seen) @ coefficients()[algorithm] + MELTING_K
