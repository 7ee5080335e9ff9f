"""Which 500 m measurements lie nearest to a 1 km pixel: by hand, and against every distance computed in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from preprocess import nearest
from preprocess.errors import UserError
from preprocess.level1 import Packed, Positions
from preprocess.nearest import NEAREST, RADIUS_M, nearest_measurements

DISTANCE_TOLERANCE = 2e-5
"""Distances differing by less, relatively, may be taken in any order: of a squared distance 16 of 24 bits are kept, of
a distance 2**-16 = 1.5e-5."""


def make_positions(x_1km: Any, y_1km: Any, x_500m: Any, y_500m: Any, orphan_x: Any = None, orphan_y: Any = None) -> Any:
    """Positions without cosmetic cells, and without orphans unless given; nothing is measured there."""
    fine = np.shape(x_500m)
    none = np.empty((fine[0], 0), np.float32)
    orphan_x, orphan_y = (none if orphans is None else orphans for orphans in (orphan_x, orphan_y))
    places = np.shape(orphan_x)
    return Positions(
        *(np.asarray(values, np.float32) for values in (x_1km, y_1km, x_500m, y_500m)),
        np.zeros(fine, bool),
        np.asarray(orphan_x, np.float32),
        np.asarray(orphan_y, np.float32),
        (Packed(np.zeros(places, np.int16)),) * 6,
        np.zeros((6, *places), np.uint8),
    )


def regular(rows: int, columns: int) -> Positions:
    """1 km pixels in the middle of their four cells of 500 m; x falls with the column, y grows with the row."""
    fine_y, fine_x = np.mgrid[: 2 * rows, : 2 * columns] * 500.0 + 250.0
    y, x = np.mgrid[:rows, :columns] * 1000.0 + 500.0
    return make_positions(-x, y, -fine_x, fine_y)


@pytest.mark.quick
def test_by_hand() -> None:
    """One row of two pixels. The left one lies 100 m right of and 50 m below the middle of its cells.

    Its four lie at (-+250 - 100, -+250 - 50): 461 m up left, 403 down left, 335 up right, 250 down right; the fifth is
    the next cell down right, at (650, 200): 680 m; the one above that, at (650, -300), has 716 m.
    Cells are numbered 0..3 in the upper row, 4..7 in the lower.
    """
    positions = regular(1, 2)
    x, y = positions.x_1km.copy(), positions.y_1km.copy()
    x[0, 0] -= 100
    y[0, 0] += 50
    found = nearest_measurements(replace(positions, x_1km=x, y_1km=y))
    assert found.dtype == np.int32
    assert found.shape == (5, 1, 2)
    assert found[:, 0, 0].tolist() == [5, 1, 4, 0, 6]


def test_cosmetic_cells_and_unknown_positions_are_none_and_orphans_count() -> None:
    """As above, but cell 5 is cosmetic, cell 1 lies nowhere, and of three orphans one lies on the pixel (number 9) and
    one 1001 m off (number 8); the last place is empty. What is left are the orphan, cells 4, 0, 6, 2.
    """
    positions = regular(1, 2)
    x, y, x_500m = positions.x_1km.copy(), positions.y_1km.copy(), positions.x_500m.copy()
    x[0, 0] -= 100
    y[0, 0] += 50
    x_500m[0, 1] = np.nan
    cosmetic = np.zeros((2, 4), bool)
    cosmetic[1, 1] = True
    orphan_x = np.array([[x[0, 0] + 1001, x[0, 0]], [np.nan, np.nan]], np.float32)
    orphan_y = np.array([[y[0, 0], y[0, 0]], [np.nan, 500]], np.float32)
    holes = replace(
        positions, x_1km=x, y_1km=y, x_500m=x_500m, cosmetic_500m=cosmetic, orphan_x=orphan_x, orphan_y=orphan_y
    )
    assert nearest_measurements(holes)[:, 0, 0].tolist() == [9, 4, 0, 6, 2]
    assert nearest_measurements(holes, count=3)[:, 0, 0].tolist() == [9, 4, 0]
    none = 8 + 4
    assert nearest_measurements(holes, radius_m=500.0)[:, 0, 0].tolist() == [9, 4, 0, none, none]


def brute(positions: Positions, count: int, radius_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and distances of the nearest, (count, R, C), by every distance there is; inf where there is none."""
    x_500m = np.where(positions.cosmetic_500m, np.nan, positions.x_500m)
    measured = np.stack(
        [
            np.concatenate([x_500m.ravel(), positions.orphan_x.ravel()]),
            np.concatenate([positions.y_500m.ravel(), positions.orphan_y.ravel()]),
        ],
        axis=1,
    ).astype(np.float64)
    pixels = np.stack([positions.x_1km.ravel(), positions.y_1km.ravel()], axis=1).astype(np.float64)
    distance = np.nan_to_num(cdist(pixels, measured), nan=np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, : count + 1]
    sorted_distance = np.take_along_axis(distance, order, axis=1)
    sorted_distance[sorted_distance >= radius_m] = np.inf
    order[np.isinf(sorted_distance)] = measured.shape[0]
    shape = (count + 1, *positions.x_1km.shape)
    return order.T.reshape(shape), sorted_distance.T.reshape(shape)


