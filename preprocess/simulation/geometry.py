"""Where the pixels of a simulated product lie, and where the sun and the satellite stand, seen from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.orbit import EARTH_RADIUS_M, solar_angles, wrap
from preprocess.simulation.plan import FULL_COLUMNS, FULL_NADIR_COLUMN, ROW_M, ROW_S, ProductPlan

Grid = NDArray[np.float64]
Whole = NDArray[np.int64]

TIE_COLUMNS, TIE_NADIR_COLUMN, TIE_STEP_M = 130, 64, 16_000.0
FIRST_EMPTY_TIE = 112
"""Angles are NaN from this tie column on, beyond the image, as in the measured product; small products keep the whole
tie grid, so all of this holds for them too."""
FIRST_DUAL_COLUMN, DUAL_COLUMNS = 548, 900
"""Where the 900 columns of the oblique view lie in a full nadir image (ORAC, slstr-preprocessor)."""
PIXEL_M = {"in": 1000.0, "an": 500.0}
SAW_TOOTH_SHARE = 0.25
"""Pixels lie up to this share of their size off their cell."""
SAW_TOOTH_ROWS, SAW_TOOTH_COLUMNS = 4, 37
SATELLITE_HEIGHT_M = 814_500.0
SCAN_AHEAD_M, SCAN_CURVATURE_PER_M = 77_000.0, 5.3e-7
"""The conical nadir scan looks ahead of the satellite by SCAN_AHEAD_M - SCAN_CURVATURE_PER_M * x^2; both fitted to
sat_zenith_tn of the measured product (within half a degree)."""
OBLIQUE_ZENITH_DEG, OBLIQUE_EDGE_DROP_DEG, OBLIQUE_HALF_SWATH_M = 54.9, 1.5, 450_000.0
"""The oblique view's zenith angle in the middle of its swath, and how much less it is at the swath's edges (rounded
from published examples; nothing measured is at hand)."""


@dataclass(frozen=True)
class Geometry:
    """Positions and angles of one product of R x C pixels of 1 km and 2R x 2C of 500 m; T tie columns a 1 km row.

    x (m) counts across the track, 0 at the sub-satellite track, positive to the right of the flight, and falls with
    the column; y (m) counts along the track since the ascending node (about 1e7, not 0, at row 0). The `_in` and `_an`
    positions are where pixels really are: off their cell by up to 250 m at 1 km and 125 m at 500 m, saw-toothed.
    Pixel (2r, 2c) of the 500 m grid shares its cell's position with pixel (r, c) of the 1 km grid.
    Latitudes and longitudes, zenith angles and azimuths are degrees; azimuths clockwise from north, as seen from the
    pixel. `relative_azimuth_in` is 0..180: 180 where sun and satellite stand opposite (towards the glint).
    Angles at the outer tie columns are NaN. `sat_zenith_oblique_in` is defined everywhere, meaningful `in_dual_swath`.
    """

    plan: ProductPlan
    x_in: Grid
    y_in: Grid
    latitude_in: Grid
    longitude_in: Grid
    x_an: Grid
    y_an: Grid
    latitude_an: Grid
    longitude_an: Grid
    x_tx: Grid
    y_tx: Grid
    latitude_tx: Grid
    longitude_tx: Grid
    solar_zenith_tn: Grid
    solar_azimuth_tn: Grid
    sat_zenith_tn: Grid
    sat_azimuth_tn: Grid
    solar_zenith_in: Grid
    sat_zenith_in: Grid
    relative_azimuth_in: Grid
    sat_zenith_oblique_in: Grid
    in_dual_swath: NDArray[np.bool_]
    start_offset: int


def make_geometry(plan: ProductPlan) -> Geometry:
    """Lay out the pixels of `plan` on a sphere and look at the sun and the satellite from them; same plan, same result.

    The track is the great circle through the plan's centre along its heading (the turn of the Earth enters through the
    heading alone), columns lie on great circles at right angles to it.
    """
    x_in, y_in = pixel_positions(plan, "in")
    x_an, y_an = pixel_positions(plan, "an")
    x_tx, y_tx = tie_positions(plan)
    latitude_in, longitude_in = positions_on_sphere(plan, x_in, y_in)
    latitude_an, longitude_an = positions_on_sphere(plan, x_an, y_an)
    latitude_tx, longitude_tx = positions_on_sphere(plan, x_tx, y_tx)
    solar_zenith_in, solar_azimuth_in, sat_zenith_in, sat_azimuth_in = _angles(plan, x_in, y_in)
    ties = [without_outer_columns(angle) for angle in _angles(plan, x_tx, y_tx)]
    solar_zenith_tn, solar_azimuth_tn, sat_zenith_tn, sat_azimuth_tn = ties
    column = np.arange(plan.columns) - plan.nadir_column + FULL_NADIR_COLUMN
    dual = (column >= FIRST_DUAL_COLUMN) & (column < FIRST_DUAL_COLUMN + DUAL_COLUMNS)
    return Geometry(
        plan=plan,
        x_in=x_in,
        y_in=y_in,
        latitude_in=latitude_in,
        longitude_in=longitude_in,
        x_an=x_an,
        y_an=y_an,
        latitude_an=latitude_an,
        longitude_an=longitude_an,
        x_tx=x_tx,
        y_tx=y_tx,
        latitude_tx=latitude_tx,
        longitude_tx=longitude_tx,
        solar_zenith_tn=solar_zenith_tn,
        solar_azimuth_tn=solar_azimuth_tn,
        sat_zenith_tn=sat_zenith_tn,
        sat_azimuth_tn=sat_azimuth_tn,
        solar_zenith_in=solar_zenith_in,
        sat_zenith_in=sat_zenith_in,
        relative_azimuth_in=np.abs(wrap(solar_azimuth_in - sat_azimuth_in)),
        sat_zenith_oblique_in=oblique_zenith(x_in),
        in_dual_swath=np.broadcast_to(dual, x_in.shape),
        start_offset=round(first_row_m(plan) / ROW_M),
    )


def pixel_positions(plan: ProductPlan, grid: str) -> tuple[Grid, Grid]:
    """x, y (m) of the pixels of grid "in" (R, C) or "an" (2R, 2C), saw-tooth included."""
    finer = round(PIXEL_M["in"] / PIXEL_M[grid])
    return cell_positions(plan, grid, np.arange(plan.rows * finer), np.arange(plan.columns * finer))


def cell_positions(plan: ProductPlan, grid: str, rows: Whole, columns: Whole) -> tuple[Grid, Grid]:
    """x, y (m) of the pixels at these rows (N,) and columns (M,) of the plan's grid, beyond it too: (N, M)."""
    finer = round(PIXEL_M["in"] / PIXEL_M[grid])
    mirrored = plan.columns * finer - 1 - columns
    off = SAW_TOOTH_SHARE * PIXEL_M[grid]
    x = (finer * plan.nadir_column - columns) * PIXEL_M[grid]
    y = first_row_m(plan) + rows * ROW_M / finer
    return x[None, :] + off * _tooth(rows, mirrored), y[:, None] + off * _tooth(rows, columns)


