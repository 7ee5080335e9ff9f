"""The nearest 500 m measurements of each 1 km pixel, by where the pixels really lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from preprocess.errors import UserError
from preprocess.level1 import Positions
from preprocess.strays import without_strays

# As the default of s3regrid, the program that goes with Bulgin et al. 2023 (10.1016/j.rse.2023.113531;
# surftemp/slstr-preprocessor): four pixels of 500 m make one of 1 km, and the fifth bridges a hole.
NEAREST = 5
# Ours: beyond it, a pixel of 500 m no longer touches one of 1 km (500 + 250 m along each axis, times the root of two).
# s3regrid takes whatever lies in a window of 16 x 12 pixels of 500 m, up to five kilometres away.
RADIUS_M = 1000.0

BLOCK_ROWS = 16  # of 1 km at a time, so that what is worked on stays in a core's cache
BLOCK_ORPHANS = 2**16
# Rows and columns of 500 m searched before and behind a pixel's own two, if positions stray that far.
SEARCHED = 9
# The lowest bits of a squared distance number the candidate instead: distances are kept to 1 part in 65,000.
NUMBER_BITS = 8
NUMBERS = np.uint32(2**NUMBER_BITS - 1)
NONE_YET = np.uint32(2**32 - 1)


class Extent(NamedTuple):
    """Lowest and highest coordinate (m) of each row, or of each column; inf and -inf where nothing is known."""

    low: np.ndarray
    high: np.ndarray


class Candidate(NamedTuple):
    """A cell of 500 m as seen from pixel (r, c) of 1 km: (2r + down, 2c + right)."""

    down: int
    right: int


def nearest_measurements(positions: Positions, count: int = NEAREST, radius_m: float = RADIUS_M) -> np.ndarray:
    """Which measurements lie nearest to each 1 km pixel and closer than `radius_m`: i4 (count, R, C), nearest first.

    Measurements are numbered row by row: first the cells of 500 m (4 R C), then the places of orphans (2 R O); the
    number after the last stands for none. Cosmetic cells and unknown positions are none. Exact but for distances that
    differ by less than 1 part in 65,000, which are taken in the order of the search. Where some positions stray so far
    from their grid that neighbours could be missed, they count as unknown; raises UserError where many do.
    """
    positions = _of_measurements(positions)
    candidates = _candidates(positions, radius_m)
    if _is_too_wide(candidates):
        positions = without_strays(positions)
        candidates = _candidates(positions, radius_m)
    if _is_too_wide(candidates):
        raise UserError(
            "cartesian_in.nc and cartesian_an.nc: pixels of 1 km must lie among those of 500 m; found them apart: "
            "fetch the product again, or do without positions: --regrid mean"
        )
    keys = _search(positions, candidates, count)
    nearest = _cells(keys, candidates, radius_m, positions)
    _add_orphans(keys, nearest, positions, radius_m)
    return nearest


def _of_measurements(positions: Positions) -> Positions:
    """Cosmetic cells lie nowhere: as they are never taken, their positions must not widen the search."""
    x, y = (np.where(positions.cosmetic_500m, np.float32(np.nan), at) for at in (positions.x_500m, positions.y_500m))
    return replace(positions, x_500m=x, y_500m=y)


def _radius_key(radius_m: float) -> np.uint32:
    """The key that those of measurements within the radius are below."""
    return np.float32(radius_m**2).view(np.uint32) & ~NUMBERS


def _candidates(positions: Positions, radius_m: float) -> list[Candidate]:
    """The cells that may lie within the radius of some pixel, judging by the extents of rows and of columns."""
    along_track = _extent(positions.y_1km, axis=1), _extent(positions.y_500m, axis=1)
    across_track = _extent(positions.x_1km, axis=0), _extent(positions.x_500m, axis=0)
    downs, rights = _gaps(*along_track), _gaps(*across_track)
    return [
        Candidate(down, right)
        for down, along in downs.items()
        for right, across in rights.items()
        if along**2 + across**2 < radius_m**2
    ]


def _is_too_wide(candidates: list[Candidate]) -> bool:
    """Whether they are too many, or at the outermost two steps: a stray cell shows at every second step alone."""
    far = (-SEARCHED, 1 - SEARCHED, SEARCHED, SEARCHED + 1)
    return len(candidates) > 2**NUMBER_BITS - 1 or any(down in far or right in far for down, right in candidates)


def _extent(values: np.ndarray, axis: int) -> Extent:
    low, high = np.fmin.reduce(values, axis=axis), np.fmax.reduce(values, axis=axis)
    return Extent(np.where(np.isnan(low), np.inf, low), np.where(np.isnan(high), -np.inf, high))


def _gaps(coarse: Extent, fine: Extent) -> dict[int, float]:
    """Smallest distance (m) along one axis between a 1 km row (or column) r and 500 m row 2r + d, for each d."""
    size = coarse.low.size
    gaps = {}
    for step in range(-SEARCHED, SEARCHED + 2):
        index = 2 * np.arange(size) + step
        inside = (index >= 0) & (index < fine.low.size)
        own, other = np.flatnonzero(inside), index[inside]
        apart = np.maximum(fine.low[other] - coarse.high[own], coarse.low[own] - fine.high[other])
        gaps[step] = max(float(apart.min(initial=np.inf)), 0.0)
    return gaps


def _search(positions: Positions, candidates: list[Candidate], count: int) -> np.ndarray:
    """Squared distances (m2) of the `count` nearest cells, their lowest bits the candidates: u4 (count, R, C)."""
    keys = np.full((count, *positions.x_1km.shape), NONE_YET)
    planes = [_planes(image) for image in (positions.x_500m, positions.y_500m)]
    for start in range(0, positions.x_1km.shape[0], BLOCK_ROWS):
        _search_block(keys, positions, planes, candidates, start)
    return keys


def _planes(image: np.ndarray) -> np.ndarray:
    """(2R, 2C) f4 -> (2, 2, R + margins, C + margins): even and odd rows and columns apart, NaN in the margins.

    Rows and columns that follow each other in memory are worked on several times faster than every second one.
    """
    margin = SEARCHED // 2 + 1
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    planes = np.full((2, 2, rows + 2 * margin, columns + 2 * margin), np.nan, np.float32)
    for down in (0, 1):
        for right in (0, 1):
            planes[down, right, margin : margin + rows, margin : margin + columns] = image[down::2, right::2]
    return planes


def _search_block(
    keys: np.ndarray, positions: Positions, planes: list[np.ndarray], candidates: list[Candidate], start: int
) -> None:
    """Set `keys` of BLOCK_ROWS rows: squared distances (m2) as the bits of a float, which order as numbers do."""
    rows = slice(start, min(start + BLOCK_ROWS, keys.shape[1]))
    x, y = positions.x_1km[rows], positions.y_1km[rows]
    best = np.full((keys.shape[0], *x.shape), NONE_YET)
    apart, key, pushed = np.empty_like(x), np.empty(x.shape, np.uint32), np.empty(x.shape, np.uint32)
    squared = key.view(np.float32)
    for number, candidate in enumerate(candidates):
        across, along = (_window(plane, candidate, rows, x.shape[1]) for plane in planes)
        np.subtract(across, x, out=squared)
        np.multiply(squared, squared, out=squared)
        np.subtract(along, y, out=apart)
        np.multiply(apart, apart, out=apart)
        np.add(squared, apart, out=squared)
        np.bitwise_and(key, ~NUMBERS, out=key)
        np.bitwise_or(key, np.uint32(number), out=key)
        for place in best[: number + 1]:
            np.maximum(place, key, out=pushed)
            np.minimum(place, key, out=place)
            key, pushed = pushed, key
        squared = key.view(np.float32)
    keys[:, rows] = best


def _window(planes: np.ndarray, candidate: Candidate, rows: slice, columns: int) -> np.ndarray:
    margin = SEARCHED // 2 + 1
    down, right = margin + candidate.down // 2, margin + candidate.right // 2
    plane = planes[candidate.down % 2, candidate.right % 2]
    return plane[rows.start + down : rows.stop + down, right : right + columns]


def _cells(keys: np.ndarray, candidates: list[Candidate], radius_m: float, positions: Positions) -> np.ndarray:
    """The cells that `keys` stand for, or none: i4, shape of `keys`."""
    radius = _radius_key(radius_m)
    across = positions.x_500m.shape[1]
    steps = np.zeros(NUMBERS + 1, np.int32)
    steps[: len(candidates)] = [down * across + right for down, right in candidates]
    own = 2 * across * np.arange(keys.shape[1], dtype=np.int32)[:, None] + 2 * np.arange(keys.shape[2], dtype=np.int32)
    none = np.int32(positions.x_500m.size + positions.orphan_x.size)
    cells = np.empty(keys.shape, np.int32)
    for place, key in zip(cells, keys, strict=True):
        np.add(own, steps[key & NUMBERS], out=place)
        place[key >= radius] = none
    return cells


def _add_orphans(keys: np.ndarray, nearest: np.ndarray, positions: Positions, radius_m: float) -> None:
    """Let orphans push farther measurements out of `nearest` (its squared distances are `keys`), in place."""
    keys, nearest = keys.reshape(len(keys), -1), nearest.reshape(len(keys), -1)
    np.minimum(keys, _radius_key(radius_m), out=keys)
    turn = np.empty(keys.shape[1], np.int32)
    for pixel, key, number in _orphan_pairs(positions, keys[-1], radius_m):
        while pixel.size:
            turn[pixel] = np.arange(pixel.size, dtype=np.int32)
            # Where several orphans are near one pixel, the last one written has its turn now, the others later.
            now = turn[pixel] == np.arange(pixel.size, dtype=np.int32)
            _insert(keys, nearest, pixel[now], key[now], number[now])
            later = ~now
            pixel, key, number = pixel[later], key[later], number[later]
            closer = key < keys[-1][pixel]
            pixel, key, number = pixel[closer], key[closer], number[closer]


def _insert(keys: np.ndarray, nearest: np.ndarray, pixel: np.ndarray, key: np.ndarray, number: np.ndarray) -> None:
    """Insert one measurement, closer than the last, into the sorted lists of each of the pixels, all different."""
    for place in range(len(keys) - 1, 0, -1):
        before = keys[place - 1][pixel]
        rises = key < before
        stays = ~rises
        keys[place][pixel[stays]], nearest[place][pixel[stays]] = key[stays], number[stays]
        pixel, key, number = pixel[rises], key[rises], number[rises]
        keys[place][pixel], nearest[place][pixel] = before[rises], nearest[place - 1][pixel]
    keys[0][pixel], nearest[0][pixel] = key, number


def _orphan_pairs(
    positions: Positions, farthest: np.ndarray, radius_m: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pixels (flat) with the key and the number of an orphan that is closer than the key `farthest` of the pixel."""
    rows, columns = _extent(positions.y_1km, axis=1), _extent(positions.x_1km, axis=0)
    x_1km, y_1km = positions.x_1km.ravel(), positions.y_1km.ravel()
    known = np.flatnonzero(np.isfinite(positions.orphan_x) & np.isfinite(positions.orphan_y)).astype(np.int32)
    for start in range(0, known.size, BLOCK_ORPHANS):
        block = known[start : start + BLOCK_ORPHANS]
        x, y = positions.orphan_x.ravel()[block], positions.orphan_y.ravel()[block]
        first_row, last_row = _within(rows, y, radius_m)
        first_column, last_column = _within(columns, x, radius_m)
        for down in range(int((last_row - first_row).max()) + 1):
            for right in range(int((last_column - first_column).max()) + 1):
                here = np.flatnonzero((first_row + down <= last_row) & (first_column + right <= last_column))
                pixel = (first_row[here] + down) * positions.x_1km.shape[1] + first_column[here] + right
                squared = (x_1km[pixel] - x[here]) ** 2 + (y_1km[pixel] - y[here]) ** 2
                key = squared.view(np.uint32) & ~NUMBERS
                closer = key < farthest[pixel]
                yield pixel[closer], key[closer], block[here[closer]] + np.int32(positions.x_500m.size)


def _within(extent: Extent, at: np.ndarray, radius_m: float) -> tuple[np.ndarray, np.ndarray]:
    """First and last row (or column) that reaches to within the radius of each coordinate `at` (m)."""
    known = extent.low <= extent.high
    middles = (extent.low[known] + extent.high[known]) / 2
    if middles.size and middles[0] > middles[-1]:
        # Coordinates that fall with the index rise when turned round.
        return _within(Extent(-extent.high, -extent.low), -at, radius_m)
    first = np.searchsorted(np.maximum.accumulate(extent.high), at - radius_m, side="right")
    lowest = np.minimum.accumulate(extent.low[::-1])[::-1]
    last = np.searchsorted(lowest, at + radius_m, side="left") - 1
    return first, last
