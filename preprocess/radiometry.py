"""From radiance to reflectance: the sun's angle at every pixel, low sun."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline, RectBivariateSpline

from preprocess.level1 import Grid

# Below this height of the sun (2 degrees) a plane-parallel reflectance means little and its noise grows without bound.
LOWEST_SUN_ZENITH_DEG = 88.0
HORIZON_ZENITH_DEG = 90.0
# The original writes pi / 180 to eight digits.
REFERENCE_RADIANS_PER_DEGREE = 0.017453292


def tie_columns(columns: int, pixels: Grid, ties: Grid) -> np.ndarray:
    """Each pixel column as a tie-point column, both counted from the sub-satellite track: (columns,) f8."""
    return (np.arange(columns) - pixels.track_offset) * pixels.across_m / ties.across_m + ties.track_offset


def tie_rows(rows: int, pixels: Grid, ties: Grid) -> np.ndarray:
    """Where each pixel row lies among the tie-point rows: (rows,) f8; both grids start at the same time."""
    return np.arange(rows) * pixels.along_m / ties.along_m


def interpolate_zenith(zenith_deg: np.ndarray, ties: Grid, pixels: Grid, rows: int, columns: int) -> np.ndarray:
    """A zenith angle at every pixel: cubic (not-a-knot) splines through the valid tie points alone.

    zenith_deg (R, T) f8, NaN where missing -> (rows, columns) f8, NaN beyond the outermost valid tie points,
    where only extrapolation could tell. Where rows of pixels and tie points coincide (1 km), only columns are
    interpolated.
    """
    across = _spline_columns(zenith_deg, tie_columns(columns, pixels, ties))
    at = tie_rows(rows, pixels, ties)
    if np.array_equal(at, np.rint(at)):
        return across[at.astype(np.intp)]
    return _spline_columns(across.T, at).T


def _spline_columns(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolate each row of `values` (N, T) to the positions `at` (M,); rows with the same gaps are done together."""
    result = np.full((values.shape[0], at.size), np.nan)
    patterns, of_row = np.unique(np.isfinite(values), axis=0, return_inverse=True)
    for index, valid in enumerate(patterns):
        knots = np.flatnonzero(valid)
        if knots.size < 2:
            continue
        rows = np.flatnonzero(of_row.ravel() == index)
        inside = (at >= knots[0]) & (at <= knots[-1])
        spline = CubicSpline(knots, values[np.ix_(rows, knots)], axis=1)
        result[np.ix_(rows, np.flatnonzero(inside))] = spline(at[inside])
    return result


def cosine_of_sun(solar_zenith_deg: np.ndarray) -> np.ndarray:
    """mu0 to divide by: max(cos sza, cos 88 degrees); NaN where the sun is down (sza >= 90) or its angle unknown."""
    mu0 = np.maximum(np.cos(np.radians(solar_zenith_deg)), np.cos(np.radians(LOWEST_SUN_ZENITH_DEG)))
    return np.where(solar_zenith_deg < HORIZON_ZENITH_DEG, mu0, np.nan)


def reflectance(radiance: np.ndarray, irradiance: float, mu0: np.ndarray) -> np.ndarray:
    """Reflectance at the top of the atmosphere, pi L / (E mu0).

    radiance in mW m-2 sr-1 nm-1 and irradiance in mW m-2 nm-1, of the sensing day (the sun's distance
    is in it); mu0 broadcasts against radiance.
    """
    return np.pi * radiance / (irradiance * mu0)


def reference_cosine_of_sun(zenith_deg: np.ndarray, ties: Grid, pixels: Grid, rows: int, columns: int) -> np.ndarray:
    """The original's mu0 (rows, columns) f8, its fault included: start_offset is added to the tie-point row.

    The bicubic spline is then evaluated beyond its last row, and scipy holds it there, so every row
    gets the last row's angle. Missing angles count as 0 degrees; sza >= 90 gives 1.
    """
    filled = np.nan_to_num(zenith_deg, nan=0.0)
    spline = RectBivariateSpline(np.arange(filled.shape[0]), np.arange(filled.shape[1]), filled)
    at_rows = tie_rows(rows, pixels, ties) + ties.start_offset
    zenith = spline(at_rows, tie_columns(columns, pixels, ties))
    return np.where(zenith < HORIZON_ZENITH_DEG, np.cos(REFERENCE_RADIANS_PER_DEGREE * zenith), 1.0)
