"""From the 500 m grid to 1 km by the mean of 2 x 2 pixels; stretching by the nearest pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from preprocess.level1 import Packed, Product
from preprocess.radiometry import irradiance_ratios

# Rows of 1 km done at a time: what is made on the way of 64 rows of 3000 counts stays in a core's own cache.
BLOCK_ROWS = 32

# int16 counts are added as unsigned ones, 32768 higher; two neighbours lie in one uint32.
_BIAS = 2**15
_HALF_BITS, _LOW_HALF = np.uint32(16), np.uint32(0xFFFF)
_BYTE_BITS, _LOW_BYTE = np.uint16(8), np.uint16(0xFF)


class GriddedChannel(NamedTuple):
    """One solar channel brought from 500 m to the 1 km grid (R, C), in the radiance's units, uncalibrated."""

    radiance: np.ndarray  # f4, NaN where none
    measured: np.ndarray  # bool: a measurement of its own, with no exception but saturation, is in it; the sun apart
    deviation: np.ndarray | None = None  # f4, standard deviation among what was averaged, NaN where none
    # f4, the mean of radiance * (mean irradiance / the irradiance of its own detector); None where detectors are equal
    equalised: np.ndarray | None = None


def mean_channels(product: Product) -> Iterator[GriddedChannel]:
    """S1..S6 by the mean of the valid 2 x 2 pixels of 500 m that a pixel of 1 km covers."""
    allowed = product.flags["exception"].mask("saturation")
    genuine = ~product.flag("confidence", "cosmetic")
    images = zip(product.radiances, product.irradiance, product.radiance_exception, strict=True)
    for packed, irradiance, exception in images:
        ratios = irradiance_ratios(irradiance)
        equalised = None
        if product.detector is not None and (ratios != 1).any():
            equalised = _mean_equalised(packed, product.detector, ratios)
        radiance, measured = _mean_and_measured(packed, exception, allowed)
        yield GriddedChannel(radiance, measured & genuine, equalised=equalised)


def measured_by_mean(product: Product) -> Iterator[np.ndarray]:
    """S1..S6: where a measurement with no exception but saturation is among the 2 x 2 pixels; bool (R, C).

    Not where the pixel of 1 km is cosmetic: then these too hold what a neighbour measured.
    """
    allowed = product.flags["exception"].mask("saturation")
    genuine = ~product.flag("confidence", "cosmetic")
    for packed, exception in zip(product.radiances, product.radiance_exception, strict=True):
        yield measured_2x2(packed, exception, allowed) & genuine


