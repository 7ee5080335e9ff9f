"""Plans of simulated archives: variety, names, light and themes as wished, and the orbit and sun behind them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from preprocess.names import parse_name
from preprocess.simulation.geometry import positions_on_sphere, tie_positions
from preprocess.simulation.orbit import heading, orbit_at, solar_angles, sub_satellite_point, sun_distance_au, wrap
from preprocess.simulation.plan import LATITUDES, ProductPlan, plan_archive

THEMES = {"sea", "coast", "land", "snow", "ice", "glint"}


@pytest.mark.quick
@pytest.mark.parametrize("size", ["small", "full"])
@pytest.mark.parametrize("seed", [0, 5])
def test_the_first_eight_show_every_kind(size: str, seed: int) -> None:
    plans = plan_archive(8, size, seed)  # type: ignore[arg-type]
    assert {plan.platform for plan in plans} == {"S3A", "S3B"}
    assert {plan.collection for plan in plans} == {"002", "004", "005"}
    assert {plan.illumination for plan in plans} == {"day", "twilight", "night"}
    assert {plan.theme for plan in plans} == THEMES
    assert [plan.labelled for plan in plans].count(False) == 1
    assert {plan.collection for plan in plans if not plan.labelled} == {"002"}
    rows, columns = {"small": (range(256, 261), 384), "full": (range(1198, 1203), 1500)}[size]
    assert all(plan.rows in rows and plan.columns == columns for plan in plans)
    if size == "full":
        assert {plan.nadir_column for plan in plans} == {998}


def test_an_archive_of_24_is_mostly_day_and_mostly_labelled() -> None:
    plans = plan_archive(24, "small", 1)
    assert sum(plan.illumination == "day" for plan in plans) >= 0.6 * 24
    assert sum(not plan.labelled for plan in plans) == 2  # one in twelve
    assert len({plan.name for plan in plans}) == 24


def test_one_orbit_gives_consecutive_frames_and_one_scene_is_processed_twice() -> None:
    plans = plan_archive(24, "small", 0)
    pairs = [(a, b) for a in plans for b in plans if a.absolute_orbit == b.absolute_orbit and b.frame == a.frame + 180]
    assert all(a.platform == b.platform and b.start - a.start == timedelta(seconds=180) for a, b in pairs)
    assert pairs
    copies = [plan for plan in plans if plan.copy_of]
    assert len(copies) == 1
    original = next(plan for plan in plans if plan.name == copies[0].copy_of)
    same = ("platform", "start", "seed", "rows", "nadir_column", "theme", "centre_latitude")
    assert all(getattr(original, name) == getattr(copies[0], name) for name in same)
    assert original.collection != copies[0].collection
    assert original.name[:47] == copies[0].name[:47] != original.name  # up to the creation time
    assert original.name[48:63] < copies[0].name[48:63]


def test_plans_are_a_function_of_the_seed_and_grow_at_the_end() -> None:
    assert plan_archive(12, "small", 3) == plan_archive(12, "small", 3)
    assert plan_archive(12, "small", 3) == plan_archive(20, "small", 3)[:12]
    assert plan_archive(4, "small", 3) != plan_archive(4, "small", 4)


def test_names_are_product_names() -> None:
    for plan in plan_archive(16, "full", 2):
        parsed = parse_name(plan.name)
        assert (parsed.platform, parsed.collection) == (plan.platform, plan.collection)
        assert parsed.start_time == plan.start.strftime("%Y-%m-%dT%H:%M:%SZ")
        # The example in the measured product: ..._0179_015_237_1439_SVL_O_NR_002, 94 characters.
        assert len(plan.name) == 94
        assert plan.name[64:82] == f"0179_{plan.cycle:03d}_{plan.relative_orbit:03d}_{plan.frame:04d}_"
        assert 1 <= plan.relative_orbit <= 385


def _zeniths(plan: ProductPlan) -> np.ndarray:
    """Sun zenith at the four corners and the middle of the image."""
    rows, columns = np.array([0, 0, 1, 1, 0.5]) * (plan.rows - 1), np.array([0, 1, 0, 1, 0.5]) * (plan.columns - 1)
    y = tie_positions(plan)[1][:, 0]
    x = (plan.nadir_column - columns) * 1000.0
    latitude, longitude = positions_on_sphere(plan, x, np.interp(rows, np.arange(plan.rows), y))
    return solar_angles(plan.start, rows * 0.15, latitude, longitude)[0]


@pytest.mark.parametrize("size", ["small", "full"])
def test_light_is_as_planned_in_all_of_the_image(size: str) -> None:
    for plan in plan_archive(16, size, 7):  # type: ignore[arg-type]
        zenith = _zeniths(plan)
        if plan.illumination == "day":
            assert zenith.max() < 90
        elif plan.illumination == "night":
            assert zenith.min() > 92
        else:
            assert zenith.min() < 90 < zenith.max()


def test_themes_lie_at_their_latitudes() -> None:
    for plan in plan_archive(24, "small", 0):
        follows = any(
            other.absolute_orbit == plan.absolute_orbit and other.frame == plan.frame - 180
            for other in plan_archive(24, "small", 0)
        )
        if plan.illumination != "twilight" and not follows:
            least, most = LATITUDES[plan.theme]
            assert least <= abs(plan.centre_latitude) <= most


def test_the_orbit_is_that_of_the_measured_product() -> None:
    """Its manifest: orbit 5600, cycle 15, relative orbit 237; node in the south-west Pacific at 162.4 E (from the
    ephemeris, atan2(2173180, -6847124)); the next node 6059.22 s later.
    """
    orbit = orbit_at("S3A", datetime(2017, 3, 15, 11, 34, 20, tzinfo=UTC))
    assert (orbit.absolute, orbit.cycle, orbit.relative) == (5600, 15, 237)
    latitude, longitude = sub_satellite_point(orbit, 0.0)
    assert abs(latitude) < 1e-9
    assert abs(longitude - np.degrees(np.arctan2(2173180.289, -6847124.115))) < 0.1  # node's local time is to minutes
    later = orbit_at("S3A", datetime(2017, 3, 15, 12, 51, 20, tzinfo=UTC))
    assert later.absolute == 5601
    assert abs((later.node - datetime(2017, 3, 15, 12, 51, 19, 993555, UTC)).total_seconds()) < 0.01


def test_track_and_sun_agree_with_the_measured_product(real_product: Path) -> None:
    """The track within half a degree of arc. The sun's zenith lies a constant 1.00 degree above the product's (whose
    processor does something of its own near the horizon), with a spread below 0.1 degrees; azimuths within 0.15.
    """
    start = datetime(2017, 3, 15, 11, 34, 20, 831396, UTC)
    with (
        netCDF4.Dataset(real_product / "geodetic_tx.nc") as ties,
        netCDF4.Dataset(real_product / "geometry_tn.nc") as g,
    ):
        latitude, longitude = ties["latitude_tx"][::100, 64:100:6], ties["longitude_tx"][::100, 64:100:6]
        zenith, azimuth = g["solar_zenith_tn"][::100, 64:100:6], g["solar_azimuth_tn"][::100, 64:100:6]
    seconds = np.arange(1198)[::100] * 0.15
    orbit = orbit_at("S3A", start)
    track = sub_satellite_point(orbit, 1440.06 + seconds)
    assert np.abs(track[0] - latitude[:, 0]).max() < 0.3
    assert np.abs(wrap(track[1] - longitude[:, 0]) * np.cos(np.radians(latitude[:, 0]))).max() < 0.5
    found = solar_angles(start, seconds[:, None], latitude, longitude)
    assert abs((found[0] - zenith).mean() - 1.0) < 0.02
    assert (found[0] - zenith).std() < 0.1
    assert np.abs(wrap(found[1] - azimuth)).max() < 0.15
    assert abs(sun_distance_au(start) - 148.783e9 / 149_597_870_700) < 1e-4  # solar_path_tn, six digits


def test_sun_at_known_moments() -> None:
    """Noon at Greenwich on the equinox of 2018-03-20 (12:07 true noon): overhead at the equator within the equation of
    time; midsummer noon at 60 N: zenith 60 - 23.44; both within 0.1 degrees of almanac values.
    """
    zenith, _ = solar_angles(datetime(2018, 3, 20, 12, 7, 30, tzinfo=UTC), 0.0, 0.0, 0.0)
    assert zenith < 0.15
    zenith, azimuth = solar_angles(datetime(2018, 6, 21, 12, 1, 50, tzinfo=UTC), 0.0, 60.0, 0.0)
    assert abs(zenith - (60 - 23.435)) < 0.05
    assert abs(azimuth - 180.0) < 0.1


def test_by_day_the_satellite_flies_south() -> None:
    for plan in plan_archive(24, "small", 0):
        if abs(plan.centre_latitude) < 60:
            south = 90 < plan.heading_deg < 270
            assert south == (plan.illumination == "day") or plan.illumination == "twilight"
    orbit = orbit_at("S3A", datetime(2018, 5, 1, tzinfo=UTC))
    assert abs(heading(orbit, 0.0) - 348.0) < 2.0  # an ascending node of a 98.65 degree orbit over a turning Earth
