"""The reference convention against the original's recipe written out, whatever the number of rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline
from skimage.transform import resize

from preprocess.compose import make_scene
from preprocess.level1 import Grid, Packed, Product
from preprocess.product import read_product
from preprocess.scene import Scene
from tests.products import COSMETIC, DAY, FILL, SUMMARY, TIE_TRACK, TIES, flag_fields, make_product
from tests.real import complete_product

SIZE = (1200, 1500)
# Ours are float32 of the original's float64; temperatures are float32 from the reader on, half a bit of 300 K more.
TOLERANCES = {"refs": {"rtol": 1e-7, "atol": 1e-9}, "rads": {"rtol": 1e-7, "atol": 1e-6}, "bts": {"atol": 4e-5}}


def original_refs_and_rads(product: Product, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """As ../shared/reference tells: fill is 0, one spline over all rows and columns, skimage's resize, in float64."""
    packed = product.radiances[channel]
    radiance = np.where(packed.known(), packed.counts.astype(np.float64) * packed.scale + packed.offset, 0.0)
    rows, columns = radiance.shape
    ties, fine = product.grid_tie, product.grid_500m
    zenith = np.nan_to_num(product.solar_zenith, nan=0.0)
    x = (np.arange(columns) - fine.track_offset) * fine.across_m / ties.across_m + ties.track_offset
    y = np.arange(rows) * fine.along_m / ties.along_m + ties.start_offset
    sun = RectBivariateSpline(np.arange(zenith.shape[0]), np.arange(zenith.shape[1]), zenith)(y, x)
    mu0 = np.where(sun < 90, np.cos(0.017453292 * sun), 1.0)
    reflectance = np.pi * radiance / (product.irradiance[channel, 0] * mu0)
    return resize(reflectance, SIZE), resize(radiance, SIZE)


def original_flag(flag: np.ndarray) -> np.ndarray:
    return resize(np.where(flag, 255.0, 0.0), SIZE, anti_aliasing=False, preserve_range=True)


def assert_original(scene: Scene, product: Product, channels: tuple[int, ...]) -> None:
    for channel in channels:
        refs, rads = original_refs_and_rads(product, channel)
        np.testing.assert_allclose(scene.refs[..., channel], refs, **TOLERANCES["refs"])
        assert scene.rads is not None
        np.testing.assert_allclose(scene.rads[..., channel], rads, **TOLERANCES["rads"])
    for channel, bt in enumerate(product.bt):
        expected = resize(np.nan_to_num(bt.astype(np.float64), nan=0.0), SIZE)
        np.testing.assert_allclose(scene.bts[..., channel], expected, **TOLERANCES["bts"])
    # Greys are rounded up, for any grey is cloud to the original.
    bayes = original_flag(product.flags["bayes"].values > 0)
    np.testing.assert_array_equal(scene.bayes[..., 0], np.ceil(bayes))
    np.testing.assert_array_equal(scene.summary[..., 0], np.ceil(original_flag(scene_summary(product))))


def scene_summary(product: Product) -> np.ndarray:
    return product.flags["confidence"].values & SUMMARY != 0


def narrow_product(rows: int, start_offset: int) -> Product:
    """1500 columns would take long: 8 of 1 km, with fill, a low sun and flags of every kind."""
    rng = np.random.default_rng(rows)
    columns = 8
    counts = rng.integers(0, 20_000, (2, 2 * rows, 2 * columns)).astype(np.int16)
    counts[rng.random(counts.shape) < 0.1] = FILL
    images = [Packed(image, scale=0.01, offset=0.5, fill=FILL) for image in counts]
    bt = rng.normal(280, 10, (3, rows, columns)).astype(np.float32)
    bt[rng.random(bt.shape) < 0.1] = np.nan
    zenith = np.linspace(95, 75, rows)[:, None] + rng.normal(size=(rows, TIES))
    zenith[:, -1] = np.nan
    confidence = rng.choice(np.array([DAY, DAY | SUMMARY], np.uint16), bt.shape[1:])
    bayes = rng.choice(np.array([0, 1, 2, 255], np.uint8), bt.shape[1:])
    return make_product(
        rows,
        columns,
        radiances=(images[0],) * 3 + (images[1],) * 3,
        bt=bt,
        solar_zenith=zenith,
        flags=flag_fields(confidence, bayes),
        irradiance=rng.uniform(80, 1800, (6, 4)),
        grid_tie=Grid(16000, 1000, TIE_TRACK, start_offset),
    )


