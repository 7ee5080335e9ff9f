"""Where the pixels of a simulated product lie, and where the sun and the satellite stand, seen from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulate_plan import ProductPlan

Grid = NDArray[np.float64]


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
