"""Cosmetic, unfilled and orphaned pixels: by hand on small grids, and by count on a plan."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.simulation.plan import plan_archive
from preprocess.simulation.regrid import gridded, make_regridding, orphan_places, orphans, regrid


@pytest.mark.quick
def test_by_hand() -> None:
    """Row 0: (0,1) takes the pixel below it. Row 3: (3,2) has none below, takes the one above. (1,3) and (2,3) are a
    pair, each with the other along the track: (2,3) takes (3,3), (1,3) takes (0,3). (1,0) is unfilled.
    """
    image = np.arange(16, dtype=np.int16).reshape(4, 4)
    wanted = np.zeros((4, 4), bool)
    wanted[[0, 3, 1, 2], [1, 2, 3, 3]] = True
    unfilled = np.zeros((4, 4), bool)
    unfilled[1, 0] = True
    cells = regrid(wanted, unfilled, orphan_places=2)
    shown = gridded(cells, image, -1)
    assert shown.tolist() == [[0, 5, 2, 3], [-1, 5, 6, 3], [8, 9, 10, 15], [12, 13, 10, 15]]
    assert orphans(cells, image, -9).tolist() == [[1, -9], [7, -9], [11, -9], [14, -9]]
    assert np.array_equal(cells.cosmetic, wanted)
    assert np.argwhere(cells.duplicate).tolist() == [[0, 3], [1, 1], [2, 2], [3, 3]]


def test_across_the_track_only_when_there_is_none_along() -> None:
    """A column of cosmetic pixels is filled from the right; where that is unfilled, from the left."""
    image = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    wanted = np.array([[False, True, False], [False, True, False]])
    unfilled = np.array([[False, False, False], [False, False, True]])
    cells = regrid(wanted, unfilled, 1)
    assert gridded(cells, image, 255).tolist() == [[1, 3, 3], [4, 4, 255]]


def test_a_pixel_without_measured_neighbours_stays_measured() -> None:
    cells = regrid(np.ones((2, 2), bool), np.zeros((2, 2), bool), 2)
    assert not cells.cosmetic.any()
    assert not cells.duplicate.any()
    assert gridded(cells, np.array([[1, 2], [3, 4]], np.uint8), 0).tolist() == [[1, 2], [3, 4]]


def test_orphans_beyond_a_rows_places_are_lost() -> None:
    wanted = np.array([[True, True, True, True], [False, False, False, False]])
    cells = regrid(wanted, np.zeros((2, 4), bool), 3)
    assert cells.orphan_column.tolist() == [[0, 1, 2], [-1, -1, -1]]


def test_a_full_product_loses_and_fills_as_the_measured_one() -> None:
    """Measured: 23 % cosmetic, 2.7 % unfilled, 187 and 374 orphan places; unfilled only outermost."""
    plan = plan_archive(1, "full", 0)[0]
    cells = make_regridding(plan, "in", np.random.default_rng(0))
    assert 0.18 < cells.cosmetic.mean() < 0.28
    assert 0.02 < cells.unfilled.mean() < 0.03
    assert not cells.unfilled[:, 26:-14].any()
    assert cells.unfilled.any(axis=1).all()
    assert orphan_places(plan, "in") == cells.orphan_column.shape[1] == 187
    assert orphan_places(plan, "an") == 374
    assert not (cells.cosmetic & cells.duplicate).any()
    assert not (cells.cosmetic & cells.unfilled).any()
    sources = cells.source[cells.cosmetic]
    assert not cells.cosmetic.ravel()[sources].any()
    assert not cells.unfilled.ravel()[sources].any()
    step = np.abs(sources - np.flatnonzero(cells.cosmetic))
    assert (step == 1500).mean() > 0.9  # along the track


def test_the_500_m_grid_is_empty_where_the_1_km_grid_is() -> None:
    plan = plan_archive(1, "small", 0)[0]
    coarse = make_regridding(plan, "in", np.random.default_rng(1))
    fine = make_regridding(plan, "an", np.random.default_rng(2))
    assert np.array_equal(fine.unfilled, coarse.unfilled.repeat(2, 0).repeat(2, 1))
    assert not coarse.unfilled[:, 7:-4].any()  # 26 and 14 columns, scaled
