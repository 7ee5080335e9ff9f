"""The pixel of a scene that lies nearest to a place, from the positions of few pixels: those on the way to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

Pixels = tuple[np.ndarray, np.ndarray]  # rows and columns, (N,) int64

# A pixel is taken for the nearest if none of the 24 around it is nearer: a scene's pixels lie along two directions that
# are nearly at right angles, so that distance has no other minimum. Of the 8 around it, a slanting grid could err.
REACH = 2
# A pixel from which a place lies less than half as far as from it to the pixels around it is the nearest: whatever is
# twice as far from the pixel is farther from the place. A little less than half: diagonals are taken to be straight.
SURELY = 0.45
# One pixel in so many rows and columns starts the search anew where the guess leads nowhere.
COARSE_STEP = 16
COARSE_STARTS = 4
GUESS_MOVES = 4  # a guess that is farther off than so many times REACH is a bad one
COARSE_MOVES = 10 * COARSE_STEP  # far more than the way from one of the coarse grid; rounding can't make it endless
FARTHEST_PIXELS = 1.0  # beyond this from the nearest pixel's middle a place is not in the scene
AROUND = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]).T  # the pixel, the next and last row, and column


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


class _Grid(NamedTuple):
    latitude: np.ndarray
    longitude: np.ndarray

    def at(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of pixels of any shape, radians float64; NaN beyond the grid."""
        height, width = self.latitude.shape
        there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        pixel = np.where(there, rows * width + columns, 0)
        north = np.radians(self.latitude.reshape(-1)[pixel], dtype=np.float64)
        east = np.radians(self.longitude.reshape(-1)[pixel], dtype=np.float64)
        north[~there] = np.nan
        return north, east


class _Found(NamedTuple):
    """Rows, columns, exact rows, exact columns (4, N) float64; near, surely (N,) bool: in the scene, the nearest."""

    pixels: np.ndarray
    near: np.ndarray
    surely: np.ndarray


def nearest_pixels(
    latitude: np.ndarray, longitude: np.ndarray, at_latitude: np.ndarray, at_longitude: np.ndarray, guess: Pixels
) -> Located:
    """The pixel nearest to each of N places by great-circle distance.

    latitude, longitude: (H, W) degrees north and east, of any float type (a map of a file: only what is looked at is
    read), NaN where a pixel has no position; at_latitude, at_longitude: (N,) degrees, NaN for no place. guess: pixels
    to begin at, which change nothing but the time; of pixels equally near the first in order of rows is taken. A
    place that is more than a pixel from the nearest pixel's middle is outside.
    """
    grid = _Grid(np.asarray(latitude), np.asarray(longitude))
    known = np.flatnonzero(np.isfinite(at_latitude) & np.isfinite(at_longitude))
    places = np.radians(np.stack([at_latitude[known], at_longitude[known]]), dtype=np.float64)
    lengths = grid.latitude.shape
    begin = tuple(np.clip(part[known], 0, length - 1) for part, length in zip(guess, lengths, strict=True))
    pixels, near, surely = _place(grid, places, (begin[0], begin[1]))
    unsure = np.flatnonzero(~surely)
    if unsure.size:
        pixels[:, unsure], near[unsure] = _search(grid, places[:, unsure], (begin[0][unsure], begin[1][unsure]))
    chosen, exact = np.full((2, len(at_latitude)), -1), np.full((2, len(at_latitude)), np.nan)
    chosen[:, known[near]], exact[:, known[near]] = pixels[:2, near], pixels[2:, near]
    return Located(*chosen, *exact)


