"""The nearest pixel against all pixels compared, on curved, turned, slanting and ragged grids all over the sphere."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from jaxmask.nearest_pixel import nearest_pixels

EARTH_KM = 6371.0
HEIGHT, WIDTH = 120, 150


def unit(latitude: ArrayLike, longitude: ArrayLike) -> np.ndarray:
    north, east = np.radians(np.asarray(latitude, float)), np.radians(np.asarray(longitude, float))
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)


def grid(latitude: float, longitude: float, heading_deg: float, slant: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of 1 km whose rows are bent, about a place; azimuthal equidistant, float32 as in mask files."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT / 2, WIDTH / 2])[:, None, None]
    x, y = x + slant * y, y + 0.1 * x**2 / WIDTH
    turn, (north, east) = np.radians(heading_deg), np.radians([latitude, longitude])
    right = (x * np.cos(turn) - y * np.sin(turn)) / EARTH_KM
    ahead = (x * np.sin(turn) + y * np.cos(turn)) / EARTH_KM
    up = unit(latitude, longitude)
    to_north = np.array([-np.sin(north) * np.cos(east), -np.sin(north) * np.sin(east), np.cos(north)])
    away = np.hypot(right, ahead)
    along = right[..., None] * np.cross(to_north, up) + ahead[..., None] * to_north
    vector = np.cos(away)[..., None] * up + np.sinc(away / np.pi)[..., None] * along
    found = (
        np.degrees(np.arcsin(np.clip(vector[..., 2], -1, 1))),
        np.degrees(np.arctan2(vector[..., 1], vector[..., 0])),
    )
    return found[0].astype(np.float32), found[1].astype(np.float32)


def brute(lat: np.ndarray, lon: np.ndarray, at_lat: np.ndarray, at_lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of the nearest pixels in order of rows, and its distance, km."""
    pixels = unit(lat.ravel(), lon.ravel())
    squared = np.stack(
        [np.nan_to_num(((pixels - place) ** 2).sum(axis=1), nan=np.inf) for place in unit(at_lat, at_lon)]
    )
    best = squared.argmin(axis=1)
    return best, np.sqrt(squared[np.arange(len(best)), best]) * EARTH_KM


PLACES = [(0.0, 0.0, 10.0), (40.0, 179.99, 190.0), (89.95, 20.0, 33.0), (-90.0, 0.0, 0.0), (-60.0, -179.99, -20.0)]


@pytest.mark.quick
@pytest.mark.parametrize("slant", [0.0, 0.3])
@pytest.mark.parametrize("place", PLACES)
def test_it_is_the_nearest_of_all(place: tuple[float, float, float], slant: float) -> None:
    rng = np.random.default_rng(7)
    lat, lon = grid(*place, slant)
    full = lat.astype(np.float64), lon.astype(np.float64)
    ragged = np.arange(WIDTH) < 12 + rng.integers(0, 3, HEIGHT)[:, None]
    lat[ragged | (np.arange(HEIGHT)[:, None] >= 112)] = np.nan
    lon[np.isnan(lat)] = np.nan
    rows, columns = rng.integers(0, HEIGHT, 300), rng.integers(0, WIDTH, 300)
    at_lat = np.clip(full[0][rows, columns] + rng.uniform(-0.008, 0.008, 300), -90, 90)
    at_lon = full[1][rows, columns] + rng.uniform(-0.008, 0.008, 300) / np.maximum(np.cos(np.radians(at_lat)), 1e-3)
    best, distance = brute(lat, lon, at_lat, at_lon)
    for guess in ((rows, columns), (rows[::-1] - 3, columns[::-1] + 3), (np.full(300, -1), np.full(300, 10_000))):
        found = nearest_pixels(lat, lon, at_lat, at_lon, guess)
        np.testing.assert_array_equal((found.rows * WIDTH + found.columns)[found.inside], best[found.inside])
        # A pixel is 1 km, a slanting or bent one up to 1.06 km: between that and 0.95 km either answer will do.
        assert found.inside[distance < 0.95].all()
        assert not found.inside[distance > 1.1].any()
        assert 200 < found.inside.sum() < 300
        assert np.isnan(found.exact_rows[~found.inside]).all()


