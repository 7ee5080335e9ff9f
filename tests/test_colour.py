"""Colours: oracles are pixels worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask import colour
from preprocess.colour import Rgb, daylight, false_colour, shrink


def _pixel(refs: dict[int, float], s8_k: float) -> tuple[np.ndarray, np.ndarray]:
    """One pixel, (1, 1, 6) and (1, 1, 3), with the given channels Sn and 270 K elsewhere."""
    reflectance, temperature = np.zeros((1, 1, 6), np.float32), np.full((1, 1, 3), 270, np.float32)
    for channel, value in refs.items():
        reflectance[0, 0, channel - 1] = value
    temperature[0, 0, 1] = s8_k
    return reflectance, temperature


@pytest.mark.quick
def test_red_green_blue_are_1600_870_and_660_nm() -> None:
    refs, bts = _pixel({5: 0.9, 3: 0.45, 2: 0.0}, 280)
    # full scale is 0.9; 0.5 ** (1 / 1.7) = 0.6652, times 255 = 169.6; exact after rounding
    assert false_colour(refs, bts, np.ones((1, 1), bool))[0, 0].tolist() == [255, 170, 0]


def test_by_night_cold_is_bright() -> None:
    # 205 K is white, 305 K black, 255 K half way: 127.5 rounds to the even 128
    for s8_k, grey in ((205, 255), (180, 255), (305, 0), (320, 0), (255, 128)):
        refs, bts = _pixel({5: 0.9, 3: 0.9, 2: 0.9}, s8_k)
        assert false_colour(refs, bts, np.zeros((1, 1), bool))[0, 0].tolist() == [grey] * 3


def test_day_and_night_meet_in_one_picture_and_fill_is_grey() -> None:
    refs, bts = np.zeros((2, 2, 6), np.float32), np.full((2, 2, 3), 205, np.float32)
    refs[0, 0, 1] = 0.9
    refs[1, 1] = np.nan
    day = daylight(refs)
    assert day.tolist() == [[True, False], [False, False]]
    day[1, 1] = True
    picture = false_colour(refs, bts, day, valid=np.array([[True, True], [False, True]]))
    assert picture[0, 0].tolist() == [0, 0, 255]
    assert picture[0, 1].tolist() == [255, 255, 255]
    assert picture[1, 0].tolist() == list(colour.NO_DATA), "not valid"
    assert picture[1, 1].tolist() == list(colour.NO_DATA), "not finite"
    assert picture.dtype == np.uint8


def test_disagreement_tells_the_five_cases_apart() -> None:
    label = np.array([[True, False, True, False, True]])
    mask = np.array([[True, False, False, True, False]])
    valid = np.array([[True, True, True, True, False]])
    expected = [colour.CLOUD, colour.CLEAR, colour.ONLY_LABEL, colour.ONLY_MASK, colour.NO_DATA]
    assert [tuple(p) for p in colour.disagreement_colour(label, mask, valid)[0].tolist()] == expected
    assert [tuple(p) for p in colour.cloud_colour(label, valid)[0].tolist()] == [
        colour.CLOUD, colour.CLEAR, colour.CLOUD, colour.CLEAR, colour.NO_DATA
    ]  # fmt: skip
    assert len(set(expected)) == 5


def test_probability_takes_the_row_of_its_share() -> None:
    table = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float64)
    probability = np.array([[0.0, 0.24, 0.25, 0.74, 0.75, 1.0, np.nan, 0.5]], np.float32)
    valid = np.array([[True] * 7 + [False]])
    found = colour.probability_colour(probability, valid, table)[0]
    rows = [0, 0, 1, 2, 3, 3]
    assert found[:6].tolist() == (255 * table[rows]).astype(int).tolist()
    assert found[6:].tolist() == [list(colour.NO_DATA)] * 2


def test_shrink_averages_whole_blocks() -> None:
    picture = np.zeros((5, 6, 3), np.uint8)
    picture[:2, :2, 0] = [[0, 10], [20, 30]]
    small = shrink(picture, 3)
    assert small.shape == (2, 3, 3)
    assert small[0, 0].tolist() == [15, 0, 0]
    assert not small[0, 1:].any()
    np.testing.assert_array_equal(shrink(picture, 6), picture)
    assert shrink(picture, 5).shape == (2, 3, 3), "6 columns need blocks of 2 to come under 5"


def test_hexadecimal() -> None:
    assert colour.hexadecimal((230, 159, 0)) == "#e69f00"


def test_clear_no_data_and_cloud_differ_in_lightness() -> None:
    """WCAG relative luminance: a grey print still tells them apart."""

    def luminance(rgb: Rgb) -> float:
        linear = [(c / 255) / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ordered = sorted(map(luminance, (colour.CLEAR, colour.NO_DATA, colour.CLOUD)))
    assert ordered[1] - ordered[0] > 0.15
    assert ordered[2] - ordered[1] > 0.15
