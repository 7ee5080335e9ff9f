"""Cloud spread by some pixels in every direction, for every threshold at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def buffered(values: NDArray[np.floating[Any]], valid: NDArray[np.bool_], radius: int) -> NDArray[np.floating[Any]]:
    """Greatest value among the valid pixels within `radius` pixels of each valid pixel; the others stay as they are.

    values: (H, W) float, finite where valid; valid: (H, W) bool. Within means that the distance of the pixels' centres
    is at most `radius`. Where the result exceeds a threshold is where `values`, above it, spreads to: dilation by a
    disc, whatever the threshold. Same shape and float type. Raises ValueError if radius is below 0.

    The disc is taken row by row: a row at distance d spans 2 w + 1 pixels, w = floor(sqrt(radius^2 - d^2)), and the
    greatest of so many is the greatest of two runs, of the power of two below, that overlap. Three passes over the
    image for each of the radius + 1 widths.
    """
    if radius < 0:
        raise ValueError(f"a radius of 0 pixels or more; found {radius}")
    if radius == 0:
        return values.copy()
    height, width = values.shape
    runs = np.full((height, width + 2 * radius), -np.inf, values.dtype)  # at x: greatest of `run` pixels from x on
    runs[:, radius : radius + width][valid] = values[valid]
    greatest, row, run = np.full_like(values, -np.inf), np.empty_like(values), 1
    for distance in range(radius, -1, -1):  # so that widths only grow
        half = math.isqrt(radius**2 - distance**2)
        while 2 * run <= 2 * half + 1:
            np.maximum(runs[:, :-run], runs[:, run:], out=runs[:, :-run])
            run *= 2
        first, last = radius - half, radius + half + 1 - run
        np.maximum(runs[:, first : first + width], runs[:, last : last + width], out=row)
        near, far = slice(distance, None), slice(None, max(0, height - distance))
        np.maximum(greatest[near], row[far], out=greatest[near])
        np.maximum(greatest[far], row[near], out=greatest[far])
    return np.where(valid, greatest, values)