def _tooth(rows: Whole, columns: Whole) -> Grid:
    """-1..1, by turns."""
    steps: Grid = (rows[:, None] + columns[None, :] // SAW_TOOTH_COLUMNS) % SAW_TOOTH_ROWS / (SAW_TOOTH_ROWS - 1)
    return steps * 2.0 - 1.0


def tie_positions(plan: ProductPlan) -> tuple[Grid, Grid]:
    """x, y (m) of the tie points, (R, T), on the grid exactly."""
    x = (TIE_NADIR_COLUMN - np.arange(TIE_COLUMNS)) * TIE_STEP_M
    y = first_row_m(plan) + np.arange(plan.rows) * ROW_M
    return np.tile(x, (plan.rows, 1)), np.repeat(y[:, None], TIE_COLUMNS, axis=1)


def first_row_m(plan: ProductPlan) -> float:
    """y of row 0: the ground distance since the ascending node."""
    return plan.frame * ROW_M / ROW_S


def outer_columns(plan: ProductPlan, full: int) -> int:
    """`full` columns of a full-size image, scaled to the width of this one."""
    return round(full * plan.columns / FULL_COLUMNS)


def positions_on_sphere(plan: ProductPlan, x: Grid, y: Grid) -> tuple[Grid, Grid]:
    """Latitude and longitude (degrees) of track coordinates x, y (m); spherical cylinder coordinates."""
    up, forward, right = _track_frame(plan)
    s = (y - _middle_m(plan)) / EARTH_RADIUS_M
    a = x / EARTH_RADIUS_M
    point = [
        np.cos(a) * (np.cos(s) * u + np.sin(s) * f) + np.sin(a) * r for u, f, r in zip(up, forward, right, strict=True)
    ]
    return (
        np.degrees(np.arctan2(point[2], np.hypot(point[0], point[1]))),
        np.degrees(np.arctan2(point[1], point[0])),
    )


def satellite_angles(plan: ProductPlan, x: Grid, y: Grid) -> tuple[Grid, Grid]:
    """Zenith angle and azimuth of the satellite (degrees, azimuth clockwise from north, 0..360) from x, y (m).

    The satellite stands over the track, behind the pixel by what the scan looks ahead; from the central angle g between
    both points, tan(zenith) = sin g / (cos g - R / (R + h)) (plane triangle with the Earth's centre).
    """
    below = y - (SCAN_AHEAD_M - SCAN_CURVATURE_PER_M * x**2)
    latitude, longitude = map(np.radians, positions_on_sphere(plan, x, y))
    under, beneath = map(np.radians, positions_on_sphere(plan, np.zeros_like(x), below))
    turn = beneath - longitude
    cosine = np.sin(latitude) * np.sin(under) + np.cos(latitude) * np.cos(under) * np.cos(turn)
    east = np.cos(under) * np.sin(turn)
    north = np.cos(latitude) * np.sin(under) - np.sin(latitude) * np.cos(under) * np.cos(turn)
    ratio = EARTH_RADIUS_M / (EARTH_RADIUS_M + SATELLITE_HEIGHT_M)
    zenith = np.arctan2(np.hypot(east, north), cosine - ratio)
    return np.degrees(zenith), np.degrees(np.arctan2(east, north)) % 360.0


def oblique_zenith(x: Grid) -> Grid:
    """Zenith angle (degrees) of the oblique view at x (m); never above OBLIQUE_ZENITH_DEG."""
    return OBLIQUE_ZENITH_DEG - OBLIQUE_EDGE_DROP_DEG * np.clip((x / OBLIQUE_HALF_SWATH_M) ** 2, 0.0, 1.0)


def _angles(plan: ProductPlan, x: Grid, y: Grid) -> tuple[Grid, Grid, Grid, Grid]:
    seconds = (y - first_row_m(plan)) / ROW_M * ROW_S
    solar = solar_angles(plan.start, seconds, *positions_on_sphere(plan, x, y))
    return (*solar, *satellite_angles(plan, x, y))


def without_outer_columns(angle: Grid) -> Grid:
    return np.where(np.arange(TIE_COLUMNS) < FIRST_EMPTY_TIE, angle, np.nan)


def _middle_m(plan: ProductPlan) -> float:
    return first_row_m(plan) + plan.rows / 2 * ROW_M


def _track_frame(plan: ProductPlan) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors at the plan's centre: up, along the flight, to its right."""
    latitude, longitude, bearing = np.radians([plan.centre_latitude, plan.centre_longitude, plan.heading_deg])
    up = np.array([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])
    north = np.array([-np.sin(latitude) * np.cos(longitude), -np.sin(latitude) * np.sin(longitude), np.cos(latitude)])
    east = np.array([-np.sin(longitude), np.cos(longitude), 0.0])
    return (
        up,
        np.cos(bearing) * north + np.sin(bearing) * east,
        -np.sin(bearing) * north + np.cos(bearing) * east,
    )
