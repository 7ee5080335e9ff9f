"""Positions far from their row or column: by hand, which of them count as unknown, and when there are too many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preprocess.errors import UserError
from preprocess.level1 import Positions
from preprocess.strays import without_strays

ROWS, COLUMNS = 20, 30


def regular() -> Positions:
    """1 km pixels amid four cells of 500 m; x falls with the column, y jumps by three rows in the middle."""
    y, x = np.mgrid[:ROWS, :COLUMNS] * np.float32(1000)
    y[ROWS // 2 :] += 3000
    fine = [image.repeat(2, axis=0).repeat(2, axis=1) for image in (y, x)]
    fine[0][1::2] += 500
    fine[1][:, 1::2] += 500
    places = np.empty((2 * ROWS, 0), np.float32)
    images = (image.astype(np.float32) for image in (-x - 250, y + 250, -fine[1], fine[0]))
    return Positions(*images, np.zeros(fine[0].shape, bool), places, places, (), np.empty((6, *places.shape), np.uint8))


@pytest.mark.quick
def test_those_that_stray_count_as_unknown_and_all_others_stay() -> None:
    """1 km: 1500 m off its row stays, 1501 m off its column goes; 500 m: 500 stays, 501 goes. Unknown rows stay so."""
    positions = regular()
    positions.y_1km[3, 4] += 1500
    positions.x_1km[5, 6] -= 1501
    positions.x_500m[7, 8] += 500
    positions.y_500m[9, 10] -= 501
    positions.y_1km[11] = np.nan
    held = without_strays(positions)
    expected = {"x_1km": (5, 6), "y_1km": (5, 6), "x_500m": (9, 10), "y_500m": (9, 10)}
    for name, at in expected.items():
        image = getattr(positions, name).copy()
        image[at] = np.nan
        np.testing.assert_array_equal(getattr(held, name), image, name)
        assert getattr(held, name).dtype == np.float32
    assert held.orphan_x is positions.orphan_x


def test_nothing_known_at_all() -> None:
    positions = regular()
    unknown = {name: np.full_like(getattr(positions, name), np.nan) for name in ("x_1km", "y_1km", "x_500m", "y_500m")}
    held = without_strays(replace(positions, **unknown))
    assert np.isnan(held.x_1km).all()


def test_more_than_one_in_a_hundred_are_an_error() -> None:
    positions = regular()
    positions.x_1km[:6, 0] += 2000  # 6 of 600
    assert np.isnan(without_strays(positions).x_1km).sum() == 6
    positions.x_1km[6, 0] += 2000
    with pytest.raises(
        UserError,
        match=r"cartesian_in.nc: pixels must lie within 1500 m .* found 1\.17 % of them farther, up to 2000 m: ",
    ):
        without_strays(positions)
