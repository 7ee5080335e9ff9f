"""The pixel of a scene that lies nearest to a place, from the positions of few pixels: those on the way to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

Pixels = tuple[np.ndarray, np.ndarray]  # rows and columns, (N,) int64

# A pixel is taken for the nearest if none of the 24 around it is nearer: a scene's pixels lie along two directions that
# are nearly at right angles, so that distance has no other minimum. Of the 8 around it, a slanting grid could err.
REACH = 2
# One pixel in so many rows and columns starts the search anew where the guess leads nowhere.
COARSE_STEP = 16
COARSE_STARTS = 4
GUESS_MOVES = 4  # a guess that is farther off than so many times REACH is a bad one
FARTHEST_PIXELS = 1.0  # beyond this from the nearest pixel's middle a place is not in the scene


class Located(NamedTuple):
    """Of N places: the nearest pixel, and where in the grid they lie exactly."""

    rows: np.ndarray  # (N,) int64, -1 where the place is not in the scene
    columns: np.ndarray
    exact_rows: np.ndarray  # (N,) float64: 2.25 lies a quarter of a pixel after row 2; NaN outside
    exact_columns: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Whether the place is in the scene, (N,) bool."""
        return self.rows >= 0


def nearest_pixels(
    latitude: np.ndarray, longitude: np.ndarray, at_latitude: np.ndarray, at_longitude: np.ndarray, guess: Pixels
) -> Located:
    """The pixel nearest to each of N places by great-circle distance.

    latitude, longitude: (H, W) degrees north and east, of any float type (a map of a file: only what is looked at is
    read), NaN where a pixel has no position; at_latitude, at_longitude: (N,) degrees, NaN for no place. guess: pixels
    to begin at, which change nothing but the time; of pixels equally near the first in order of rows is taken. A
    place that is more than a pixel from the nearest pixel's middle is outside.
    """
    lat, lon = np.asarray(latitude), np.asarray(longitude)
    known = np.flatnonzero(np.isfinite(at_latitude) & np.isfinite(at_longitude))
    places = np.stack([at_latitude[known], at_longitude[known]]).astype(np.float64)
    height, width = lat.shape
    begin = (np.clip(guess[0][known], 0, height - 1), np.clip(guess[1][known], 0, width - 1))
    found, near = _nearest(lat, lon, places, begin, GUESS_MOVES)
    lost = np.flatnonzero(~near)
    for begin in _coarse_starts(lat, lon, places[:, lost]) if lost.size else ():
        again = ~near[lost]
        left = lost[again]
        found[:, left], near[left] = _nearest(lat, lon, places[:, left], (begin[0][again], begin[1][again]))
    pixel, exact = np.full((2, len(at_latitude)), -1), np.full((2, len(at_latitude)), np.nan)
    pixel[:, known[near]], exact[:, known[near]] = found[:2, near], found[2:, near]
    return Located(*pixel, *exact)


