"""The sun as each pixel and each detector has it: its angle, low sun, ratios of irradiances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.interpolate import BSpline, RectBivariateSpline, make_interp_spline

from preprocess.level1 import Grid

# Below this height of the sun (2 degrees) a plane-parallel reflectance means little and its noise grows without bound.
LOWEST_SUN_ZENITH_DEG = 88.0
HORIZON_ZENITH_DEG = 90.0
COLUMNS_AT_ONCE = 64
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
    at_columns, at_rows = tie_columns(columns, pixels, ties), tie_rows(rows, pixels, ties)
    if np.array_equal(at_rows, np.rint(at_rows)):
        return _spline_columns(zenith_deg[at_rows.astype(np.intp)], at_columns)
    return _spline_columns(_spline_columns(zenith_deg, at_columns).T, at_rows).T


def _spline_columns(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolate each row of `values` (N, T) to the rising positions `at` (M,); those with the same gaps together."""
    result = np.full((at.size, values.shape[0]), np.nan)
    for valid, rows in _patterns(np.isfinite(values)):
        knots = np.flatnonzero(valid)
        if knots.size < 2:
            continue
        inside = slice(np.searchsorted(at, knots[0]), np.searchsorted(at, knots[-1], side="right"))
        if inside.start >= inside.stop:
            continue
        # A spline is a sum of bumps, at most four of them at any place: a sparse matrix for all rows at once.
        spline = make_interp_spline(knots, values[rows][:, knots].T, k=min(3, knots.size - 1))
        bumps = BSpline.design_matrix(at[inside], spline.t, spline.k)
        result[inside, rows] = bumps @ spline.c
    return result.T


def _patterns(valid: np.ndarray) -> Iterator[tuple[np.ndarray, slice | np.ndarray]]:
    """Each different row of `valid` (N, T) bool, and which rows are alike: a slice where they are all the rows."""
    if (valid == valid[:1]).all():
        yield valid[0], slice(None)
        return
    patterns, of_row = np.unique(valid, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        yield pattern, np.flatnonzero(of_row.ravel() == index)


def cosine_of_sun(solar_zenith_deg: np.ndarray) -> np.ndarray:
    """mu0 to divide by, f4: max(cos sza, cos 88 degrees); NaN where the sun is down (sza >= 90) or its angle unknown.

    C-contiguous, within 2e-7 of itself: taken as the sine of the height, which float32 holds best where it is low.
    """
    mu0 = np.empty(solar_zenith_deg.shape, np.float32)
    # interpolate_zenith leaves columns in one piece: some at a time become rows while a core's own cache holds them.
    for start in range(0, solar_zenith_deg.shape[-1], COLUMNS_AT_ONCE):
        stop = start + COLUMNS_AT_ONCE
        height = (HORIZON_ZENITH_DEG - solar_zenith_deg[..., start:stop]).astype(np.float32)
        cosine = np.sin(height * np.float32(np.pi / 180))
        np.maximum(cosine, np.float32(np.cos(np.radians(LOWEST_SUN_ZENITH_DEG))), out=cosine)
        mu0[..., start:stop] = np.where(height > 0, cosine, np.float32(np.nan))
    return mu0


def irradiance_ratios(irradiance: np.ndarray) -> np.ndarray:
    """Mean irradiance over each detector's own (detectors,), to be indexed by `Product.detector`: (256,) f8.

    A radiance times its ratio is what a detector of the mean irradiance would have seen; 1 for a detector that is
    unknown (255) or whose irradiance is.
    """
    ratios = np.ones(256)
    known = np.isfinite(irradiance)
    if np.unique(irradiance[known]).size > 1:
        ratios[: irradiance.size][known] = np.mean(irradiance[known]) / irradiance[known]
    return ratios


def reference_cosine_of_sun(zenith_deg: np.ndarray, ties: Grid, pixels: Grid, rows: int, columns: int) -> np.ndarray:
    """The original's mu0 (rows, columns) f8, its fault included: start_offset is added to the tie-point row.

    The bicubic spline is then evaluated beyond its last row, and scipy holds it there, so every row
    gets the last row's angle: (1, columns) where they all do. Missing angles count as 0 degrees; sza >= 90 gives 1.
    """
    filled = np.nan_to_num(zenith_deg, nan=0.0)
    spline = RectBivariateSpline(np.arange(filled.shape[0]), np.arange(filled.shape[1]), filled)
    at_rows = np.minimum(tie_rows(rows, pixels, ties) + ties.start_offset, filled.shape[0] - 1)
    zenith = spline(np.unique(at_rows), tie_columns(columns, pixels, ties))
    mu0 = np.where(zenith < HORIZON_ZENITH_DEG, np.cos(REFERENCE_RADIANS_PER_DEGREE * zenith), 1.0)
    return mu0 if len(mu0) == 1 else mu0[np.searchsorted(np.unique(at_rows), at_rows)]
