"""The imperfect forecast that the simulated label starts from, and that no network sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.clouds import PriorParameters
from preprocess.simulation.fields import Extent, sample, smooth_field
from preprocess.simulation.surface import AIR_DEFICIT_K, FREEZING_SEA_K, ICE, SEA, Surface

SEA_ERROR_KM, LAND_ERROR_KM = 150.0, 50.0
LEAST_WIND_M_S = 0.5


def make_prior(
    surface: Surface,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    extent: Extent,
    parameters: PriorParameters,
    rng: np.random.Generator,
) -> Surface:
    """The clear state as a forecast has it: the surface (R, C) at x, y (m) with errors that know nothing of clouds.

    SST + 0.3 + 0.8 G(150 km) K; land + 4 G(50 km) K; water vapour lognormal(0.2) a scene; wind + N(0, 2) m/s a scene;
    air at the mean deficit; no sea ice, no aerosol, ground of mean brightness; land mask shifted by a pixel.
    """
    step = (int(rng.integers(-1, 2)), int(rng.choice((-1, 1))))
    kind, skin, base = (_shift(part, step) for part in (surface.kind, surface.skin_k, surface.low_cloud_k))
    ice = kind == ICE
    kind = np.where(ice, SEA, kind).astype(np.uint8)
    sea_error = parameters.sea_bias_k + parameters.sea_spread_k * sample(smooth_field(extent, SEA_ERROR_KM, rng), x, y)
    land_error = parameters.land_spread_k * sample(smooth_field(extent, LAND_ERROR_KM, rng), x, y)
    error = np.where(kind == SEA, sea_error, land_error).astype(np.float32)
    base = np.where(ice, np.float32(FREEZING_SEA_K), base) + error
    wind = surface.wind_m_s + np.float32(parameters.wind_spread_m_s * rng.standard_normal())
    return Surface(
        kind=kind,
        skin_k=np.where(ice, np.float32(FREEZING_SEA_K), skin) + error,
        low_cloud_k=base,
        air_k=base - np.float32(sum(AIR_DEFICIT_K) / 2),
        water_mm=surface.water_mm * np.float32(np.exp(parameters.water_spread * rng.standard_normal())),
        wind_m_s=np.maximum(wind, np.float32(LEAST_WIND_M_S)),
        elevation_km=surface.elevation_km,
        brightness=np.ones_like(surface.brightness),
        aerosol=np.zeros_like(surface.aerosol),
    )


def _shift(values: NDArray, step: tuple[int, int]) -> NDArray:
    """The image moved by whole pixels, its edge repeated."""
    padded = np.pad(values, 1, mode="edge")
    rows, columns = values.shape
    return padded[1 - step[0] : 1 - step[0] + rows, 1 - step[1] : 1 - step[1] + columns]