def mean_packed(packed: Packed) -> np.ndarray:
    """Mean over the known of each 2 x 2 counts, in the image's units: (2R, 2C) -> (R, C) f4, NaN where none is.

    int16 counts are added exactly; scale and offset are applied once, in float64, before the cast: what the mean in
    float64 rounds to, or the next float32.
    """
    mean = np.empty((packed.counts.shape[0] // 2, packed.counts.shape[1] // 2), np.float32)
    for coarse, part in _blocks(packed):
        mean[coarse] = _mean(part, part.known())
    return mean


def measured_2x2(packed: Packed, exception: np.ndarray, allowed: int) -> np.ndarray:
    """Where any of each 2 x 2 pixels is known and has no exception but the `allowed` bits: bool (R, C).

    exception (2R, 2C) u1.
    """
    measured = np.empty((packed.counts.shape[0] // 2, packed.counts.shape[1] // 2), bool)
    for coarse, part in _blocks(packed):
        measured[coarse] = _measured(part.known(), exception[2 * coarse.start : 2 * coarse.stop], allowed)
    return measured


def _mean_and_measured(packed: Packed, exception: np.ndarray, allowed: int) -> tuple[np.ndarray, np.ndarray]:
    """`mean_packed` and `measured_2x2`, in one pass."""
    mean = np.empty((packed.counts.shape[0] // 2, packed.counts.shape[1] // 2), np.float32)
    measured = np.empty(mean.shape, bool)
    for coarse, part in _blocks(packed):
        known = part.known()
        mean[coarse] = _mean(part, known)
        measured[coarse] = _measured(known, exception[2 * coarse.start : 2 * coarse.stop], allowed)
    return mean, measured


def _mean(packed: Packed, known: np.ndarray) -> np.ndarray:
    return _mean_of_int16(packed, known) if packed.counts.dtype == np.int16 else mean_2x2(packed.values("f8"))


def _measured(known: np.ndarray, exception: np.ndarray, allowed: int) -> np.ndarray:
    return any_2x2(known & (exception & np.uint8(~allowed & 0xFF) == 0))


def _mean_equalised(packed: Packed, detector: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    mean = np.empty((packed.counts.shape[0] // 2, packed.counts.shape[1] // 2), np.float32)
    for coarse, part in _blocks(packed):
        mean[coarse] = mean_2x2(part.values("f8") * ratios[detector[2 * coarse.start : 2 * coarse.stop]])
    return mean


def _blocks(packed: Packed) -> Iterator[tuple[slice, Packed]]:
    """Rows of 1 km, and the rows of 500 m that they cover."""
    rows = packed.counts.shape[0] // 2
    for start in range(0, rows, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, rows)
        yield slice(start, stop), replace(packed, counts=packed.counts[2 * start : 2 * stop])


def _mean_of_int16(packed: Packed, known: np.ndarray) -> np.ndarray:
    """`mean_packed` of int16 counts, f8: each sum is exact."""
    complete = bool(known.all())
    biased = packed.counts.view(np.uint16) ^ np.uint16(_BIAS)
    if not complete and packed.fill != -_BIAS:  # which is 0 already
        biased *= known
    pairs = biased.view(np.uint32)
    sums = pairs & _LOW_HALF
    pairs >>= _HALF_BITS
    sums += pairs
    total = sums[0::2] + sums[1::2]
    mean: np.ndarray = (total.view(np.int32) - np.int32(4 * _BIAS)) * (packed.scale / 4)
    mean += packed.offset
    if not complete:
        number = _number_2x2(known)
        partial = np.flatnonzero(number != 4)
        with np.errstate(invalid="ignore"):  # none of none is NaN
            counts = total.ravel()[partial] / number.ravel()[partial] - _BIAS
        mean.ravel()[partial] = counts * packed.scale + packed.offset
    return mean


def _number_2x2(known: np.ndarray) -> np.ndarray:
    """How many of each 2 x 2 are set: bool (2R, 2C) -> u2 (R, C)."""
    pairs = known.view(np.uint16)
    number = pairs[0::2] + pairs[1::2]
    return (number & _LOW_BYTE) + (number >> _BYTE_BITS)


def any_2x2(fine: np.ndarray) -> np.ndarray:
    """Whether any of each 2 x 2 pixels is set: bool (2R, 2C) -> (R, C)."""
    pairs = np.ascontiguousarray(fine).view(np.uint16)
    result: np.ndarray = (pairs[0::2] | pairs[1::2]) != 0
    return result


def mean_2x2(fine: np.ndarray) -> np.ndarray:
    """Mean over the valid (not NaN) of each 2 x 2 pixels: (2R, 2C) -> (R, C), NaN where none is valid.

    [[1, 3], [NaN, 2]] -> [[2]]. Pixel (r, c) of 1 km covers rows 2r, 2r + 1 and columns 2c, 2c + 1: track_offset
    doubles at 500 m.
    """
    total = np.zeros((fine.shape[0] // 2, fine.shape[1] // 2), fine.dtype)
    count = np.zeros(total.shape, np.uint8)
    for part in [fine[row::2, column::2] for row in (0, 1) for column in (0, 1)]:
        valid = ~np.isnan(part)
        np.add(total, part, out=total, where=valid)
        count += valid
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def nearest(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """Stretch (R, C, ...) to (height, width, ...) by the nearest pixel centre, values untouched."""
    rows = array[_nearest_index(array.shape[0], height)]
    # Whole rows are copied far faster than pixel after pixel.
    return rows if width == array.shape[1] else rows[:, _nearest_index(array.shape[1], width)]


def _nearest_index(size: int, target: int) -> np.ndarray:
    # Both grids span the same extent, so the centre of target pixel i lies at (i + 1/2) size / target.
    return ((2 * np.arange(target) + 1) * size) // (2 * target)