def check(positions: Positions, count: int = NEAREST, radius_m: float = RADIUS_M) -> float:
    """Hold `nearest_measurements` against brute force; returns the share of places filled."""
    found = nearest_measurements(positions, count, radius_m)
    expected, distance = brute(positions, count, radius_m)
    before = np.concatenate([np.full_like(distance[:1], -np.inf), distance[:-2]])
    after = distance[1:]
    near, far = 1 - DISTANCE_TOLERANCE, 1 + DISTANCE_TOLERANCE
    alone = (before < distance[:-1] * near) & (after > distance[:-1] * far) | np.isinf(distance[:-1])
    within = ~((distance[:-1] > radius_m * near) & np.isfinite(distance[:-1]))
    assert np.array_equal(found[alone & within], expected[:-1][alone & within])
    assert (alone & within).mean() > 0.9
    return float(np.isfinite(distance[:-1]).mean())


def random_positions(
    draws: np.random.Generator,
    rows: int = 19,
    columns: int = 23,
    *,
    stray_1km: float = 500.0,
    stray_500m: float = 250.0,
    middle: bool = True,
) -> Positions:
    """Pixels strewn about their cells; y near 1e7 m, as along the track; an orphan for every fifth cell."""
    fine_y, fine_x = np.mgrid[: 2 * rows, : 2 * columns] * 500.0
    y, x = np.mgrid[:rows, :columns] * 1000.0 + (250.0 if middle else 0.0)
    orphan_rows = np.arange(2 * rows)[:, None] * 500.0 + draws.uniform(-250, 250, (2 * rows, columns // 5 * 2))
    orphan_x = draws.uniform(0, columns * 1000, orphan_rows.shape)
    positions = make_positions(
        *(values + draws.uniform(-stray_1km, stray_1km, values.shape) for values in (x, y)),
        *(values + draws.uniform(-stray_500m, stray_500m, values.shape) for values in (fine_x, fine_y)),
        orphan_x,
        orphan_rows,
    )
    y_1km, y_500m, orphan_y = (
        values + np.float32(1e7) for values in (positions.y_1km, positions.y_500m, positions.orphan_y)
    )
    return replace(positions, y_1km=y_1km, y_500m=y_500m, orphan_y=orphan_y)


def with_holes(positions: Positions, draws: np.random.Generator, share: float) -> Positions:
    """Cosmetic cells, positions that are unknown in every array, and free places for orphans: `share` of each."""

    def strewn(values: np.ndarray) -> np.ndarray:
        return np.where(draws.random(values.shape) < share, np.float32(np.nan), values)

    return replace(
        positions,
        cosmetic_500m=draws.random(positions.x_500m.shape) < share,
        x_1km=strewn(positions.x_1km),
        y_500m=strewn(positions.y_500m),
        orphan_x=strewn(positions.orphan_x),
        orphan_y=strewn(positions.orphan_y),
    )


@pytest.mark.quick
@pytest.mark.parametrize("middle", [True, False])
@pytest.mark.parametrize(("stray_1km", "stray_500m"), [(0, 0), (500, 250), (0, RADIUS_M), (RADIUS_M, 0), (1000, 1000)])
def test_as_brute_force_however_far_pixels_stray(stray_1km: float, stray_500m: float, middle: bool) -> None:
    """Up to the radius; at 0 m only distances are compared, which are then equal by fours."""
    draws = np.random.default_rng(5)
    positions = random_positions(draws, stray_1km=stray_1km, stray_500m=stray_500m, middle=middle)
    if stray_1km == stray_500m == 0:
        found = nearest_measurements(positions)
        assert_distances(positions, found)
        return
    assert check(positions) > 0.95


def assert_distances(positions: Positions, found: np.ndarray) -> None:
    """Where distances are equal, those of the measurements found are compared, whichever these are."""
    x = np.concatenate([positions.x_500m.ravel(), positions.orphan_x.ravel(), [np.inf]]).astype(np.float64)
    y = np.concatenate([positions.y_500m.ravel(), positions.orphan_y.ravel(), [np.inf]]).astype(np.float64)
    own = np.hypot(x[found] - positions.x_1km, y[found] - positions.y_1km)
    _, distance = brute(positions, len(found), RADIUS_M)
    # Absolute as well: an orphan may lie on a pixel.
    np.testing.assert_allclose(own, distance[:-1], rtol=DISTANCE_TOLERANCE, atol=1e-3)
    assert (np.sort(found, axis=0)[1:] != np.sort(found, axis=0)[:-1])[np.isfinite(distance[1:-1])].all()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_as_brute_force_with_holes(share: float) -> None:
    draws = np.random.default_rng(int(100 * share))
    filled = check(with_holes(random_positions(draws), draws, share))
    assert 0 < filled < 1


@pytest.mark.parametrize(("count", "radius_m"), [(1, RADIUS_M), (4, 400.0), (8, RADIUS_M), (9, 1400.0)])
def test_other_numbers_and_radii(count: int, radius_m: float) -> None:
    draws = np.random.default_rng(7)
    check(with_holes(random_positions(draws), draws, 0.2), count, radius_m)


def test_axes_may_fall_or_rise() -> None:
    positions = random_positions(np.random.default_rng(8))
    turned = replace(
        positions,
        x_1km=-positions.x_1km,
        x_500m=-positions.x_500m,
        orphan_x=-positions.orphan_x,
        y_1km=-positions.y_1km,
        y_500m=-positions.y_500m,
        orphan_y=-positions.orphan_y,
    )
    check(turned)
    assert np.array_equal(nearest_measurements(turned), nearest_measurements(positions))


def test_rows_missing_from_both_grids() -> None:
    """The measured product lacks rows: its track coordinate jumps by 3 km from one row of 1 km to the next."""
    positions = random_positions(np.random.default_rng(9))
    y_1km, y_500m, orphan_y = (
        values + np.float32(2000) * (np.arange(len(values)) >= start)[:, None]
        for values, start in ((positions.y_1km, 10), (positions.y_500m, 20), (positions.orphan_y, 20))
    )
    check(replace(positions, y_1km=y_1km, y_500m=y_500m, orphan_y=orphan_y))


def test_a_crowd_of_orphans() -> None:
    """All orphans of the scene in one square kilometre: they push one another out of the same few lists."""
    draws = np.random.default_rng(10)
    positions = random_positions(draws)
    orphan_x = draws.uniform(9000, 10000, positions.orphan_x.shape).astype(np.float32)
    orphan_y = draws.uniform(1e7 + 9000, 1e7 + 10000, positions.orphan_y.shape).astype(np.float32)
    check(replace(positions, orphan_x=orphan_x, orphan_y=orphan_y))


def test_orphans_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(16)
    positions = with_holes(random_positions(draws), draws, 0.3)
    assert np.isfinite(positions.orphan_x).sum() > 100
    monkeypatch.setattr(nearest, "BLOCK_ORPHANS", 30)
    check(positions)


def test_rows_and_columns_that_lie_nowhere() -> None:
    """Outer columns and a row without any position, of either grid; and a scene that has none at all."""
    positions = random_positions(np.random.default_rng(11))
    for values in (positions.x_1km, positions.y_1km, positions.x_500m, positions.y_500m):
        values[:, :3] = np.nan
        values[:, -2:] = np.nan
        values[7] = np.nan
    check(positions)
    positions.x_1km[...] = np.nan
    none = positions.x_500m.size + positions.orphan_x.size
    assert (nearest_measurements(positions) == none).all()


def test_no_orphans_at_all() -> None:
    positions = random_positions(np.random.default_rng(12))
    nothing = np.empty((positions.x_500m.shape[0], 0), np.float32)
    check(replace(positions, orphan_x=nothing, orphan_y=nothing))


def test_a_pixel_alone() -> None:
    check(random_positions(np.random.default_rng(13), rows=1, columns=5))
    check(random_positions(np.random.default_rng(14), rows=33, columns=5))


def test_columns_that_enclose_one_another() -> None:
    """The left one strays less than the right one: neither lies left of the other in every row."""
    draws = np.random.default_rng(17)
    positions = random_positions(draws, rows=9, columns=2, stray_1km=0)
    orphan_x = draws.uniform(-1000, 3000, (18, 3)).astype(np.float32)
    orphan_y = draws.uniform(1e7, 1e7 + 9000, (18, 3)).astype(np.float32)
    x_1km = np.array([500, 600], np.float32) + draws.uniform(-1, 1, (9, 2)).astype(np.float32) * (100, 600)
    for sign in (1, -1):
        turned = replace(
            positions, x_1km=sign * x_1km.astype(np.float32), x_500m=sign * positions.x_500m, orphan_x=sign * orphan_x
        )
        check(replace(turned, orphan_y=orphan_y))


def test_where_cosmetic_cells_are_said_to_lie_does_not_matter() -> None:
    draws = np.random.default_rng(16)
    positions = with_holes(random_positions(draws), draws, 0.2)
    expected = nearest_measurements(positions)
    for image in (positions.x_500m, positions.y_500m):
        image[positions.cosmetic_500m] += draws.uniform(-1e5, 1e5, int(positions.cosmetic_500m.sum()))
    np.testing.assert_array_equal(nearest_measurements(positions), expected)


def copies(positions: Positions, draws: np.random.Generator, share: float) -> Positions:
    """A share of the pixels of 1 km placed where the next one lies, as if they were its cosmetic copies."""
    x, y = positions.x_1km.copy(), positions.y_1km.copy()
    rows, columns = np.nonzero(draws.random(x.shape) < share)
    at = (rows + 1) % len(x), columns
    x[rows, columns], y[rows, columns] = positions.x_1km[at], positions.y_1km[at]
    return replace(positions, x_1km=x, y_1km=y)


def test_copies_placed_where_their_originals_lie_and_the_few_that_stray_far() -> None:
    """Those of the last row lie at the first, 18 km off; a measured cell 100 km off: they count as unknown."""
    draws = np.random.default_rng(15)
    positions = copies(random_positions(draws, stray_1km=400), draws, 0.2)
    few = positions.y_1km < 1e7 + 1500
    few[:4] = False
    assert 0 < few.sum() <= 0.01 * few.size
    positions.y_500m[4, 4] += 100_000
    unknown = replace(
        positions,
        y_1km=np.where(few, np.nan, positions.y_1km),
        y_500m=np.where(positions.y_500m > 1.005e7, np.nan, positions.y_500m),
    )
    check(unknown)
    np.testing.assert_array_equal(nearest_measurements(positions), nearest_measurements(unknown))


def test_positions_that_no_grid_has() -> None:
    positions = random_positions(np.random.default_rng(15))
    strewn = replace(positions, y_500m=positions.y_500m.copy())
    strewn.y_500m[4, ::2] += 100_000
    with pytest.raises(
        UserError,
        match=r"cartesian_an.nc: pixels must lie within 500 m .* 1\.32 % of them .* up to 100\d{3} m: .*--regrid mean",
    ):
        nearest_measurements(strewn)
    apart = replace(positions, x_500m=positions.x_500m + 5_000)
    with pytest.raises(UserError, match=r"cartesian_in.nc and cartesian_an.nc: .* found them apart: .*--regrid mean"):
        nearest_measurements(apart)