def test_rows_may_slant_by_more_than_a_pixel() -> None:
    """Then a nearest pixel's neighbour two columns on is nearer to it than those beside it."""
    rng = np.random.default_rng(8)
    lat, lon = grid(30, 40, 20, slant=1.5)
    rows, columns = rng.integers(5, HEIGHT - 5, 300), rng.integers(5, WIDTH - 5, 300)
    at_lat, at_lon = (part[rows, columns] + rng.uniform(-0.006, 0.006, 300) for part in (lat, lon))
    best, _ = brute(lat, lon, at_lat, at_lon)
    found = nearest_pixels(lat, lon, at_lat, at_lon, (rows, columns))
    np.testing.assert_array_equal(found.rows * WIDTH + found.columns, best)


def test_exact_places_between_pixels() -> None:
    lat, lon = grid(10, 20, 0)
    lat64, lon64 = lat.astype(np.float64), lon.astype(np.float64)
    rows, columns = np.array([5, 60, 100]), np.array([10, 70, 140])
    at_lat = 0.75 * lat64[rows, columns] + 0.25 * lat64[rows + 1, columns]
    at_lon = 0.75 * lon64[rows, columns] + 0.25 * lon64[rows + 1, columns]
    found = nearest_pixels(lat, lon, at_lat, at_lon, (rows, columns))
    # Positions in float32 are good to 0.001 pixel, the grid is bent by as much over one.
    np.testing.assert_allclose(found.exact_rows, rows + 0.25, atol=0.01)
    np.testing.assert_allclose(found.exact_columns, columns, atol=0.01)
    np.testing.assert_array_equal(found.rows, rows)


def test_of_equally_near_pixels_the_first() -> None:
    lat, lon = (
        part.astype(np.float64) for part in np.meshgrid(np.arange(6) * 0.01, np.arange(7) * 0.01, indexing="ij")
    )
    lat[3, 4], lon[3, 4] = lat[3, 3], lon[3, 3]  # two pixels of one position
    for guess in (0, 3, 5):
        start = np.array([guess])
        found = nearest_pixels(lat, lon, np.array([0.03]), np.array([0.031]), (start, start))
        assert (found.rows[0], found.columns[0]) == (3, 3)


def test_no_place_no_positions_one_row() -> None:
    lat, lon = grid(0, 0, 0)
    here = np.zeros(2, np.int64)
    nowhere = nearest_pixels(lat, lon, np.array([np.nan, 0.0]), np.array([0.0, np.nan]), (here, here))
    assert not nowhere.inside.any()
    blank = nearest_pixels(np.full_like(lat, np.nan), lon, np.zeros(2), np.zeros(2), (here, here))
    assert not blank.inside.any()
    line = nearest_pixels(lat[:1], lon[:1], lat[0, 7:9].astype(float), lon[0, 7:9].astype(float), (here, here))
    np.testing.assert_array_equal(line.columns, [7, 8])
    antipode = nearest_pixels(lat, lon, np.zeros(1), np.array([180.0]), (here[:1], here[:1]))
    assert antipode.rows.tolist() == [-1]


def test_with_a_good_guess_no_pixel_far_off_is_looked_at() -> None:
    lat, lon = grid(10, 20, 0)
    far = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([60, 70])[:, None, None])) > 12
    lat[far] = 10_000  # would be taken for places on the sphere, if they were looked at
    found = nearest_pixels(
        lat, lon, lat[60:61, 70].astype(float), lon[60:61, 70].astype(float), (np.array([63]), np.array([68]))
    )
    assert (found.rows[0], found.columns[0]) == (60, 70)
