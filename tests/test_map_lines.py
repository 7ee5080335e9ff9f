"""Lines of a map: oracles are grids whose meridians, parallels and coasts are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.level1 import CONFIDENCE_BITS
from preprocess.map_lines import (
    block_means,
    coast_lines,
    longitude_span,
    map_lines,
    meridian_label,
    parallel_label,
    spacing_deg,
)

ROWS, COLUMNS = 31, 41


def _plain(west: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Row r lies at 41.5 - 0.1 r degrees north, column c at `west` + 0.1 c east, within -180 to 180."""
    latitude = np.repeat(41.5 - 0.1 * np.arange(ROWS)[:, None], COLUMNS, 1)
    longitude = np.repeat(west + 0.1 * np.arange(COLUMNS)[None], ROWS, 0)
    return latitude.astype(np.float32), ((longitude + 180) % 360 - 180).astype(np.float32)


@pytest.mark.quick
def test_parallels_and_meridians_lie_where_the_positions_say() -> None:
    lines = map_lines(*_plain(), None)
    assert (lines.latitude_spacing_deg, lines.longitude_spacing_deg) == (0.5, 1.0), "3 and 4 degrees: at most 6 lines"
    rows = {line.label: line.pieces[0][:, 1] for line in lines.parallels}
    assert {"39°N", "40°N", "41°N", "40.5°N"} <= set(rows)
    np.testing.assert_allclose(rows["40.5°N"], 10, atol=1e-3)  # float32 positions, 4e-6 degrees of 0.1 a pixel
    columns = {line.label: line.pieces[0][:, 0] for line in lines.meridians}
    assert {"11°E", "12°E", "13°E"} <= set(columns)
    np.testing.assert_allclose(columns["12°E"], 20, atol=1e-3)
    assert lines.coast == ()


def test_the_date_line_is_a_meridian_like_others() -> None:
    lines = map_lines(*_plain(178.0), None)
    columns = {line.label: line.pieces[0][:, 0] for line in lines.meridians}
    assert {"179°E", "180°", "179°W"} <= set(columns)
    np.testing.assert_allclose(columns["180°"], 20, atol=1e-3)
    np.testing.assert_allclose(columns["179°W"], 30, atol=1e-3)
    assert all(len(line.pieces) == 1 for line in lines.meridians), "none leaps across the image"


def test_about_a_pole_parallels_are_circles_and_meridians_rays() -> None:
    """A plane about the pole: latitude 90 - 0.1 r, longitude the angle."""
    y, x = np.mgrid[-30:31, -30:31].astype(np.float64)
    lines = map_lines(90 - 0.1 * np.hypot(x, y), np.degrees(np.arctan2(y, x)), None)
    assert lines.longitude_spacing_deg == 60
    assert {line.label for line in lines.meridians} == {"0°", "60°E", "120°E", "180°", "120°W", "60°W"}
    circle = next(line for line in lines.parallels if line.label == "88°N")
    radius = np.hypot(*(circle.pieces[0] - 30).T)
    np.testing.assert_allclose(radius, 20, atol=0.02)  # chords of a cone within a pixel: 1 / (8 * 20)
    ray = next(line for line in lines.meridians if line.label == "180°")
    points = np.concatenate(ray.pieces)
    far = np.abs(points[:, 0] - 30) > 2
    np.testing.assert_allclose(points[far, 1], 30, atol=1e-6)
    assert (points[far, 0] < 30).all(), "its own side of the pole alone"


def test_where_no_position_is_known_no_line_is_drawn() -> None:
    latitude, longitude = _plain()
    latitude[:, :15] = longitude[:, :15] = np.nan
    lines = map_lines(latitude, longitude, None)
    assert min(piece[:, 0].min() for line in lines.parallels for piece in line.pieces) == 15
    nothing = np.full((4, 5), np.nan)
    assert map_lines(nothing, nothing, None).parallels == ()
    assert map_lines(None, None, None).latitude_spacing_deg is None


def test_the_coast_runs_between_land_and_water_and_not_along_what_is_unknown() -> None:
    """Sea | land with a lake | nothing known: one coast of columns 1.5, one about the lake."""
    flags = np.full((7, 9), CONFIDENCE_BITS["land"], np.uint16)
    flags[:, :2] = CONFIDENCE_BITS["ocean"] | CONFIDENCE_BITS["coastline"]
    flags[3, 4] |= CONFIDENCE_BITS["inland_water"]
    flags[:, 7:] = CONFIDENCE_BITS["day"]
    found = sorted(coast_lines(flags), key=len)
    assert len(found) == 2
    lake, shore = sorted(found, key=lambda line: -line[:, 0].min())
    assert (shore[:, 0] == 1.5).all()
    assert sorted(map(tuple, lake[:-1].tolist())) == [(3.5, 3), (4, 2.5), (4, 3.5), (4.5, 3)]
    assert coast_lines(np.zeros((5, 5), np.uint16)) == (), "the original's shards have no flags"
    (coarse,) = coast_lines(np.repeat(np.repeat(flags[:, :3], 2, 0), 2, 1), 2)
    assert (coarse[:, 0] == 3.5).all(), "blocks of 2: between columns 3 and 4"


def test_means_over_blocks_are_over_what_is_valid() -> None:
    values = np.arange(15, dtype=np.float32).reshape(3, 5)
    valid = np.ones((3, 5), bool)
    valid[0, 1] = valid[0, 2] = valid[0, 3] = valid[1, 2] = valid[1, 3] = False
    mean, seen = block_means(values, valid, 2)
    np.testing.assert_allclose(mean, [[(0 + 5 + 6) / 3, 0]], rtol=1e-6)  # float32
    assert seen.tolist() == [[True, False]]


def test_spans_spacings_and_labels() -> None:
    assert longitude_span(np.array([179.0, -179.0, 180.0])) == (179.0, 181.0)
    assert longitude_span(np.array([-1.0, 2.0])) == (359.0, 362.0)
    assert [spacing_deg(span) for span in (0.2, 3.0, 3.1, 180.0, 359.0)] == [0.05, 0.5, 1.0, 30.0, 60.0]
    assert [meridian_label(at) for at in (0, 180, 181, -180, 359.5)] == ["0°", "180°", "179°W", "180°", "0.5°W"]
    assert [parallel_label(at) for at in (0, -12.5, 80)] == ["0°", "12.5°S", "80°N"]
