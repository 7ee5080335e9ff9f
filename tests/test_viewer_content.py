"""Which pixels of a scene the viewer gets, and what is decided of them."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.viewer_content import LATITUDE, S7, S8_LESS_S9, sampling
from preprocess.colour import shrink


@pytest.mark.quick
@pytest.mark.parametrize(("height", "width", "most"), [(1200, 1500, 640), (11, 13, 6), (64, 72, 72), (5, 9, None)])
def test_the_kept_pixels_are_the_middles_of_the_blocks_whose_mean_colour_is_shown(
    height: int, width: int, most: int | None
) -> None:
    kept = sampling(height, width, most)
    rows = kept.of(np.repeat(np.arange(height)[:, None], width, axis=1))
    assert rows.shape == shrink(np.zeros((height, width, 3), np.uint8), most or width).shape[:2]
    assert rows.shape == (kept.rows, kept.columns)
    for index, row in enumerate(rows[:, 0].tolist()):
        assert row == index * kept.step + kept.step // 2 == index * kept.step + kept.first


def test_values_are_written_with_the_decimals_of_their_quantum() -> None:
    assert [quantity.decimals for quantity in (LATITUDE, S7, S8_LESS_S9)] == [3, 1, 1]
