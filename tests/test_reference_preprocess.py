"""The completed real product: reference arrays against the original's, native rules against independent reading."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from preprocess.calibration import calibration_factors
from preprocess.command import run
from preprocess.compose import make_scene
from preprocess.convert import ConvertConfig, main
from preprocess.level1 import Product
from preprocess.product import read_product
from preprocess.radiometry import cosine_of_sun, interpolate_zenith
from preprocess.scene import Scene, fit
from preprocess.shard import read_shard, write_shard
from preprocess.summary import summarise_product
from tests.real import complete_product

ALL_CHANNELS, SOLAR = 0b111111111, 0b000111111
CHANNELS_SOLAR, CHANNELS_THERMAL = range(1, 7), range(7, 10)


@pytest.fixture(scope="module")
def folder(complete_product_tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete_product(complete_product_tool, tmp_path_factory, "--seed", "0", "--labels", "cloud")


@pytest.fixture(scope="module")
def product(folder: Path) -> Product:
    return read_product(folder, cloud=True)


@pytest.fixture(scope="module")
def native(product: Product) -> Scene:
    return make_scene(product)


@pytest.fixture(scope="module")
def reference_shard(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """What the command writes in the reference convention."""
    out = tmp_path_factory.mktemp("hdf")
    argv = [str(folder), str(out), "--convention", "reference", "--rads", "--workers", "0", "--quiet"]
    assert run("preprocess.convert", ConvertConfig, main, argv) == 0
    # 83 % of the product is day, so it is "night": not wholly day.
    return read_shard(out / "night" / f"{folder.stem}.hdf")


def stored(folder: Path, file: str, variable: str) -> np.ndarray:
    """A variable as netCDF4 itself unpacks it, float64, masked values as NaN."""
    with netCDF4.Dataset(folder / file) as dataset:
        values = dataset[variable][...]
        if values.dtype.kind != "f":
            return np.ma.filled(values.astype(np.int64), -1)
        return np.ma.filled(values.astype(np.float64), np.nan)


# Shards are float32, the original's float64: half a bit of reflectances near 1, radiances near 100 and, twice, of
# temperatures near 300 K. Greys are rounded up.
@pytest.mark.parametrize(
    ("name", "tolerance"), [("refs", 6e-8), ("rads", 8e-6), ("bts", 4e-5), ("bayes", 1), ("summary", 1)]
)
def test_reference_arrays_agree_with_the_original(
    reference_shard: Scene, reference: Path, name: str, tolerance: float
) -> None:
    expected = np.load(reference / "convert_A.npz")
    found = getattr(reference_shard, name).astype(np.float64)
    assert found.shape == tuple(expected[f"{name}_shape"])
    size = int(expected["window_size"])
    for index, (row, column) in enumerate(expected["windows_yx"]):
        window = found[row : row + size, column : column + size]
        np.testing.assert_allclose(window, expected[f"{name}_windows"][index], atol=tolerance, rtol=0)
    np.testing.assert_allclose(found.mean((0, 1)), expected[f"{name}_mean"], atol=tolerance, rtol=0)
    np.testing.assert_allclose(found.std((0, 1)), expected[f"{name}_std"], atol=tolerance, rtol=0)


def test_reference_patches_agree_with_the_originals(reference_shard: Scene, reference: Path) -> None:
    expected = np.load(reference / "patches_A.npz")
    image = np.concatenate([reference_shard.refs - 0.5, (reference_shard.bts - 270) / 22], axis=-1)
    mask = reference_shard.bayes > 0
    for index in range(20):
        row, column = 88 + 256 * (index // 5), 110 + 256 * (index % 5)
        patch = image[row : row + 256, column : column + 256]
        # 2e-4: the tolerance of reflectance, and 2e-3 K / 22 is smaller.
        np.testing.assert_allclose(patch.mean((0, 1), dtype=np.float64), expected["img_mean"][index], atol=2e-4, rtol=0)
        np.testing.assert_allclose(patch[:8, :8], expected["img_corner"][index], atol=2e-4, rtol=0)
        labels = mask[row : row + 256, column : column + 256]
        # Greys below half a grey level are rounded to clear: at most a few pixels of 65536.
        np.testing.assert_allclose(labels.mean((0, 1)), expected["mask_mean"][index], atol=1e-4, rtol=0)


def test_native_sun_is_the_one_of_each_pixels_own_row(product: Product, native: Scene, folder: Path) -> None:
    """Oracle: one not-a-knot spline a row through the valid ties, and radiance unpacked by netCDF4."""
    zenith = stored(folder, "geometry_tn.nc", "solar_zenith_tn")
    radiance = stored(folder, "S1_radiance_an.nc", "S1_radiance_an")
    irradiance = stored(folder, "S1_quality_an.nc", "S1_solar_irradiance_an")[0]
    columns = np.arange(100, 1400, 37)
    suns = []
    for row in (0, 300, 599, 900, 1197):
        ties = np.flatnonzero(np.isfinite(zenith[row]))
        sun = make_interp_spline(ties, zenith[row, ties], k=3)((columns - 998) / 16 + 64)
        mu0 = np.maximum(np.cos(np.radians(sun)), np.cos(np.radians(88)))
        blocks = radiance[2 * row : 2 * row + 2].reshape(2, 1500, 2)[:, columns]
        expected = np.where(sun < 90, np.pi * np.nan_to_num(blocks.mean((0, 2))) / (irradiance * mu0), 0)
        np.testing.assert_allclose(native.refs[row, columns, 0], expected, rtol=2e-6)  # float32
        suns.append(sun.mean())
    assert suns[0] - suns[-1] > 5  # the sun does move: the original's one angle a column is wrong


def test_native_division_at_1_km_agrees_with_the_mean_of_500_m_reflectances(product: Product, native: Scene) -> None:
    """At 88 degrees 350 m change mu0 by tan(88) * 350 m / earth radius = 0.16 %, twice that at uneven tie rows."""
    fine = interpolate_zenith(product.solar_zenith, product.grid_tie, product.grid_500m, 2396, 3000)
    refs = np.pi * product.radiances[1].values("f8") / (product.irradiance[1, 0] * cosine_of_sun(fine))
    means = refs.reshape(1198, 2, 1500, 2).mean((1, 3))
    both = np.isfinite(means) & (native.refs[..., 1] > 0)
    assert both.mean() > 0.8
    relative = np.abs(native.refs[..., 1][both] / means[both] - 1)
    assert np.median(relative) < 1e-3
    assert relative.max() < 4e-3


def test_satpy_reads_the_same_radiances_and_temperatures(product: Product, folder: Path) -> None:
    """satpy multiplies S1 of collection 002 by the notice's 0.97 itself, as --calibration notice does."""
    satpy = pytest.importorskip("satpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = [str(folder / name) for name in ("S1_radiance_an.nc", "S1_quality_an.nc", "S8_BT_in.nc")]
        theirs = satpy.Scene(reader="slstr_l1b", filenames=files)
        theirs.load(["S1"], calibration="radiance", view="nadir", stripe="a")
        theirs.load(["S8"], calibration="brightness_temperature", view="nadir", stripe="i")
        radiance, temperature = (np.asarray(theirs[name].values) for name in ("S1", "S8"))
    factor = calibration_factors("notice", product.collection)[0]
    # Ours are float32.
    np.testing.assert_allclose(product.radiances[0].values() * factor, radiance, rtol=3e-7)
    np.testing.assert_allclose(product.bt[1], temperature, rtol=3e-7)


def test_native_fill_and_low_sun(product: Product, native: Scene, folder: Path) -> None:
    assert np.isfinite(native.refs).all()
    assert np.isfinite(native.bts).all()
    bts = [stored(folder, f"S{channel}_BT_in.nc", f"S{channel}_BT_in") for channel in CHANNELS_THERMAL]
    for index, bt in enumerate(bts):
        # float32 of values near 300 K
        np.testing.assert_allclose(native.bts[..., index], np.nan_to_num(bt, nan=270), atol=2e-5)
    np.testing.assert_array_equal(native.valid[..., 0] > 0, np.isfinite(bts[1]) & np.isfinite(bts[2]))
    # 2.7 % of the pixels hold fill.
    assert 1 - native.valid.mean() == pytest.approx(0.0268, abs=1e-4)
    zenith = stored(folder, "geometry_tn.nc", "solar_zenith_tn")
    # Where every tie point of a row is below the horizon, nothing solar is measured and refs are 0.
    down = np.nanmin(zenith, axis=1) >= 90
    up = np.nanmax(zenith, axis=1) < 90
    assert up.any()
    assert (native.refs[down] == 0).all()
    assert ((native.measured[down] & SOLAR) == 0).all()
    assert (native.refs[up][native.measured[up] == ALL_CHANNELS] > 0).all()
    dark = native.refs[..., 0] == 0
    assert ((native.measured[dark] & 1) == 0).all()


def test_native_measured_bits_of_thermal_channels(native: Scene, folder: Path) -> None:
    cosmetic = stored(folder, "flags_in.nc", "confidence_in") & 256 != 0
    assert cosmetic.mean() == pytest.approx(0.2309, abs=1e-4)
    for channel in CHANNELS_THERMAL:
        bt = stored(folder, f"S{channel}_BT_in.nc", f"S{channel}_BT_in")
        exception = stored(folder, f"S{channel}_BT_in.nc", f"S{channel}_exception_in")
        expected = np.isfinite(bt) & ~cosmetic & np.isin(exception, (0, 16))
        np.testing.assert_array_equal((native.measured >> (channel - 1)) & 1, expected)


def test_native_labels_and_positions(native: Scene, folder: Path) -> None:
    bayes, confidence = (stored(folder, "flags_in.nc", name) for name in ("bayes_in", "confidence_in"))
    computed = (bayes != 255) & (confidence & 32 == 0)
    np.testing.assert_array_equal(native.label_valid[..., 0], computed)
    np.testing.assert_array_equal(native.bayes[..., 0], np.where(computed & (bayes > 0), 255, 0))
    np.testing.assert_array_equal(native.summary[..., 0], np.where(confidence & 16384 != 0, 255, 0))
    np.testing.assert_array_equal(native.flags, confidence)
    latitude = stored(folder, "geodetic_in.nc", "latitude_in")
    np.testing.assert_allclose(native.latitude, latitude, atol=4e-6)  # float32 of numbers below 90
    assert (native.info.labelled, native.info.day) == (True, False)


def test_as_measured_the_product_is_unlabelled(product: Product, real_product: Path) -> None:
    bayes = stored(real_product, "flags_in.nc", "bayes_in").astype(np.uint8)
    field = replace(product.flags["bayes"], values=bayes)
    scene = make_scene(replace(product, flags=product.flags | {"bayes": field}))
    assert not scene.info.labelled
    assert not scene.label_valid.any()
    assert (scene.bayes == 255).all()


def test_the_native_shard_is_small_and_its_pixels_are_the_products(native: Scene, tmp_path: Path) -> None:
    fitted = fit(native, 1200, 1500)
    write_shard(tmp_path / "x.hdf", fitted)
    assert (tmp_path / "x.hdf").stat().st_size <= 70e6
    found = read_shard(tmp_path / "x.hdf")
    np.testing.assert_array_equal(found.bts[:1198], native.bts)
    assert not found.valid[1198:].any()
    assert (found.info.rows, found.info.rows_cropped) == (1198, 0)


def test_describe_tells_what_is_known_of_it(product: Product) -> None:
    found = summarise_product(product)
    flags = found["flag_shares"]["confidence_in"]
    assert flags["unfilled"] == pytest.approx(0.027, abs=5e-4)
    assert flags["cosmetic"] == pytest.approx(0.23, abs=5e-3)
    assert flags["summary_cloud"] == pytest.approx(0.97, abs=5e-3)
    assert found["light"]["day"] == pytest.approx(0.83, abs=5e-3)
    assert found["light"]["night"] == 0
    assert found["solar_zenith_deg"] == pytest.approx([77.4, 94.8], abs=0.1)
    # The earth's distance from the sun on 15 March, from its orbit: 1 - 0.0167 cos(0.9856 (74 - 4)) = 0.9940.
    assert found["sun_distance_au"] == pytest.approx(0.9940, abs=1e-3)