def _nearest(
    lat: np.ndarray, lon: np.ndarray, places: np.ndarray, begin: Pixels, most_moves: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Go from pixel to nearer pixel until none around is nearer: `_exact`; not near where `most_moves` are too few."""
    rows, columns = (part.astype(np.int64) for part in begin)
    moving = np.arange(len(rows))
    moves = 0
    while moving.size and moves != most_moves:
        near_rows, near_columns = _around(rows[moving], columns[moving])
        distance = _haversine(lat, lon, places[:, moving], near_rows, near_columns)
        best = distance.argmin(axis=1)
        each = np.arange(len(moving))
        new_rows, new_columns = near_rows[each, best], near_columns[each, best]
        moved = np.isfinite(distance[each, best]) & ((new_rows != rows[moving]) | (new_columns != columns[moving]))
        moving = moving[moved]
        rows[moving], columns[moving] = new_rows[moved], new_columns[moved]
        moves += 1
    found, near = _exact(lat, lon, places, (rows, columns))
    near[moving] = False
    return found, near


def _around(rows: np.ndarray, columns: np.ndarray) -> Pixels:
    """The pixels within REACH rows and columns, (N, 25) each, in order of rows."""
    steps = np.arange(-REACH, REACH + 1)
    return rows[:, None] + steps.repeat(len(steps)), columns[:, None] + np.tile(steps, len(steps))


def _haversine(
    lat: np.ndarray, lon: np.ndarray, places: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """sin^2 of half the angle between places (2, N) and pixels (N, K): it grows with distance; inf for no pixel."""
    height, width = lat.shape
    there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    pixel = np.where(there, rows * width + columns, 0)
    north = np.radians(lat.reshape(-1)[pixel].astype(np.float64))
    east = np.radians(lon.reshape(-1)[pixel].astype(np.float64))
    at_north, at_east = (np.radians(part)[:, None] for part in places)
    found = np.sin((north - at_north) / 2) ** 2
    found += np.cos(north) * np.cos(at_north) * np.sin((east - at_east) / 2) ** 2
    return np.where(there & np.isfinite(found), found, np.inf)


def _coarse_starts(lat: np.ndarray, lon: np.ndarray, places: np.ndarray) -> list[Pixels]:
    """The pixels of a coarse grid that are nearest to places (2, N), then those second to nearest, and so on."""
    height, width = lat.shape
    rows, columns = (part.ravel() for part in np.meshgrid(_coarse(height), _coarse(width), indexing="ij"))
    positions = _unit(lat[rows, columns], lon[rows, columns])
    known = np.isfinite(positions).all(axis=1)
    if not known.any():
        return []
    nearest = np.arange(1, 1 + min(COARSE_STARTS, int(known.sum())))
    _, starts = cKDTree(positions[known]).query(_unit(*places), k=nearest)
    return [(rows[known][start], columns[known][start]) for start in starts.T]


def _coarse(length: int) -> np.ndarray:
    return np.unique(np.append(np.arange(0, length, COARSE_STEP), length - 1))


def _exact(lat: np.ndarray, lon: np.ndarray, places: np.ndarray, pixels: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and exact rows and columns of places (2, N), together (4, N) float64, by the steps to the neighbours.

    Then whether a place is in the scene, (N,) bool: not farther from the pixel's middle than a neighbour.
    """
    middle = _positions(lat, lon, *pixels)
    down = _step(lat, lon, middle, pixels, (1, 0))
    right = _step(lat, lon, middle, pixels, (0, 1))
    # Where one direction has no neighbours, it is taken to be the other, turned by a right angle.
    down = np.where(np.isfinite(down), down, np.cross(right, middle))
    right = np.where(np.isfinite(right), right, np.cross(middle, down))
    away = _unit(*places) - middle
    a, b, c = (_dot(down, down), _dot(down, right), _dot(right, right))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / (a * c - b * b)
        along_down = (c * _dot(down, away) - b * _dot(right, away)) * scale
        along_right = (a * _dot(right, away) - b * _dot(down, away)) * scale
    found = np.stack([*pixels, pixels[0] + along_down, pixels[1] + along_right])
    near = _dot(away, away) <= np.maximum(a, c) * FARTHEST_PIXELS**2
    return found, near & np.isfinite(found).all(axis=0)


def _step(lat: np.ndarray, lon: np.ndarray, middle: np.ndarray, pixels: Pixels, way: tuple[int, int]) -> np.ndarray:
    """From each pixel to the next one on its way, (N, 3): half of that from the last to the next, where both are."""
    ahead = _positions(lat, lon, pixels[0] + way[0], pixels[1] + way[1]) - middle
    behind = middle - _positions(lat, lon, pixels[0] - way[0], pixels[1] - way[1])
    one = np.where(np.isfinite(ahead), ahead, behind)
    return np.where(np.isfinite(behind), (one + behind) / 2, one)


def _positions(lat: np.ndarray, lon: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    height, width = lat.shape
    there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    at = np.where(there, rows, 0), np.where(there, columns, 0)
    return np.where(there[:, None], _unit(lat[at], lon[at]), np.nan)


def _unit(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Vectors of length 1 from the Earth's middle, (N, 3) float64."""
    north, east = np.radians(latitude, dtype=np.float64), np.radians(longitude, dtype=np.float64)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)
