"""Thermal forward model of S7-S9: Planck radiances of surface, air and cloud layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.clouds import SeenLayer
from preprocess.simulation.fields import Floats
from preprocess.simulation.surface import DESERT, ICE, SEA, SNOW, SURFACES, VEGETATION, Surface

THERMAL_CHANNELS = ("S7", "S8", "S9")
S7, S8, S9 = range(3)
WAVELENGTH_UM = (3.742, 10.854, 12.0225)  # SLSTR band centres (Sentinel-3 SLSTR user guide, radiometric resolution)
FIRST_RADIATION_CONSTANT = 1.191042972e8  # 2 h c^2, W m-2 sr-1 um4 (CODATA 2018)
SECOND_RADIATION_CONSTANT = 14387.76877  # h c / k, um K (CODATA 2018)

# Rows S7-S9; columns as SURFACES.
EMISSIVITY = np.array(
    [[0.976, 0.97, 0.80, 0.98, 0.98], [0.991, 0.985, 0.95, 0.995, 0.995], [0.986, 0.985, 0.965, 0.985, 0.985]],
    np.float32,
)
# Absorption k = a + b w + c w^2 with w in mm; rows S7-S9.
ABSORPTION = ((0.06, 0.0018, 0.0), (0.02, 0.0015, 6e-5), (0.03, 0.003, 1e-4))
KAPPA_WATER, KAPPA_ICE = (0.60, 0.55, 0.70), (0.45, 0.45, 0.58)
THICK_EMISSIVITY_WATER = (0.85, 1.0, 1.0)
SUN_S7 = 11.0  # solar irradiance in S7, W m-2 um-1
SURFACE_REFLECTANCE_S7 = np.zeros(len(SURFACES), np.float32)
SURFACE_REFLECTANCE_S7[[SEA, VEGETATION, DESERT, SNOW, ICE]] = 0.01, 0.04, 0.15, 0.01, 0.01
CLOUD_REFLECTANCE_S7_WATER, CLOUD_REFLECTANCE_S7_ICE = 0.15, 0.03

NOISE_K = (0.08, 0.03, 0.03)  # noise-equivalent temperature difference of S7, S8, S9 at NOISE_AT_K
NOISE_AT_K = 270.0
LEAST_RADIANCE_AT_K = 180.0
S7_SATURATION_K = 311.0


def planck(channel: int, temperature_k: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """Planck radiance, W m-2 sr-1 um-1, at the band's central wavelength; `channel` counts S7-S9 from 0."""
    wavelength = WAVELENGTH_UM[channel]
    return FIRST_RADIATION_CONSTANT / wavelength**5 / np.expm1(SECOND_RADIATION_CONSTANT / wavelength / temperature_k)


def brightness_temperature(channel: int, radiance: NDArray[np.floating]) -> NDArray[np.floating]:
    """The temperature (K) whose Planck radiance this is: the inverse of `planck`."""
    wavelength = WAVELENGTH_UM[channel]
    return SECOND_RADIATION_CONSTANT / wavelength / np.log1p(FIRST_RADIATION_CONSTANT / wavelength**5 / radiance)


def transmission(channel: int, water_mm: Floats, mu_view: Floats) -> Floats:
    """exp(-k / muv) with k quadratic in the water vapour, see ABSORPTION."""
    constant, linear, quadratic = ABSORPTION[channel]
    return np.exp(-(constant + linear * water_mm + quadratic * water_mm**2) / mu_view)


def clear_radiance(channel: int, surface: Surface, mu_view: Floats) -> Floats:
    """t eps B(Ts) + (1 - t) B(Ta), W m-2 sr-1 um-1."""
    through = transmission(channel, surface.water_mm, mu_view)
    emitted = EMISSIVITY[channel][surface.kind] * planck(channel, surface.skin_k)
    return (through * emitted + (1 - through) * planck(channel, surface.air_k)).astype(np.float32)


def cloud_opacity(channel: int, ice: bool, depth: Floats, mu_view: Floats) -> Floats:
    """1 - exp(-kappa tau / muv), the absorbing share of a layer of visible optical depth tau."""
    return -np.expm1(-(KAPPA_ICE if ice else KAPPA_WATER)[channel] * depth / mu_view)


def cloudy_radiance(channel: int, clear: Floats, seen: Sequence[SeenLayer], mu_view: Floats) -> Floats:
    """Each layer, lowest first: L <- e B(Tc) + (1 - e / eps_inf) L over its cover fraction, W m-2 sr-1 um-1.

    e = eps_inf (1 - exp(-kappa tau / muv)). What a water cloud lacks to emissivity 1 in S7 it reflects, and the cold
    sky above gives next to nothing to reflect; letting the surface's radiance through instead would hide the
    night-time difference S7 - S8 of stratus, which comes of exactly this.
    """
    result = clear
    for layer in sorted(seen, key=lambda one: one.height_km):
        if layer.top_k is None:
            raise ValueError("a layer seen in the thermal channels needs top_k")
        opacity = layer.fraction * cloud_opacity(channel, layer.ice, layer.depth, mu_view)
        thick = 1.0 if layer.ice else THICK_EMISSIVITY_WATER[channel]
        result = result + opacity * (thick * planck(channel, layer.top_k) - result)
    return result.astype(np.float32)


def sunlight_s7(surface: Surface, seen: Sequence[SeenLayer], mu_sun: Floats, mu_view: Floats, glint: Floats) -> Floats:
    """Sunlight reflected in S7: rho7 mu0 11 / pi, W m-2 sr-1 um-1; 0 where the sun is down."""
    rho = SURFACE_REFLECTANCE_S7[surface.kind] + glint
    for layer in sorted(seen, key=lambda one: one.height_km):
        opacity = layer.fraction * cloud_opacity(S7, layer.ice, layer.depth, mu_view)
        rho = rho + opacity * ((CLOUD_REFLECTANCE_S7_ICE if layer.ice else CLOUD_REFLECTANCE_S7_WATER) - rho)
    return (rho * np.maximum(mu_sun, 0) * np.float32(SUN_S7 / np.pi)).astype(np.float32)


def noisy_temperature(channel: int, radiance: Floats, rng: np.random.Generator) -> Floats:
    """Brightness temperature, K, of the radiance with the instrument's noise; S7 saturates at 311 K.

    The noise is constant in radiance, so cold scenes are noisier in kelvin, in S7 very much so.
    """
    slope = (planck(channel, NOISE_AT_K + 0.5) - planck(channel, NOISE_AT_K - 0.5)).astype(np.float32)
    noisy = radiance + slope * np.float32(NOISE_K[channel]) * rng.standard_normal(radiance.shape, np.float32)
    least = np.float32(planck(channel, LEAST_RADIANCE_AT_K))
    temperature = brightness_temperature(channel, np.maximum(noisy, least)).astype(np.float32)
    return np.minimum(temperature, np.float32(S7_SATURATION_K)) if channel == S7 else temperature
