"""Colours: oracles are pixels worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jaxmask import colour
from preprocess.colour import (
    INFRARED,
    MICROPHYSICS,
    NATURAL,
    Rgb,
    composite_of,
    daylight,
    false_colour,
    scene_look,
    shrink,
)
from preprocess.level1 import CONFIDENCE_BITS
from preprocess.scene import Scene
from tests.run_folder import make_scene

MISSING_K = 270.0


def _scene(size: tuple[int, int] = (1, 1), day: bool = False, s7_measured: bool = True) -> Scene:
    """Dark and 280 K in all thermal channels, all of it valid and, but for S7 if so told, measured."""
    scene = make_scene(0, day)
    flags = np.full(size, CONFIDENCE_BITS["ocean"] | day * CONFIDENCE_BITS["day"], np.uint16)
    measured = np.full(size, 0b111000000 if s7_measured else 0b110000000, np.uint16)
    refs, bts = np.zeros((*size, 6), np.float32), np.full((*size, 3), 280, np.float32)
    return replace(scene, refs=refs, bts=bts, flags=flags, measured=measured, valid=np.ones((*size, 1), np.uint8))


@pytest.mark.quick
def test_red_green_blue_by_day_are_1600_870_and_660_nm() -> None:
    scene = _scene(day=True)
    scene.refs[0, 0, [4, 2, 1]] = 1.2, 0.5, 0.0
    look = scene_look(scene)
    # full scale is 100 %; 0.5 ** (1 / 1.8) = 0.68040, times 255 = 173.50; the float32 root may fall on either side
    red, green, blue = look.picture[0, 0].tolist()
    assert (red, blue, look.composites) == (255, 0, (NATURAL,))
    assert green in (173, 174)


@pytest.mark.quick
def test_red_green_blue_by_night_are_the_differences_and_s8() -> None:
    # S9 - S8 = -1: (-1 + 4) / 6 = 0.5; S8 - S7 = 2: 0.2; S8 = 283: (283 - 243) / 50 = 0.8; 127.5 to the even 128
    for temperatures, rgb in (
        ((281, 283, 282), [128, 51, 204]),
        ((240, 243, 245), [255, 76, 0]),  # 76.5 to the even 76
        ((296, 293, 289), [0, 0, 255]),
    ):
        scene = _scene()
        scene.bts[0, 0] = temperatures
        look = scene_look(scene)
        assert look.picture[0, 0].tolist() == rgb
        assert look.composites == (MICROPHYSICS,)


def test_s8_alone_is_bright_where_cold() -> None:
    # 205 K is white, 305 K black, 255 K half way: 127.5 rounds to the even 128
    for s8_k, grey in ((205, 255), (180, 255), (305, 0), (320, 0), (255, 128)):
        scene = _scene()
        scene.bts[0, 0, 1] = s8_k
        look = scene_look(scene, night="s8")
        assert look.picture[0, 0].tolist() == [grey] * 3
        assert look.composites == (INFRARED,)


def test_each_pixel_has_the_composite_of_its_light_and_channels() -> None:
    """A row by day, by night, without S7, with S7 of just the value that stands for none, and lit without sunlight."""
    scene = _scene((1, 5), s7_measured=False)
    scene.refs[0, 0, 1] = 1e-3
    scene.bts[0, 2:4, 0] = MISSING_K
    scene.measured[0, 3] |= 1 << 6
    scene.flags[0, 4] |= CONFIDENCE_BITS["day"]
    expected = [NATURAL, MICROPHYSICS, INFRARED, MICROPHYSICS, INFRARED]
    assert composite_of(scene).tolist() == [expected]
    assert composite_of(scene, "s8").tolist() == [[NATURAL] + 4 * [INFRARED]]
    assert daylight(scene.refs).tolist() == [[True] + 4 * [False]]
    assert scene_look(scene).composites == (NATURAL, MICROPHYSICS, INFRARED)
    shown = np.array([[True, False, False, False, True]])
    assert scene_look(scene, shown).composites == (NATURAL, INFRARED), "only what is seen is told"


def test_what_is_not_valid_or_not_finite_is_no_data() -> None:
    scene = _scene((2, 2))
    scene.refs[1, 1] = np.nan
    composite = np.array([[MICROPHYSICS, MICROPHYSICS], [INFRARED, NATURAL]])
    picture = false_colour(scene.refs, scene.bts, composite, np.array([[True, False], [True, True]]))
    assert picture[0, 0].tolist() == [170, 0, 189], "4 / 6 and 37 / 50 of 255"
    assert picture[0, 1].tolist() == list(colour.NO_DATA), "not valid"
    assert picture[1, 0].tolist() == [64] * 3, "25 of 100 K above black: 63.75"
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
