"""Solar forward model of S1-S6: surface, glint, molecules, aerosol, water vapour at 1.375 um, cloud layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.clouds import SeenLayer
from preprocess.simulation.fields import Floats
from preprocess.simulation.surface import SEA, SURFACES, WATER_SCALE_HEIGHT_KM, Surface

SOLAR_CHANNELS = ("S1", "S2", "S3", "S4", "S5", "S6")
WAVELENGTH_UM = (0.555, 0.659, 0.865, 1.375, 1.61, 2.25)  # SLSTR band centres
VAPOUR_CHANNEL = 3

# Rows as SURFACES, columns S1-S6; the sea's without glint.
SURFACE_REFLECTANCE = np.array(
    [
        [0.03, 0.015, 0.008, 0.005, 0.003, 0.002],
        [0.07, 0.05, 0.35, 0.30, 0.20, 0.10],
        [0.18, 0.27, 0.35, 0.40, 0.45, 0.38],
        [0.95, 0.93, 0.85, 0.55, 0.12, 0.08],
        [0.75, 0.70, 0.60, 0.35, 0.08, 0.05],
    ],
    np.float32,
)
MOLECULAR_DEPTH = (0.093, 0.046, 0.016, 0.0, 0.0, 0.0)
ANGSTROM_EXPONENT = 1.2
AEROSOL_REFERENCE_UM = 0.55
FRESNEL_REFLECTANCE = 0.02
VAPOUR_ABSORPTION_PER_MM = 0.5
ASYMMETRY_WATER, ASYMMETRY_ICE = 0.85, 0.75
# Single-scattering loss of thick cloud, S1-S6.
CLOUD_ALBEDO_WATER = (1.0, 1.0, 1.0, 1.0, 0.85, 0.65)
CLOUD_ALBEDO_ICE = (1.0, 1.0, 1.0, 1.0, 0.45, 0.30)

LOWEST_MU = 0.02  # keeps plane-parallel formulas finite at the terminator, where the light itself goes to 0
GREATEST_GLINT = 3.0


@dataclass(frozen=True)
class Angles:
    """Cosines of the solar (may be below 0) and view zenith angles, and of the angle between the two directions."""

    mu_sun: Floats
    mu_view: Floats
    cos_between: Floats


def make_angles(
    solar_zenith_deg: NDArray[np.floating],
    view_zenith_deg: NDArray[np.floating],
    relative_azimuth_deg: NDArray[np.floating],
) -> Angles:
    """Angles from zenith angles and relative azimuth (180 where the sun stands opposite), degrees, of one shape."""
    sun, view = np.radians(solar_zenith_deg), np.radians(view_zenith_deg)
    between = np.cos(sun) * np.cos(view) + np.sin(sun) * np.sin(view) * np.cos(np.radians(relative_azimuth_deg))
    return Angles(*(np.asarray(part, np.float32) for part in (np.cos(sun), np.cos(view), between)))


def glint_reflectance(angles: Angles, wind_m_s: Floats) -> Floats:
    """Reflectance of the sun's mirror image on a wind-roughened sea.

    r exp(-tan^2 b / s2) / (4 mu0 muv s2 cos^4 b), b the tilt of the facet that mirrors, s2 = 0.003 + 0.00512 U the
    slope variance (Cox and Munk 1954, J. Opt. Soc. Am. 44), r = 0.02.
    """
    mu_sun = np.maximum(angles.mu_sun, LOWEST_MU)
    cos_half = np.sqrt(np.maximum((1 + angles.cos_between) / 2, np.float32(1e-6)))
    cos_tilt2 = np.clip((mu_sun + angles.mu_view) / (2 * cos_half), LOWEST_MU, 1) ** 2
    slope2 = 0.003 + 0.00512 * wind_m_s
    shape = np.exp(-(1 / cos_tilt2 - 1) / slope2) / (slope2 * cos_tilt2**2)
    return np.minimum(FRESNEL_REFLECTANCE * shape / (4 * mu_sun * angles.mu_view), GREATEST_GLINT).astype(np.float32)


def path_reflectance(angles: Angles, optical_depth: Floats | float) -> Floats:
    """Reflectance of thin air scattering once: phase 3/4 (1 + cos^2) and depth `optical_depth`.

    P (1 - exp(-tau (1/mu0 + 1/muv))) / (4 (mu0 + muv)) (Chandrasekhar 1960, Radiative Transfer), which is the usual
    tau P / (4 mu0 muv) where tau is small against mu0, and stays finite where the sun is low.
    """
    mu_sun = np.maximum(angles.mu_sun, LOWEST_MU)
    phase = 0.75 * (1 + angles.cos_between**2)
    slant = 1 / mu_sun + 1 / angles.mu_view
    return (phase * -np.expm1(-optical_depth * slant) / (4 * (mu_sun + angles.mu_view))).astype(np.float32)


def cloud_reflectance(channel: int, ice: bool, depth: Floats) -> Floats:
    """a (1 - g) tau / (2 + (1 - g) tau), two-stream; `channel` counts S1-S6 from 0."""
    scaled = (1 - (ASYMMETRY_ICE if ice else ASYMMETRY_WATER)) * depth
    return (CLOUD_ALBEDO_ICE if ice else CLOUD_ALBEDO_WATER)[channel] * scaled / (2 + scaled)


def add_layer(below: Floats, layer: Floats) -> Floats:
    """Reflectance of a layer R over something of reflectance rho: R + (1 - R)^2 rho / (1 - R rho)."""
    return layer + (1 - layer) ** 2 * below / (1 - layer * below)


def clear_reflectance(channel: int, surface: Surface, angles: Angles, glint: Floats) -> Floats:
    """Reflectance of the surface under clear air, without water vapour's absorption."""
    ground = SURFACE_REFLECTANCE[:, channel][surface.kind]
    ground = np.where(surface.kind == SEA, ground + glint, np.minimum(ground * surface.brightness, 1))
    depth = surface.aerosol * np.float32((AEROSOL_REFERENCE_UM / WAVELENGTH_UM[channel]) ** ANGSTROM_EXPONENT)
    return ground + path_reflectance(angles, depth + MOLECULAR_DEPTH[channel])