def _search(grid: _Grid, places: np.ndarray, guess: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """`pixels` and `near` of places (2, N): from the guess on, else from the pixels nearest of a coarse grid."""
    pixels, near, _ = _descend(grid, places, guess, GUESS_MOVES)
    lost = np.flatnonzero(~near)
    for begin in _coarse_starts(grid, places[:, lost]) if lost.size else ():
        again = ~near[lost]
        left = lost[again]
        found = _descend(grid, places[:, left], (begin[0][again], begin[1][again]))
        pixels[:, left], near[left] = found.pixels, found.near
    return pixels, near


def _descend(grid: _Grid, places: np.ndarray, begin: Pixels, most_moves: int = COARSE_MOVES) -> _Found:
    """Go from pixel to nearer pixel until none around is nearer; not near where `most_moves` are too few for it."""
    rows, columns = (part.astype(np.int64) for part in begin)
    steps = np.arange(-REACH, REACH + 1)
    down, right = steps.repeat(len(steps))[:, None], np.tile(steps, len(steps))[:, None]
    moving = np.arange(len(rows))
    moves = 0
    while moving.size and moves != most_moves:
        near_rows, near_columns = rows[moving] + down, columns[moving] + right
        distance = _haversine(grid, places[:, moving], near_rows, near_columns)
        best, each = distance.argmin(axis=0), np.arange(len(moving))
        new_rows, new_columns = near_rows[best, each], near_columns[best, each]
        moved = np.isfinite(distance[best, each]) & ((new_rows != rows[moving]) | (new_columns != columns[moving]))
        moving = moving[moved]
        rows[moving], columns[moving] = new_rows[moved], new_columns[moved]
        moves += 1
    found = _place(grid, places, (rows, columns))
    found.near[moving] = False
    return found


def _haversine(grid: _Grid, places: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """sin^2 of half the angle between places (2, N) and pixels (K, N): it grows with distance; inf for no pixel."""
    north, east = grid.at(rows, columns)
    found = np.sin((north - places[0]) / 2) ** 2
    found += np.cos(north) * np.cos(places[0]) * np.sin((east - places[1]) / 2) ** 2
    return np.where(np.isfinite(found), found, np.inf)


def _coarse_starts(grid: _Grid, places: np.ndarray) -> list[Pixels]:
    """The pixels of a coarse grid that are nearest to places (2, N), then those second to nearest, and so on."""
    height, width = grid.latitude.shape
    rows, columns = (part.ravel() for part in np.meshgrid(_coarse(height), _coarse(width), indexing="ij"))
    positions = _unit(*grid.at(rows, columns))
    known = np.isfinite(positions).all(axis=0)
    if not known.any():
        return []
    nearest = np.arange(1, 1 + min(COARSE_STARTS, int(known.sum())))
    _, starts = cKDTree(positions[:, known].T).query(_unit(*places).T, k=nearest)
    return [(rows[known][start], columns[known][start]) for start in starts.T]


def _coarse(length: int) -> np.ndarray:
    return np.unique(np.append(np.arange(0, length, COARSE_STEP), length - 1))


def _place(grid: _Grid, places: np.ndarray, pixels: Pixels) -> _Found:
    """Where places (2, N) lie about pixels, by the steps from these to their neighbours."""
    around = _unit(*grid.at(pixels[0] + AROUND[0][:, None], pixels[1] + AROUND[1][:, None]))
    middle = around[:, 0]
    ahead_down, behind_down = around[:, 1] - middle, middle - around[:, 2]
    ahead_right, behind_right = around[:, 3] - middle, middle - around[:, 4]
    down, right = _step(ahead_down, behind_down), _step(ahead_right, behind_right)
    sides = (ahead_down, behind_down, ahead_right, behind_right, down + right, down - right)
    least = np.min([_dot(side, side) for side in sides], axis=0)  # NaN if there is not a neighbour on every side
    # Where one direction has no neighbours, it is taken to be the other, turned by a right angle.
    down = np.where(np.isfinite(down), down, np.cross(right, middle, axis=0))
    right = np.where(np.isfinite(right), right, np.cross(middle, down, axis=0))
    away = _unit(*places) - middle
    a, b, c, distance = _dot(down, down), _dot(down, right), _dot(right, right), _dot(away, away)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / (a * c - b * b)
        along_down = (c * _dot(down, away) - b * _dot(right, away)) * scale
        along_right = (a * _dot(right, away) - b * _dot(down, away)) * scale
    found = np.stack([*pixels, pixels[0] + along_down, pixels[1] + along_right])
    near = (distance <= np.maximum(a, c) * FARTHEST_PIXELS**2) & np.isfinite(found).all(axis=0)
    return _Found(found, near, near & (distance < least * SURELY**2))


def _step(ahead: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """From pixels (3, N) to the next: half of that from the last to the next, where both are."""
    one = np.where(np.isfinite(ahead), ahead, behind)
    return np.where(np.isfinite(behind), (one + behind) / 2, one)


def _unit(north: np.ndarray, east: np.ndarray) -> np.ndarray:
    """Vectors of length 1 from the Earth's middle, (3, ...) float64, of angles in radians."""
    level = np.cos(north)
    return np.stack([level * np.cos(east), level * np.sin(east), np.sin(north)])


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
