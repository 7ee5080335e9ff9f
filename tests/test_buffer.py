"""The buffer against a loop over the disc, against dilation at every threshold, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from jaxmask.buffer import buffered

# Height, width, radius: a disc larger than the image, one of a single row, one as large as --buffer goes.
CASES = [(12, 15, 1), (12, 15, 2), (20, 9, 5), (9, 31, 13), (1, 40, 3), (5, 7, 100)]


def disc(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return y**2 + x**2 <= radius**2


def random_values(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(height * width)
    return rng.random((height, width)).astype(np.float32), rng.random((height, width)) < 0.6


@pytest.mark.quick
@pytest.mark.parametrize(("height", "width", "radius"), CASES)
def test_against_a_loop_over_pixels(height: int, width: int, radius: int) -> None:
    values, valid = random_values(height, width)
    expected = values.copy()
    for row, column in zip(*np.nonzero(valid), strict=True):
        y, x = np.mgrid[:height, :width]
        near = (y - row) ** 2 + (x - column) ** 2 <= radius**2
        expected[row, column] = values[near & valid].max()
    found = buffered(values, valid, radius)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9, 0.97])
def test_every_threshold_gives_the_dilated_mask(threshold: float) -> None:
    values, valid = random_values(40, 50)
    dilated = ndimage.binary_dilation((values > threshold) & valid, disc(4))
    np.testing.assert_array_equal((buffered(values, valid, 4) > threshold)[valid], dilated[valid])


def test_invalid_pixels_neither_spread_nor_change() -> None:
    values = np.array([[0.1, 0.9, 0.2, 0.3, np.nan, 0.4]], np.float32)
    valid = np.array([[True, False, True, True, False, True]])
    np.testing.assert_array_equal(buffered(values, valid, 2), np.array([[0.2, 0.9, 0.3, 0.4, np.nan, 0.4]], np.float32))
    np.testing.assert_array_equal(buffered(values, valid, 0), values)
    np.testing.assert_array_equal(buffered(values, np.zeros_like(valid), 3), values)


def test_the_values_given_are_left_alone() -> None:
    values, valid = random_values(8, 9)
    before = values.copy()
    for radius in (0, 3):
        assert not np.shares_memory(buffered(values, valid, radius), values)
    np.testing.assert_array_equal(values, before)


def test_a_radius_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="0 pixels or more; found -1"):
        buffered(*random_values(4, 4), -1)