def reflectance(
    channel: int,
    surface: Surface,
    angles: Angles,
    glint: Floats,
    seen: Sequence[SeenLayer],
) -> NDArray[np.float32]:
    """Reflectance at the top of the atmosphere, layers added from below; S4 dimmed by the vapour above each level.

    What lies below a layer counts as 1 at most: adding is for diffuse light, and glint under a low sun exceeds 1, where
    the sum over bounces no longer converges.

    The vapour above height z is w exp(-z / 2 km); a passage through an amount d of it transmits
    exp(-0.5 d (1/mu0 + 1/muv)).
    """
    result = clear_reflectance(channel, surface, angles, glint)
    dims = channel == VAPOUR_CHANNEL
    slant = VAPOUR_ABSORPTION_PER_MM * (1 / np.maximum(angles.mu_sun, LOWEST_MU) + 1 / angles.mu_view)
    share_above = 1.0
    for layer in sorted(seen, key=lambda one: one.height_km):
        if dims:
            share = float(np.exp(-layer.height_km / WATER_SCALE_HEIGHT_KM))
            result = result * np.exp(-slant * surface.water_mm * (share_above - share))
            share_above = share
        below = np.minimum(result, np.float32(1))
        cloudy = add_layer(below, cloud_reflectance(channel, layer.ice, layer.depth))
        result = result + layer.fraction * (cloudy - result)
    if dims:
        result = result * np.exp(-slant * surface.water_mm * share_above)
    return result.astype(np.float32)


def sea_glint(surface: Surface, angles: Angles) -> Floats:
    """Glint where the surface is open sea by daylight, else 0."""
    shines = (surface.kind == SURFACES.index("sea")) & (angles.mu_sun > 0)
    return np.where(shines, glint_reflectance(angles, surface.wind_m_s), 0).astype(np.float32)
