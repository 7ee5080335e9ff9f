"""Positions of pixels that stray far from their row and column, which a search among neighbouring cells cannot meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.errors import UserError
from preprocess.level1 import Positions

# A pixel lies within half a pixel of its cell; a cosmetic one of 1 km may be placed where its original lies, a cell on.
FARTHEST_1KM_M, FARTHEST_500M_M = 1500.0, 500.0
# In the measured product, 0.3 % of the cosmetic pixels of 1 km copy one two or three cells off, by indices_in.nc.
MOST_STRAYS = 0.01


def without_strays(positions: Positions) -> Positions:
    """The same positions (m), NaN where one lies farther from the middle of its row or column than FARTHEST_*_M.

    Raises UserError if more than MOST_STRAYS of the known positions of a grid do.
    """
    x_1km, y_1km = _held(positions.x_1km, positions.y_1km, FARTHEST_1KM_M, "cartesian_in.nc")
    x_500m, y_500m = _held(positions.x_500m, positions.y_500m, FARTHEST_500M_M, "cartesian_an.nc")
    return replace(positions, x_1km=x_1km, y_1km=y_1km, x_500m=x_500m, y_500m=y_500m)


def _held(x: np.ndarray, y: np.ndarray, farthest_m: float, file: str) -> tuple[np.ndarray, np.ndarray]:
    apart = np.maximum(np.abs(x - _middle(x, axis=0)), np.abs(y - _middle(y, axis=1)))
    known = np.isfinite(apart)
    strays = known & (apart > farthest_m)
    share = int(np.count_nonzero(strays)) / max(1, int(np.count_nonzero(known)))
    if share > MOST_STRAYS:
        raise UserError(
            f"{file}: pixels must lie within {farthest_m:g} m of their row along the track and of their column across "
            f"it; found {100 * share:.3g} % of them farther, up to {apart[known].max():.0f} m: fetch the product "
            "again, or do without positions: --regrid mean"
        )
    return np.where(strays, np.float32(np.nan), x), np.where(strays, np.float32(np.nan), y)


def _middle(values: np.ndarray, axis: int) -> np.ndarray:
    """The median of the known (the lower one of two), NaN where none is; `axis` is kept."""
    ordered = np.sort(values, axis=axis)  # NaN last
    known = (~np.isnan(values)).sum(axis=axis, keepdims=True)
    return np.take_along_axis(ordered, np.maximum(known - 1, 0) // 2, axis=axis)
