"""Reading a small product from a folder and a zip, value by value, and every way it can be wrong."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from preprocess.errors import UserError
from preprocess.level1 import Grid, Product
from preprocess.product import REQUIRED_FILES, find_products, read_product
from tests.products import (
    BITS,
    DAY,
    FILL,
    NAME,
    START_OFFSET,
    Files,
    product_files,
    write_manifest,
    write_product,
    zip_product,
)


def distinct_files() -> Files:
    """A product whose every count differs from its neighbours, with fill in each packed image."""
    files = product_files(rows=4, columns=6)
    rng = np.random.default_rng(0)
    for variables in files.values():
        for name, (data, _) in variables.items():
            if data.dtype == np.int16:
                data[...] = rng.integers(-3000, 12000, data.shape)
                data[0, 0] = FILL
            elif name.startswith("solar_zenith"):
                data[...] = rng.uniform(20, 80, data.shape)
                data[:, 6:] = np.nan
    files["flags_in.nc"]["confidence_in"][0][1, 2] = DAY | 32 | 256
    return files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("product"), distinct_files())


@pytest.fixture(scope="module")
def product(folder: Path) -> Product:
    return read_product(folder, cloud=True)


@pytest.mark.quick
def test_counts_become_float32_of_the_float64_product_and_fill_becomes_nan(product: Product) -> None:
    files = distinct_files()
    for index, channel in enumerate(("S1", "S2", "S3", "S4", "S5", "S6")):
        counts = files[f"{channel}_radiance_an.nc"][f"{channel}_radiance_an"][0]
        expected = (counts.astype(np.float64) * 0.01).astype(np.float32)
        expected[counts == FILL] = np.nan
        np.testing.assert_array_equal(product.radiances[index].values(), expected)
    for index, channel in enumerate(("S7", "S8", "S9")):
        counts = files[f"{channel}_BT_in.nc"][f"{channel}_BT_in"][0]
        expected = (counts.astype(np.float64) * 0.01 + 283.73).astype(np.float32)
        expected[counts == FILL] = np.nan
        np.testing.assert_array_equal(product.bt[index], expected)
    assert (product.radiances[0].values().dtype, product.bt.dtype) == (np.float32, np.float32)


def test_name_time_grids_and_the_rest(product: Product) -> None:
    assert (product.name, product.platform, product.collection) == (NAME, "S3A", "002")
    assert product.start_time == "2018-05-31T10:23:38.123456Z"
    assert product.grid_500m == Grid(500, 500, 6, START_OFFSET)
    assert product.grid_1km == Grid(1000, 1000, 3, START_OFFSET)
    assert product.grid_tie == Grid(16000, 1000, 4, START_OFFSET)
    np.testing.assert_array_equal(product.irradiance, np.full((6, 4), 100))
    np.testing.assert_array_equal(product.latitude, np.full((4, 6), 50, np.float32))
    np.testing.assert_array_equal(product.longitude, np.full((4, 6), -10.5, np.float32))
    assert product.sun_distance_au == pytest.approx(1.5e11 / 149_597_870_700, rel=1e-12)
    assert len(product.manifest_md5) == 32
    assert np.isnan(product.solar_zenith[:, 6:]).all()
    np.testing.assert_array_equal(
        product.solar_zenith[:, :6], distinct_files()["geometry_tn.nc"]["solar_zenith_tn"][0][:, :6]
    )


def test_flags_are_decoded_by_the_names_in_their_attributes(product: Product) -> None:
    for meaning in ("unfilled", "cosmetic"):
        np.testing.assert_array_equal(np.argwhere(product.flag("confidence", meaning)), [[1, 2]])
    assert product.flag("confidence", "day").all()
    assert not product.flag("cloud", "1.37_threshold").any()  # names with dots
    assert product.flags["bayes"].mask("spare") == 16 | 32 | 64 | 128  # one name for several bits
    with pytest.raises(UserError, match="no flag is called 'cloudy'; expected one of: coastline, ocean"):
        product.flag("confidence", "cloudy")


def test_infinity_is_no_measurement_and_a_detector_without_irradiance_does_not_count(tmp_path: Path) -> None:
    files = product_files()
    files["S8_BT_in.nc"]["S8_BT_in"] = (np.array([[np.inf, -np.inf, np.nan, 1, 2, 3]] * 4, np.float32), {})
    files["S3_quality_an.nc"]["S3_solar_irradiance_an"][0][1:] = [-1, 0, 300]
    found = read_product(write_product(tmp_path, files))
    np.testing.assert_array_equal(found.bt[1], [[np.nan, np.nan, np.nan, 1, 2, 3]] * 4)
    np.testing.assert_array_equal(found.irradiance[2], [100, np.nan, np.nan, 300])


def test_moved_bits_are_followed(tmp_path: Path) -> None:
    files = product_files()
    data, attributes = files["flags_in.nc"]["bayes_in"]
    data[0, 1] = 64
    files["flags_in.nc"]["bayes_in"] = (
        data,
        attributes | {"flag_meanings": "a b c d e f single_moderate g", "flag_masks": np.array(BITS, np.uint8)},
    )
    found = read_product(write_product(tmp_path, files)).flag("bayes", "single_moderate")
    np.testing.assert_array_equal(np.argwhere(found), [[0, 1]])


@pytest.mark.quick
def test_a_zip_reads_as_its_folder_does(folder: Path, product: Product, tmp_path: Path) -> None:
    for leading in ("", "some/folder/"):
        zipped = zip_product(folder, tmp_path / f"{len(leading)}.zip", leading)
        assert_same(read_product(zipped, cloud=True), dataclasses.replace(product, verified="crc32"))


def assert_same(found: Product, expected: Product) -> None:
    """Same arrays, flags and grids, to the last bit."""
    for name, value in vars(expected).items():
        if name not in ("flags", "radiances"):
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
    for one, other in zip(found.radiances, expected.radiances, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        assert (one.scale, one.offset, one.fill) == (other.scale, other.offset, other.fill)
    for name, field in expected.flags.items():
        np.testing.assert_array_equal(found.flags[name].values, field.values)
        assert (found.flags[name].masks, found.flags[name].meanings) == (field.masks, field.meanings)


def test_the_manifest_stands_for_its_folder(folder: Path) -> None:
    assert read_product(folder / "xfdumanifest.xml").name == NAME


def test_no_file_stays_open(folder: Path) -> None:
    read_product(folder)
    opened = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [name for name in opened if name.startswith(str(folder))]


def test_probabilities_of_later_collections_are_read(tmp_path: Path) -> None:
    files = product_files()
    packed = {"_FillValue": np.int16(-1), "scale_factor": 0.0001, "add_offset": 0.0}
    counts = np.full((4, 6), 5000, np.int16)
    counts[0, 0] = -1
    files["flags_in.nc"]["probability_cloud_single_in"] = (counts, packed)
    product = read_product(write_product(tmp_path, files))
    assert product.probability_single is not None
    assert np.isnan(product.probability_single[0, 0])
    assert product.probability_single[0, 1] == np.float32(0.5)


def test_a_night_of_fill_is_a_fine_product(tmp_path: Path) -> None:
    files = product_files()
    for channel in range(1, 7):
        files[f"S{channel}_radiance_an.nc"][f"S{channel}_radiance_an"][0][...] = FILL
    assert not any(packed.known().any() for packed in read_product(write_product(tmp_path, files)).radiances)


def test_a_renamed_folder_goes_by_the_name_its_files_remember(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(folder)
    assert read_product(tmp_path / "mine").name == NAME
    moved = folder.rename(folder.parent / "renamed")
    try:
        assert read_product(moved).name == NAME
    finally:
        moved.rename(folder)


def replace(file: str, variable: str, data: np.ndarray | None, **attributes: object) -> Callable[[Files], None]:
    """A change of one variable: other data, without some attributes (None), or no variable at all."""

    def change(files: Files) -> None:
        old, kept = files[file].pop(variable)
        if data is not None or attributes:
            merged = kept | attributes
            files[file][variable] = (
                old if data is None else data,
                {key: value for key, value in merged.items() if value is not None},
            )

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            replace("S1_radiance_an.nc", "S1_radiance_an", np.zeros((4, 6), np.int16)),
            r"variable S1_radiance_an must be \(8, 12\), twice the 1 km grid \(4, 6\); found \(4, 6\)",
        ),
        (
            replace("S8_BT_in.nc", "S8_BT_in", np.zeros((6, 4), np.int16)),
            r"S8_BT_in must be \(4, 6\) as S7_BT_in; found \(6, 4\)",
        ),
        (
            replace("S7_BT_in.nc", "S7_BT_in", np.zeros(4, np.int16)),
            r"S7_BT_in must be \(rows, columns\); found \(4,\)",
        ),
        (replace("S3_radiance_an.nc", "S3_radiance_an", None), "S3_radiance_an.nc: no variable S3_radiance_an; found"),
        (replace("flags_in.nc", "bayes_in", None), "flags_in.nc: no variable bayes_in; found cloud_in, confidence_in"),
        (
            replace("flags_in.nc", "confidence_in", None, flag_meanings="day night"),
            "confidence_in must name each of its flag_masks; found 16 masks and 2 meanings",
        ),
        (
            replace("flags_in.nc", "confidence_in", None, flag_meanings=" ".join("abcdefghijklmnop")),
            "flag_meanings of confidence_in must include unfilled, cosmetic, day, twilight, summary_cloud; found a b",
        ),
        (
            replace("flags_in.nc", "bayes_in", np.zeros((4, 6), np.float32)),
            "bayes_in must hold bit flags; found float32",
        ),
        (
            replace("geometry_tn.nc", "solar_zenith_tn", np.zeros((3, 8))),
            r"tie points for all 4 rows of the 1 km grid \(at least 4\); found shape \(3, 8\)",
        ),
        (
            replace("S2_quality_an.nc", "S2_solar_irradiance_an", np.zeros(4)),
            "S2_solar_irradiance_an must be positive by detector; found",
        ),
        (
            replace("S9_BT_in.nc", "S9_BT_in", None, scale_factor="a hundredth"),
            "S9_BT_in.nc: scale_factor, add_offset and _FillValue of variable S9_BT_in must be .*a hundredth.*fetch",
        ),
        (
            replace("geodetic_in.nc", "latitude_in", np.zeros((4, 5), np.int32)),
            r"latitude_in must be \(4, 6\); found \(4, 5\)",
        ),
    ],
)
def test_a_wrong_variable_is_named_with_what_was_expected(
    tmp_path: Path, change: Callable[[Files], None], message: str
) -> None:
    files = product_files()
    change(files)
    path = write_product(tmp_path, files)
    with pytest.raises(UserError, match=message):
        read_product(path)


@pytest.mark.parametrize("file", REQUIRED_FILES)
def test_every_required_file_is_required(tmp_path: Path, file: str) -> None:
    path = write_product(tmp_path)
    (path / file).unlink()
    with pytest.raises(UserError, match=f"{file} is missing; fetch the product again"):
        read_product(path)


def test_a_missing_file_in_a_zip_is_named(tmp_path: Path) -> None:
    path = write_product(tmp_path)
    (path / "flags_in.nc").unlink()
    with pytest.raises(UserError, match=r"flags_in\.nc is missing; fetch the product again"):
        read_product(zip_product(path, tmp_path / "x.zip"))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("size", [0, 100, 3000])
def test_a_truncated_file_is_named(tmp_path: Path, size: int, zipped: bool) -> None:
    path = write_product(tmp_path)
    with (path / "S9_BT_in.nc").open("r+b") as file:
        file.truncate(size)
    if zipped:
        path = zip_product(path, tmp_path / "x.zip")
    with pytest.raises(UserError, match=r"S9_BT_in.nc can't be read: truncated or damaged \(.*\); fetch the product"):
        read_product(path)


def test_bytes_damaged_in_the_middle_are_named(tmp_path: Path) -> None:
    files = product_files(rows=64, columns=64)
    files["S9_BT_in.nc"]["S9_BT_in"][0][...] = np.random.default_rng(0).integers(0, 9999, (64, 64))
    path = write_product(tmp_path, files, columns=64) / "S9_BT_in.nc"
    with netCDF4.Dataset(path) as dataset:
        assert dataset["S9_BT_in"].filters()["zlib"]
    data = bytearray(path.read_bytes())
    middle = data.find(b"\x78\x5e") if b"\x78\x5e" in data else len(data) // 2
    data[middle + 50 : middle + 1000] = bytes(950)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"S9_BT_in\.nc can't be read: truncated or damaged"):
        read_product(path.parent)


def test_missing_and_unreadable_attributes_are_named(tmp_path: Path) -> None:
    path = write_product(tmp_path)
    with netCDF4.Dataset(path / "S6_radiance_an.nc", "a") as dataset:
        dataset.setncattr("resolution", "fine")
    write_manifest(path)
    with pytest.raises(UserError, match=r"attributes resolution \('\[ 1000 1000 \]'\), track_offset and start_offset"):
        read_product(path)
    with netCDF4.Dataset(path / "S1_radiance_an.nc", "a") as dataset:
        dataset.delncattr("track_offset")
    write_manifest(path)
    with pytest.raises(UserError, match=r"S1_radiance_an\.nc: no attribute track_offset"):
        read_product(path)


def test_what_is_no_product_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "empty.SEN3").mkdir()
    (tmp_path / "text.zip").write_text("hello")
    other = write_product(tmp_path, name="S3A_OL_1_EFR____20180531T102338")
    for path, message in (
        (tmp_path / "empty.SEN3", "not a product: no netCDF files in it; expected a .SEN3 folder"),
        (tmp_path / "text.zip", "not a zip, or a truncated one"),
        (tmp_path / "nothing", "no such product; expected a .SEN3 folder or a zip holding one"),
        (other, "not an SLSTR level 1 product: expected a name S3._SL_1_RBT____...; found S3A_OL_1_EFR"),
    ):
        with pytest.raises(UserError, match=message):
            read_product(path)


def test_find_products_takes_folders_zips_lists_and_single_products(tmp_path: Path) -> None:
    names = [NAME.replace("T102338", f"T1{minute}2338") for minute in range(3)]
    for name in names[1:]:
        (tmp_path / f"{name}.SEN3").mkdir()
    (tmp_path / f"{names[0]}.zip").write_bytes(b"PK")
    (tmp_path / f"{names[1]}.zip").write_bytes(b"PK")  # also unpacked
    (tmp_path / f".{names[0]}.SEN3.partial-here-1").mkdir()
    (tmp_path / "truth").mkdir()
    paths = [tmp_path / f"{names[0]}.zip", tmp_path / f"{names[1]}.SEN3", tmp_path / f"{names[2]}.SEN3"]
    assert find_products(tmp_path) == paths
    assert find_products(paths[1]) == [paths[1]]
    assert find_products(paths[0]) == [paths[0]]
    listing = tmp_path / "list.txt"
    listing.write_text(f"# mine\n\n{names[2]}.SEN3\n{names[0]}.zip\n  {names[2]}.SEN3/\n")
    assert find_products(listing) == [paths[2], paths[0]]


def test_find_products_says_what_it_expected(tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text("\n# nothing\n")
    (tmp_path / "binary.txt").write_bytes(b"\x00\xff\x00")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("blank.txt", "lists nothing; expected one path a line"),
        ("binary.txt", "expected a zip, or a text file that lists one path a line; found other binary data"),
        ("empty", "nothing to do: no zips or .SEN3 folders in it"),
        ("absent", "no such file or folder"),
    ):
        with pytest.raises(UserError, match=message):
            find_products(tmp_path / name)


def test_threads_read_at_once_and_rightly(folder: Path, product: Product, tmp_path: Path) -> None:
    """The threads of a Dask worker do: h5py takes turns by itself; what is inflated outside it needs no turns."""
    zipped = zip_product(folder, tmp_path / "x.zip")
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(partial(read_product, cloud=True, verify="md5"), [folder, zipped] * 16):
            assert_same(found, product)
