"""Where simulated pixels lie and what angles they see: against great circles, the measured product, and by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from preprocess.simulation.geometry import (
    Geometry,
    make_geometry,
    oblique_zenith,
    pixel_positions,
    positions_on_sphere,
    satellite_angles,
    tie_positions,
)
from preprocess.simulation.orbit import EARTH_RADIUS_M
from preprocess.simulation.plan import ProductPlan, plan_archive


@pytest.fixture(scope="module")
def plan() -> ProductPlan:
    return replace(plan_archive(1, "small", 0)[0], rows=40, columns=60, nadir_column=20)


@pytest.fixture(scope="module")
def geometry(plan: ProductPlan) -> Geometry:
    return make_geometry(plan)


def distance_m(
    latitude_a: np.ndarray, longitude_a: np.ndarray, latitude_b: np.ndarray, longitude_b: np.ndarray
) -> np.ndarray:
    """Great-circle distance by the haversine formula."""
    a, b, c, d = map(np.radians, (latitude_a, longitude_a, latitude_b, longitude_b))
    half = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(half))


@pytest.mark.quick
def test_shapes_and_offsets(geometry: Geometry) -> None:
    assert geometry.x_in.shape == geometry.in_dual_swath.shape == geometry.sat_zenith_oblique_in.shape == (40, 60)
    assert geometry.x_an.shape == geometry.latitude_an.shape == (80, 120)
    assert geometry.x_tx.shape == geometry.solar_zenith_tn.shape == (40, 130)
    assert geometry.start_offset == round(geometry.y_tx[0, 0] / 1002.04354)


def test_pixels_lie_off_their_cells_by_a_saw_tooth(plan: ProductPlan) -> None:
    """By hand: column c of 1 km lies at (nadir - c) km, row r at r * 1002.04 m; teeth of -1, -1/3, 1/3, 1 of 250 m."""
    for grid, finer, most in (("in", 1, 250.0), ("an", 2, 125.0)):
        x, y = pixel_positions(plan, grid)
        cell_x = (20 - np.arange(60 * finer) / finer) * 1000.0
        cell_y = tie_positions(plan)[1][0, 0] + np.arange(40 * finer) / finer * 1002.04354
        for off in (x - cell_x[None, :], y - cell_y[:, None]):
            assert np.allclose(np.unique(np.round(off / most, 6)), [-1, -1 / 3, 1 / 3, 1], atol=1e-5)
        assert (np.diff(x, axis=1) < 0).all()  # x falls with the column
        assert (np.diff(y, axis=0) > 0).all()


def test_distances_on_the_sphere_are_those_of_the_grid(plan: ProductPlan) -> None:
    """Neighbours across the track are exactly their x apart; along it y, shortened by cos(x / R) off the track."""
    x, y = tie_positions(plan)
    latitude, longitude = positions_on_sphere(plan, x, y)
    across = distance_m(latitude[:, :-1], longitude[:, :-1], latitude[:, 1:], longitude[:, 1:])
    along = distance_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    assert np.allclose(across, 16000.0, rtol=1e-6)
    assert np.allclose(along, 1002.04354 * np.cos(x[1:] / EARTH_RADIUS_M), rtol=1e-5)


def test_the_plan_gives_centre_and_heading(plan: ProductPlan) -> None:
    middle = np.array([[tie_positions(plan)[1][0, 0] + plan.rows / 2 * 1002.04354]])
    latitude, longitude = positions_on_sphere(plan, np.zeros((1, 1)), middle)
    assert abs(latitude[0, 0] - plan.centre_latitude) < 1e-6
    assert abs(longitude[0, 0] - plan.centre_longitude) < 1e-6
    ahead = positions_on_sphere(plan, np.zeros((1, 1)), middle + 1000.0)
    right = positions_on_sphere(plan, np.full((1, 1), 1000.0), middle)
    for (there_latitude, there_longitude), bearing in ((ahead, plan.heading_deg), (right, plan.heading_deg + 90)):
        north = there_latitude[0, 0] - plan.centre_latitude
        east = (there_longitude[0, 0] - plan.centre_longitude) * np.cos(np.radians(plan.centre_latitude))
        assert abs((np.degrees(np.arctan2(east, north)) - bearing + 180) % 360 - 180) < 0.1


def test_ties_and_pixels_agree(geometry: Geometry) -> None:
    """The angles of the pixels are those of the tie points around them, interpolated (but for the saw-tooth)."""
    column = (np.arange(60) - 20) / 16.0 + 64
    for image, ties in (
        (geometry.solar_zenith_in, geometry.solar_zenith_tn),
        (geometry.sat_zenith_in, geometry.sat_zenith_tn),
    ):
        wide = np.stack([np.interp(column, np.arange(130), row) for row in ties])
        assert np.abs(wide - image).max() < 0.1


def test_outer_ties_hold_no_angles_but_the_image_lies_within(geometry: Geometry) -> None:
    for ties in (geometry.solar_zenith_tn, geometry.solar_azimuth_tn, geometry.sat_zenith_tn, geometry.sat_azimuth_tn):
        assert np.isnan(ties[:, 112:]).all()
        assert np.isfinite(ties[:, :112]).all()
    assert np.isfinite(geometry.x_tx).all()
    assert geometry.x_tx[0, 0] == 1_024_000.0  # as measured
    assert geometry.x_tx[0, 111] < geometry.x_in.min()


def test_satellite_zenith_is_that_of_the_measured_product(real_product: Path) -> None:
    """Measured at every tie column of row 600; within half a degree: the scan's shape is fitted by a parabola."""
    with netCDF4.Dataset(real_product / "geometry_tn.nc") as ties:
        measured = ties["sat_zenith_tn"][600, :112].filled(np.nan)
    plan = plan_archive(1, "full", 0)[0]
    x, y = (part[600:601, :112] for part in tie_positions(plan))
    zenith, azimuth = satellite_angles(plan, x, y)
    assert np.abs(zenith[0] - measured).max() < 0.5
    # On the track the satellite stands behind the pixel it looks at.
    assert abs((azimuth[0, 64] - plan.heading_deg - 180 + 180) % 360 - 180) < 2


def test_glint_lies_where_sun_and_satellite_stand_opposite() -> None:
    """Of the full swath by day towards the glint, the side away from the sun sees it behind the satellite (0 degrees)
    and the side towards the sun opposite (180 degrees).
    """
    plan = next(plan for plan in plan_archive(8, "full", 0) if plan.theme == "glint")
    geometry = make_geometry(replace(plan, rows=4))
    east = geometry.relative_azimuth_in[:, -50:].mean()
    west = geometry.relative_azimuth_in[:, :50].mean()
    assert east > 150
    assert west < 30
    assert geometry.in_dual_swath.sum(axis=1).tolist() == [900] * 4
    assert geometry.in_dual_swath[0, 548]
    assert not geometry.in_dual_swath[0, 547]


def test_oblique_zenith_passes_the_match_up_filter() -> None:
    """The original keeps rows with satzao <= 55; the view's zenith is about that, and never above."""
    zenith = oblique_zenith(np.linspace(-1e6, 1e6, 101))
    assert zenith.max() <= 55.0
    assert zenith.min() > 53.0


def test_same_plan_same_geometry(plan: ProductPlan, geometry: Geometry) -> None:
    again = make_geometry(plan)
    assert np.array_equal(again.latitude_an, geometry.latitude_an)
    assert np.array_equal(again.sat_azimuth_tn, geometry.sat_azimuth_tn, equal_nan=True)