@pytest.mark.parametrize("rows", range(1196, 1204))
def test_reference_is_the_original_for_every_number_of_rows(rows: int) -> None:
    product = narrow_product(rows, start_offset=4081)
    assert_original(make_scene(product, convention="reference", rads=True), product, channels=(0, 5))


@pytest.mark.parametrize("start_offset", [0, 600])
def test_reference_is_the_original_where_the_sun_differs_between_rows(start_offset: int) -> None:
    product = narrow_product(1199, start_offset)
    assert_original(make_scene(product, convention="reference", rads=True), product, channels=(2, 3))


@pytest.mark.parametrize("rows", [1196, 1203])
def test_reference_is_the_original_at_full_size(
    rows: int, complete_product_tool: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """1198 rows are held against the original's own arrays in test_reference_preprocess.py."""
    arguments = ("--rows", str(rows), "--seed", "1", "--labels", "cloud")
    product = read_product(complete_product(complete_product_tool, tmp_path_factory, *arguments))
    assert product.bt.shape == (3, rows, 1500)
    assert_original(make_scene(product, convention="reference", rads=True), product, channels=(4,))


@pytest.mark.quick
def test_native_takes_the_irradiance_of_each_pixels_detector_and_reference_the_first_ones() -> None:
    # pi * 100 / (E cos 60) with E = 100 pi, 300 pi: 2 and 2/3; a 1 km pixel of both halves: their mean 4/3.
    irradiance = np.tile([100 * np.pi, 300 * np.pi], (6, 1))
    detector = np.zeros((8, 4), np.uint8)
    detector[:, 1] = 1
    detector[4:, 2:] = 1
    product = make_product(4, 2, irradiance=irradiance, detector=detector)
    native, reference = make_scene(product, rads=True), make_scene(product, convention="reference")
    np.testing.assert_allclose(native.refs[..., 0], [[4 / 3, 2]] * 2 + [[4 / 3, 2 / 3]] * 2, rtol=3e-7)
    np.testing.assert_array_equal(native.rads, np.full((4, 2, 6), 100))
    np.testing.assert_allclose(reference.refs, np.full((*SIZE, 6), 2), rtol=3e-7)
    equal = replace(product, irradiance=np.full((6, 2), 200 * np.pi))
    np.testing.assert_array_equal(make_scene(equal).refs, make_scene(replace(equal, detector=None)).refs)


def test_reference_too_tells_what_is_measured_under_the_sun_and_no_copy() -> None:
    """Row 0 of 4 lies in the dark, pixel (2, 1) is cosmetic: each is 300 rows and 375 columns of 1200 x 1500."""
    zenith = np.array([95.0, 60.0, 60.0, 60.0])[:, None] + np.zeros((4, TIES))
    product = make_product(solar_zenith=zenith)
    product.flags["confidence"].values[2, 1] |= COSMETIC
    expected = np.full((4, 4), 0b111111111)
    expected[0], expected[2, 1] = 0b111000000, 0
    measured = make_scene(product, convention="reference").measured
    np.testing.assert_array_equal(measured, expected.repeat(300, axis=0).repeat(375, axis=1))


def test_at_night_native_measures_nothing_solar_and_keeps_the_rest() -> None:
    product = make_product(solar_zenith=np.full((4, TIES), 100.0))
    scene = make_scene(product, rads=True)
    assert not scene.refs.any()
    np.testing.assert_array_equal(scene.rads, np.full((4, 4, 6), 100))
    np.testing.assert_array_equal(scene.measured, np.full((4, 4), 0b111000000))
    assert (make_scene(product).bts == 280).all()
