"""A straight coast seen by the pixels of a product where they really lie, and by how far an image misplaces it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]

SLOPE = 0.13
"""Of the coast against the rows: over 64 km it meets pixels at every phase along the track."""
SEA, LAND = 20.0, 120.0
"""Radiance in S3: mW m-2 sr-1 nm-1."""
SUBPIXELS = 9
SHIFTS_M = np.arange(-800.0, 801.0, 10.0)


@dataclass(frozen=True)
class Coast:
    """Land beyond y = middle_m + SLOPE (x - x_m), sea before it."""

    x_m: float
    middle_m: float

    def radiance(self, x: Grid, y: Grid, pixel_m: float) -> Grid:
        """What a square pixel about (x, y) (m) sees: the mean over its area, exact along y, SUBPIXELS strips in x."""
        strips = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
        beyond = [y - self.middle_m - SLOPE * (x + strip * pixel_m - self.x_m) for strip in strips]
        land = np.mean([np.clip(0.5 + distance / pixel_m, 0.0, 1.0) for distance in beyond], axis=0)
        return np.asarray(SEA + (LAND - SEA) * land)


def shift_m(coast: Coast, image: Grid, x: Grid, y: Grid, pixel_m: float) -> float:
    """How far along the track (m) from where its pixels lie the image shows the coast: the shift that fits it best."""
    known = np.isfinite(image)
    misfits = [np.square(image - coast.radiance(x, y + shift, pixel_m))[known].sum() for shift in SHIFTS_M]
    return float(SHIFTS_M[int(np.argmin(misfits))])
