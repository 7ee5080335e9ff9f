"""What regridding does to a simulated image: cells left empty, cells filled from a neighbour, measurements orphaned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.geometry import outer_columns
from preprocess.simulation.plan import ProductPlan

Mask = NDArray[np.bool_]

UNFILLED_LEFT, UNFILLED_RIGHT, UNFILLED_TEETH = 26, 14, 5
"""Outermost columns of a full 1 km image that hold nothing, to within UNFILLED_TEETH columns from row to row (measured
product: 26 on the left, 14 on the right)."""
COSMETIC_NEAR, COSMETIC_FAR = 0.02, 0.45
COSMETIC_RISES_M = (250_000.0, 500_000.0)
"""Share of cosmetic cells near the track and beyond, and the distance from the track over which it rises (read off the
measured product, where it is 23 % in all)."""
COSMETIC_ALSO = 0.01
"""Further share, so that now and then both rows of a pair are cosmetic and the filling comes from across the track."""
ORPHANS_PER_COLUMN = 8
"""A 1 km row has room for one orphan in so many columns, a 500 m row for twice as many (measured: 187 for 1500, 374
for 3000)."""
NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Rows and columns to the cells that a cosmetic cell is filled from: along the track first, the later row first."""


@dataclass(frozen=True)
class Regridding:
    """What became of each cell of a (H, W) grid with S orphan places a row.

    `unfilled`: nothing there. `cosmetic`: filled from the cell `source` (flat index; a cell's own where not cosmetic).
    `duplicate`: a measured cell that a second measurement fell into, the one its cosmetic neighbour lacks.
    `orphan_column`: (H, S) column that the orphan in this place was measured for, -1 where the place is free.
    """

    unfilled: Mask
    cosmetic: Mask
    source: NDArray[np.int64]
    duplicate: Mask
    orphan_column: NDArray[np.int64]


def make_regridding(plan: ProductPlan, grid: str, draws: np.random.Generator) -> Regridding:
    """The fate of the cells of grid "in" (R, C) or "an" (2R, 2C) of `plan`; by chance, not by what they show."""
    finer = 2 if grid == "an" else 1
    rows, columns = plan.rows * finer, plan.columns * finer
    unfilled = _unfilled(rows, columns, outer_columns(plan, UNFILLED_LEFT), outer_columns(plan, UNFILLED_RIGHT), finer)
    across_m = np.abs(finer * plan.nadir_column - np.arange(columns)) * 1000.0 / finer
    return regrid(_cosmetic(rows, across_m, draws), unfilled, orphan_places(plan, grid))


def orphan_places(plan: ProductPlan, grid: str) -> int:
    """Places for orphans in a row of grid "in" or "an"."""
    return (2 if grid == "an" else 1) * (plan.columns // ORPHANS_PER_COLUMN)


def regrid(wanted: Mask, unfilled: Mask, orphan_places: int) -> Regridding:
    """Fill the `wanted` cosmetic cells (H, W) from the first of NEIGHBOURS that is measured, or leave them measured if
    none is; their own measurements become orphans of their row, in order of columns, until its places are taken.
    """
    wanted = wanted & ~unfilled
    measured = ~wanted & ~unfilled
    own = np.arange(wanted.size).reshape(wanted.shape)
    source = own.copy()
    open_ = wanted.copy()
    for down, right in NEIGHBOURS:
        fits = open_ & _shifted(measured, down, right)
        source[fits] = own[fits] + down * wanted.shape[1] + right
        open_ &= ~fits
    cosmetic = wanted & ~open_
    duplicate = np.zeros(wanted.shape, bool)
    duplicate.flat[source[cosmetic]] = True
    return Regridding(unfilled, cosmetic, source, duplicate, _orphan_columns(cosmetic, orphan_places))


def gridded(cells: Regridding, image: NDArray[Any], empty: float | int) -> NDArray[Any]:
    """The image (H, W) as the product shows it: cosmetic cells copied, unfilled cells `empty`."""
    filled = image.ravel()[cells.source]
    return np.where(cells.unfilled, np.asarray(empty, image.dtype), filled)


def orphans(cells: Regridding, image: NDArray[Any], empty: float | int) -> NDArray[Any]:
    """The orphaned measurements of the image (H, W) in their places, (H, S); free places are `empty`."""
    found = np.take_along_axis(image, np.maximum(cells.orphan_column, 0), axis=1)
    return np.where(cells.orphan_column >= 0, found, np.asarray(empty, image.dtype))


def _unfilled(rows: int, columns: int, left: int, right: int, finer: int) -> Mask:
    row, column = np.arange(rows)[:, None] // finer, np.arange(columns)[None, :] // finer
    teeth = row % max(1, min(UNFILLED_TEETH, left // 2))
    return (column < left - teeth) | (column >= columns // finer - right)


def _cosmetic(rows: int, across_m: NDArray[np.float64], draws: np.random.Generator) -> Mask:
    """At most one row of each pair of rows, as scans of two detectors leave gaps, and a few more."""
    nearest, farthest = COSMETIC_RISES_M
    rise = np.clip((across_m - nearest) / (farthest - nearest), 0.0, 1.0)
    share = COSMETIC_NEAR + (COSMETIC_FAR - COSMETIC_NEAR) * rise**2 * (3 - 2 * rise)
    pairs = (rows + 1) // 2
    hit = draws.random((pairs, across_m.size)) < 2 * share
    upper = draws.random((pairs, across_m.size)) < 0.5
    wanted = np.empty((2 * pairs, across_m.size), bool)
    wanted[0::2], wanted[1::2] = hit & upper, hit & ~upper
    return wanted[:rows] | (draws.random((rows, across_m.size)) < COSMETIC_ALSO)


def _shifted(mask: Mask, down: int, right: int) -> Mask:
    """mask[row + down, column + right], False beyond the edge."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    return padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]


def _orphan_columns(cosmetic: Mask, places: int) -> NDArray[np.int64]:
    found = np.full((cosmetic.shape[0], places), -1, np.int64)
    row, column = np.nonzero(cosmetic)
    place = (np.cumsum(cosmetic, axis=1) - 1)[row, column]
    kept = place < places
    found[row[kept], place[kept]] = column[kept]
    return found
