"""Strata of pixels: flags by hand, distances by looking at every pair of pixels, angles against the simulator."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from jaxmask import strata
from jaxmask.score_bins import bin_index
from jaxmask.strata import ALL, Classes, edge_classes, flag_words, tally_classes, tally_words
from jaxmask.sun import cos_sun_zenith, sun_place, sun_zenith_deg
from jaxmask.tally import UNKNOWN, Pixels, Stratum
from preprocess.simulation.orbit import solar_angles

START = datetime(2018, 5, 31, 10, 23, 38, tzinfo=UTC)


def pixels_of(cloud: np.ndarray, label: np.ndarray) -> Pixels:
    unknown = np.full(cloud.shape, UNKNOWN, np.uint8)
    return Pixels(unknown, label.astype(np.uint8), cloud.astype(np.uint8), bin_index(np.where(cloud, 0.9, 0.1)))


# A 4 x 4 image: sea and land, day and night, each with a coast, snow or glint somewhere; the last row is cosmetic.
FLAGS = np.array(
    [
        [2 | 1024, 2 | 1024 | 4096, 2 | 1024 | 1, 8 | 1024 | 1],
        [2 | 1024, 8 | 1024 | 8192, 8 | 1024 | 16, 8 | 1024],
        [2 | 2048, 2 | 2048, 8 | 2048, 8 | 2048 | 8192],
        [2 | 2048 | 256, 2 | 256, 4 | 2048 | 256, 8 | 2048 | 256 | 16384],
    ],
    np.uint16,
)
MEASURED = np.array([[True] * 4] * 3 + [[False] * 4])
SUN_NEAR = np.array([[True] * 4, [True] * 4, [True, False, True, False], [True] * 4])
COUNTS = {
    "all": 12, "measured": 12, "cosmetic": 4, "day": 8, "night": 4, "twilight": 2, "dark": 2, "sea": 6, "land": 6,
    "coast": 2, "inland_water": 1, "snow": 2, "glint": 1, "no_glint": 3,
}  # fmt: skip
WITH_COSMETIC = COUNTS | {"all": 16, "night": 8, "twilight": 6, "sea": 8, "land": 7, "tidal": 1}


@pytest.mark.quick
@pytest.mark.parametrize(("cosmetic", "expected"), [(False, COUNTS), (True, WITH_COSMETIC)])
def test_flags_by_hand(cosmetic: bool, expected: dict[str, int]) -> None:
    words = flag_words(FLAGS, MEASURED, SUN_NEAR).ravel()
    pixels = pixels_of(np.ones(16, bool), np.arange(16) < 4)
    found = tally_words(pixels, words, cosmetic=cosmetic)
    assert {stratum.name: tally.count for stratum, tally in found.items()} == expected
    assert found[Stratum("light", "day")].counts("unet", "label") == (4, 4, 0, 0)
    assert found[Stratum("surface", "sea")].counts("unet", "label").true_positive == 3


def test_of_pixels_without_flags_only_the_sample_is_known() -> None:
    words = flag_words(np.zeros(5, np.uint16), np.array([1, 1, 1, 1, 0], bool), np.ones(5, bool))
    found = tally_words(pixels_of(np.ones(5, bool), np.ones(5, bool)), words, cosmetic=False)
    assert {stratum.name: tally.count for stratum, tally in found.items()} == {"all": 4, "measured": 4, "cosmetic": 1}


def test_free_bits_are_free() -> None:
    assert not int(strata.FLAG_BITS) & (strata.MEASURED | strata.SUN_NEAR)
    names = [stratum.name for stratum, *_ in (strata.WHOLE, *strata.SAMPLES, *strata.BY_FLAGS)]
    assert len(set(names)) == len(names)
    assert set(names) < set(strata.meanings())


def test_classes_leave_out_what_has_none() -> None:
    codes = np.array([[0, 1, 2], [1, 1, 0]], np.uint8)  # 2: none
    counted = np.array([[1, 1, 1], [1, 0, 1]], bool)
    kept = np.array([1, 1, 1, 0, 1], bool)  # of the counted ones, the fourth is left out
    label = np.array([1, 0, 1, 1, 0])
    found = tally_classes(pixels_of(np.ones(5, bool), label), Classes("d", ("a", "b"), codes), counted, kept)
    assert {stratum: list(tally.counts("unet", "label")) for stratum, tally in found.items()} == {
        Stratum("d", "a"): [1, 1, 0, 0],
        Stratum("d", "b"): [0, 1, 0, 0],
    }


def slow_distances(target: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A king's moves to the nearest known pixel of the other class; 99 where there is none."""
    distances = np.full(target.shape, 99)
    for y, x in np.argwhere(known):
        others = np.argwhere(known & (target != target[y, x]))
        if len(others):
            distances[y, x] = np.abs(others - (y, x)).max(axis=1).min()
    return distances


@pytest.mark.parametrize("seed", range(3))
def test_distance_to_the_edge_equals_looking_at_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = np.zeros((30, 41), bool)
    target[3 : 6 + seed, 2:5] = target[20, 12 * seed : 12 * seed + 2] = True
    known = rng.random(target.shape) < 0.9
    found = edge_classes("label_edge", target, known)
    assert found.names == ("edge_1", "edge_2_3", "edge_4_7", "edge_8_15", "edge_16_31", "edge_32_on")
    expected = np.digitize(slow_distances(target, known), strata.EDGE_DISTANCES)
    np.testing.assert_array_equal(found.codes[known], expected[known])
    assert len(np.unique(found.codes[known])) >= 5


