"""Lines of a map on a product's own grid: meridians and parallels from its positions, coasts from its flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from preprocess.level1 import CONFIDENCE_BITS

Line = NDArray[np.floating]  # (N, 2): column and row, pixel centres at whole numbers

SPACINGS_DEG = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 45.0, 60.0)
MOST_LINES = 6  # of each kind
SAMPLES_A_SIDE = 200  # positions are smooth: so many of them give their lines to a small part of a pixel
LAND, INLAND_WATER = CONFIDENCE_BITS["land"], CONFIDENCE_BITS["inland_water"]
SURFACES = sum(CONFIDENCE_BITS[name] for name in ("coastline", "ocean", "tidal", "land", "inland_water"))


@dataclass(frozen=True, eq=False)
class GridLine:
    """A meridian or parallel: "38.5°N", and its pieces within the image."""

    label: str
    pieces: tuple[Line, ...]


@dataclass(frozen=True, eq=False)
class MapLines:
    """What is drawn over a scene; spacings in degrees, None where no position is known."""

    parallels: tuple[GridLine, ...] = ()
    meridians: tuple[GridLine, ...] = ()
    coast: tuple[Line, ...] = ()
    latitude_spacing_deg: float | None = None
    longitude_spacing_deg: float | None = None


def map_lines(
    latitude: NDArray[np.floating] | None,
    longitude: NDArray[np.floating] | None,
    flags: NDArray[np.integer] | None,
    step: int = 1,
) -> MapLines:
    """The lines over a scene of (H, W) pixels; without positions no graticule, without flags of surface no coast.

    latitude, longitude: degrees north and east, NaN outside; flags: confidence_in; step: coasts are traced between
    blocks of so many pixels square.
    """
    coast = () if flags is None else coast_lines(flags, step)
    if latitude is None or longitude is None or not (np.isfinite(latitude) & np.isfinite(longitude)).any():
        return MapLines(coast=coast)
    coarse = -(-max(latitude.shape) // SAMPLES_A_SIDE)
    rows, columns = (_samples(size, coarse) for size in latitude.shape)
    north, east = (np.asarray(values, np.float64)[np.ix_(rows, columns)] for values in (latitude, longitude))
    known = np.isfinite(north) & np.isfinite(east)
    parallels_deg, meridians_deg = latitude_span(north[known]), longitude_span(east[known])
    apart = tuple(spacing_deg(last - first) for first, last in (parallels_deg, meridians_deg))
    grid = (rows, columns, known)
    parallels = [(at, north - at, parallel_label(at)) for at in levels(*parallels_deg, apart[0]) if abs(at) < 90]
    around = sorted({wrapped(at) for at in levels(*meridians_deg, apart[1])})
    meridians = [(at, wrapped(east - at), meridian_label(at)) for at in around]
    return MapLines(_lines(parallels, *grid), _lines(meridians, *grid), coast, *apart)


def _lines(wanted: list[Any], rows: NDArray[np.intp], columns: NDArray[np.intp], known: Any) -> tuple[GridLine, ...]:
    """Where each difference is zero; one of more than a right angle is the other side of a pole."""
    drawn = []
    for _, difference, label in wanted:
        near = known & (np.abs(difference) < 90)
        pieces = contour_generator(columns, rows, np.ma.masked_array(difference, ~near)).lines(0.0)
        if pieces:
            drawn.append(GridLine(label, tuple(np.asarray(piece) for piece in pieces)))
    return tuple(drawn)


def latitude_span(latitude: NDArray[np.floating]) -> tuple[float, float]:
    """The least and the greatest latitude, (N,) degrees."""
    return float(latitude.min()), float(latitude.max())


def longitude_span(longitude: NDArray[np.floating]) -> tuple[float, float]:
    """West and east end, degrees, of the shortest arc that holds all of (N,): east is greater, and may pass 180."""
    around = np.unique(np.mod(longitude, 360))
    gaps = np.diff(np.append(around, around[0] + 360))
    widest = int(np.argmax(gaps))
    west = float(around[(widest + 1) % len(around)])
    return west, west + 360 - float(gaps[widest])


def spacing_deg(span_deg: float) -> float:
    """The least spacing that gives at most `MOST_LINES` lines, or the widest there is."""
    return next((step for step in SPACINGS_DEG if span_deg / step <= MOST_LINES), SPACINGS_DEG[-1])


def levels(first: float, last: float, spacing: float) -> list[float]:
    """The multiples of `spacing` from `first` to `last`."""
    return [round(number * spacing, 6) for number in range(int(np.ceil(first / spacing)), int(last // spacing) + 1)]


def wrapped(degrees: Any) -> Any:
    """Degrees, of any shape, within -180 and, not with, 180."""
    return np.mod(degrees + 180.0, 360.0) - 180.0


def degrees_label(value: float, sides: str) -> str:
    """60°S, 0°, 12.5°E; `sides`: the letters of what is above and below zero."""
    return f"{abs(value):g}°" + ("" if value == 0 else sides[0] if value > 0 else sides[1])


def parallel_label(latitude: float) -> str:
    """60°S, 0°, 38.5°N."""
    return degrees_label(latitude, "NS")


def meridian_label(longitude: float) -> str:
    """10.5°W, 0°, 90°E, 180°."""
    east = wrapped(longitude)
    return "180°" if east == -180 else degrees_label(east, "EW")


def coast_lines(flags: NDArray[np.integer], step: int = 1) -> tuple[Line, ...]:
    """Where land meets water, of the sea or inland; where no flag tells the surface, no line.

    flags: (H, W) confidence_in; a block of `step` pixels square is land by the share of those that are known.
    """
    known = (flags & np.uint16(SURFACES)) != 0
    dry = (flags & np.uint16(LAND | INLAND_WATER)) == LAND
    if not (dry & known).any() or not (~dry & known).any():
        return ()
    share, seen = block_means(dry, known, step)
    rows, columns = ((np.arange(size) * step + (step - 1) / 2) for size in share.shape)
    pieces = contour_generator(columns, rows, np.ma.masked_array(share, ~seen)).lines(0.5)
    return tuple(np.asarray(piece) for piece in pieces)


def block_means(
    values: NDArray[Any], valid: NDArray[np.bool_], step: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mean of each whole block of `step` pixels square over what is valid in it, and whether anything is.

    values, valid: (H, W). Returns (H // step, W // step) float32, 0 where nothing is valid, and bool.
    """
    if step == 1:
        return np.where(valid, values, 0).astype(np.float32), valid
    rows, columns = values.shape[0] // step * step, values.shape[1] // step * step
    total, count = np.zeros((2, rows // step, columns // step), np.float32)
    for row in range(step):  # one pixel of every block at a time: far faster than a mean over short axes
        for column in range(step):
            seen = valid[row:rows:step, column:columns:step]
            count += seen
            total += np.where(seen, values[row:rows:step, column:columns:step], 0)
    return total / np.maximum(count, 1), count > 0


def _samples(size: int, step: int) -> NDArray[np.intp]:
    """Every `step`-th of `size` pixels, and the last."""
    return np.unique(np.append(np.arange(0, size, step), size - 1))
