"""From the 500 m grid to 1 km, and the original's stretch to 1200 x 1500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from skimage.transform import resize

from preprocess.level1 import Packed, Product


class GriddedChannel(NamedTuple):
    """One solar channel brought from 500 m to the 1 km grid (R, C), in the radiance's units, uncalibrated."""

    radiance: np.ndarray  # f4, NaN where none
    measured: np.ndarray  # bool: a measurement with no exception but saturation is in it; sun and cosmetic pixels apart
    deviation: np.ndarray | None = None  # f4, standard deviation among what was averaged, NaN where none
    # f4, the mean of radiance * (mean irradiance / the irradiance of its own detector); None where detectors are equal
    equalised: np.ndarray | None = None


def mean_channels(product: Product) -> Iterator[GriddedChannel]:
    """S1..S6 by the mean of the valid 2 x 2 pixels of 500 m that a pixel of 1 km covers."""
    allowed = np.uint8(product.flags["exception"].mask("saturation"))
    for packed, exception in zip(product.radiances, product.radiance_exception, strict=True):
        yield GriddedChannel(mean_packed(packed), any_2x2(packed.known() & (exception & ~allowed == 0)))


def mean_packed(packed: Packed) -> np.ndarray:
    """Mean over the known of each 2 x 2 counts, in the image's units: (2R, 2C) -> (R, C) f4, NaN where none is."""
    return mean_2x2(packed.values())


def mean_2x2(fine: np.ndarray) -> np.ndarray:
    """Mean over the valid (not NaN) of each 2 x 2 pixels: (2R, 2C) -> (R, C), NaN where none is valid.

    [[1, 3], [NaN, 2]] -> [[2]]. Pixel (r, c) of 1 km covers rows 2r, 2r + 1 and columns 2c, 2c + 1: track_offset
    doubles at 500 m.
    """
    total = np.zeros((fine.shape[0] // 2, fine.shape[1] // 2), fine.dtype)
    count = np.zeros(total.shape, np.uint8)
    for part in _quarters(fine):
        valid = ~np.isnan(part)
        np.add(total, part, out=total, where=valid)
        count += valid
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def any_2x2(fine: np.ndarray) -> np.ndarray:
    """Whether any of each 2 x 2 pixels is set: bool (2R, 2C) -> (R, C)."""
    first, second, third, fourth = _quarters(fine)
    result: np.ndarray = first | second | third | fourth
    return result


def _quarters(fine: np.ndarray) -> list[np.ndarray]:
    return [fine[row::2, column::2] for row in (0, 1) for column in (0, 1)]


def nearest(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """Stretch (R, C, ...) to (height, width, ...) by the nearest pixel centre, values untouched."""
    return array[np.ix_(_nearest_index(array.shape[0], height), _nearest_index(array.shape[1], width))]


def _nearest_index(size: int, target: int) -> np.ndarray:
    # Both grids span the same extent, so the centre of target pixel i lies at (i + 1/2) size / target.
    return ((2 * np.arange(target) + 1) * size) // (2 * target)


def reference_resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The original's resize of an image (R, C) with missing values 0: linear, smoothed first where it shrinks; f8."""
    resized: np.ndarray = resize(image.astype(np.float64), (height, width))
    return resized


def reference_resize_flag(flag: np.ndarray, height: int, width: int) -> np.ndarray:
    """The original's resize of a flag: bool (R, C) -> u1 (height, width), 0..255 with greys at the edges.

    Greys are rounded up: to the original any value above 0 is cloud.
    """
    image = np.where(flag, 255.0, 0.0)
    return np.ceil(resize(image, (height, width), anti_aliasing=False, preserve_range=True)).astype(np.uint8)