def test_a_scene_of_one_class_lies_far_from_any_edge() -> None:
    everywhere = np.ones((4, 4), bool)
    for target in (everywhere, ~everywhere):
        assert (edge_classes("d", target, everywhere).codes == 5).all()
    half = np.arange(16).reshape(4, 4) < 8
    assert (edge_classes("d", half, half).codes[half] == 5).all(), "what is beyond is not known"


def test_latitude_bands() -> None:
    latitude = np.array([[-90, -60.001, -60, -30, -1e-3, 0, 29.9, 30, 60, 90, np.nan]], np.float32)
    found = strata.latitude_classes(latitude)
    assert found.names == ("90S_60S", "60S_30S", "30S_0", "0_30N", "30N_60N", "60N_90N")
    assert found.codes.tolist() == [[0, 0, 1, 2, 2, 3, 3, 4, 5, 5, 6]]


def test_sun_bands_by_hand() -> None:
    zenith = np.array([[0, 39.9, 40.1, 74.9, 75.1, 84.9, 85.1, 89.9, 90.1, 95.9, 96.1, 180, np.nan]])
    found = strata.sun_classes(np.cos(np.radians(zenith)).astype(np.float32))
    names = ("sun_0_40", "sun_40_60", "sun_60_75", "sun_75_85", "sun_85_90", "sun_90_96", "sun_96_180")
    assert found.names == names
    assert found.codes.tolist() == [[0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7]]


def test_kinds_and_depths() -> None:
    kinds = strata.kind_classes(np.array([[0, 2, 200]], np.uint8), ("clear", "stratus", "cumulus"))
    assert (kinds.names, kinds.codes.tolist()) == (("clear", "stratus", "cumulus"), [[0, 2, 3]])
    amounts = np.array([[0, 1e-6, 0.149, 0.15, 0.5, 0.99, 1, 3, 10, 500, np.nan]], np.float32)
    depths = strata.depth_classes(amounts)
    assert depths.names[:3] == ("tau_0", "tau_0_0.15", "tau_0.15_0.5")
    assert (depths.names[-1], len(depths.names)) == ("tau_10_on", 7)
    assert depths.codes.tolist() == [[0, 1, 1, 2, 3, 3, 4, 5, 6, 6, 7]]


@pytest.mark.quick
def test_the_sun_over_an_image_is_that_of_the_simulator() -> None:
    rng = np.random.default_rng(0)
    rows = np.arange(1200)
    latitude = np.linspace(-80, 85, 1200)[:, None] + rng.uniform(-3, 3, (1200, 7))
    longitude = rng.uniform(-180, 180, (1200, 7))
    latitude[3, 4] = np.nan
    cosine = cos_sun_zenith(START.timestamp(), latitude.astype(np.float32), longitude.astype(np.float32))
    assert cosine.dtype == np.float32
    zenith = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    expected, _ = solar_angles(START, 0.15 * rows[:, None], latitude, longitude)
    # The same published formulas, written twice; float32 of the angles. Near 0 and 180 degrees cosines say little.
    steep = np.abs(90 - expected) < 85
    np.testing.assert_allclose(zenith[steep], expected[steep], atol=1e-3)
    exact = sun_zenith_deg(START.timestamp() + 0.15 * rows[:, None], latitude, longitude)
    np.testing.assert_allclose(zenith[steep], exact[steep], atol=1e-3)
    assert np.isnan(zenith[3, 4])


def test_the_sun_of_the_measured_product_stands_a_degree_further_north(real_product: Path) -> None:
    """Its own angles put the sun at 1.0 degrees south, where it was at 1.96 (any almanac, 15 March 2017, 11:34).

    But for that, which is the product's (processing baseline 002), they agree to 0.2 degrees.
    """
    with netCDF4.Dataset(real_product / "geometry_tn.nc") as file:
        own, start = file["solar_zenith_tn"][:].filled(np.nan), file.start_time
    with netCDF4.Dataset(real_product / "geodetic_tx.nc") as file:
        latitude, longitude = (file[f"{name}_tx"][:].filled(np.nan) for name in ("latitude", "longitude"))
    time = datetime.fromisoformat(start.replace("Z", "+00:00")).timestamp()
    excess = np.degrees(np.arccos(cos_sun_zenith(time, latitude, longitude))) - own
    assert np.degrees(sun_place(time).latitude) == pytest.approx(-1.956, abs=0.01)
    assert np.nanmedian(excess) == pytest.approx(1.0, abs=0.01)
    assert np.nanmax(np.abs(excess - np.nanmedian(excess))) < 0.2
    assert np.nanstd(excess) < 0.05


def test_all_comes_first() -> None:
    words = flag_words(np.array([2], np.uint16), np.array([True]), np.array([True]))
    assert next(iter(tally_words(pixels_of(np.ones(1, bool), np.ones(1, bool)), words, cosmetic=False))) == ALL
