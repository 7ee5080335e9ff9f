"""The files of a product held against its manifest: every damage is named, and never becomes a number."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import get_args

import h5py
import netCDF4
import numpy as np
import pytest

from preprocess.archive import MAX_FILE_BYTES
from preprocess.errors import UserError
from preprocess.level1 import Product
from preprocess.members import Verify, open_source
from preprocess.product import REQUIRED_FILES, read_product
from preprocess.sources import MANIFEST
from tests.products import NAME, product_files, write_manifest, write_product, zip_product
from tests.test_product import assert_same, distinct_files

FLIPS = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("product"), distinct_files())


@pytest.fixture(scope="module")
def product(folder: Path) -> Product:
    return read_product(folder)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / folder.name))


@pytest.mark.quick
@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_that_is_not_what_the_manifest_says_is_named_with_both_sums(copy: Path, zipped: bool) -> None:
    file = copy / "S2_radiance_an.nc"
    said = hashlib.md5(file.read_bytes()).hexdigest()
    with netCDF4.Dataset(file, "a") as dataset:
        dataset["S2_radiance_an"][0, 0] = 99  # a valid file, of the same size, with another number
    found = hashlib.md5(file.read_bytes()).hexdigest()
    path = zip_product(copy, copy.parent / "x.zip") if zipped else copy
    with pytest.raises(UserError) as raised:
        read_product(path, verify="md5")
    assert str(raised.value) == (
        f"{path}: S2_radiance_an.nc can't be read: truncated or damaged (its MD5 sum is {found}; "
        f"the manifest says {said}); fetch the product again"
    )
    assert not read_product(path, verify="none").verified
    assert read_product(zip_product(copy, copy.parent / "x.zip")).verified == "crc32"  # which is of what was zipped


@pytest.mark.parametrize(
    ("zipped", "verify", "sums"),
    [
        (False, "bytes", "md5"), (False, "md5", "md5"), (False, "none", ""),
        (True, "bytes", "crc32"), (True, "md5", "md5"), (True, "none", ""),
    ],
)  # fmt: skip
def test_a_product_tells_by_what_sums_it_was_checked(
    folder: Path, product: Product, tmp_path: Path, zipped: bool, verify: Verify, sums: str
) -> None:
    path = zip_product(folder, tmp_path / "x.zip") if zipped else folder
    assert_same(read_product(path, verify=verify), replace(product, verified=sums))


@pytest.mark.quick
@pytest.mark.parametrize("verify", ["bytes", "md5", "none"])
def test_a_byte_of_a_zip_changed_since_it_was_zipped_is_found_by_its_own_sum(
    folder: Path, tmp_path: Path, verify: Verify
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as opened:  # stored, so that no stream of deflate breaks first
        for file in folder.iterdir():
            opened.write(file, f"{folder.name}/{file.name}")
    data, radiances = bytearray(path.read_bytes()), (folder / "S2_radiance_an.nc").read_bytes()
    data[data.index(radiances) + len(radiances) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        UserError, match=r"S2_radiance_an\.nc is truncated or damaged in it .* CRC \w{8}; the zip's dir"
    ):
        read_product(path, verify=verify)


def test_a_file_of_another_size_or_unlisted_is_found_in_a_zip_by_the_manifest(copy: Path) -> None:
    with (copy / "flags_in.nc").open("ab") as file:
        file.write(b"more")
    size = (copy / "flags_in.nc").stat().st_size
    path = zip_product(copy, copy.parent / "x.zip")
    with pytest.raises(UserError, match=rf"flags_in.nc .*it has {size} bytes; the manifest says {size - 4}\)"):
        read_product(path)
    manifest = copy / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b"flags_in.nc", b"flags_xx.nc"))
    with pytest.raises(UserError, match=r"the manifest does not list flags_in\.nc"):
        read_product(zip_product(copy, copy.parent / "x.zip"))


def test_sizes_are_compared_before_anything_is_read(copy: Path) -> None:
    with (copy / "flags_in.nc").open("ab") as file:
        file.write(b"more")
    size = (copy / "flags_in.nc").stat().st_size
    with pytest.raises(UserError, match=rf"flags_in.nc .*it has {size} bytes; the manifest says {size - 4}\)"):
        read_product(copy)
    with (copy / "flags_in.nc").open("ab") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse
    for verify in get_args(Verify):
        with pytest.raises(UserError, match=rf"at most {MAX_FILE_BYTES} are believable"):
            read_product(copy, verify=verify)


def test_without_a_manifest_nothing_is_verified(copy: Path, product: Product) -> None:
    assert product.verified
    (copy / MANIFEST).unlink()
    assert_same(read_product(copy), replace(product, verified="", manifest_md5=""))


@pytest.mark.parametrize("file", ["S1_radiance_an.nc", "geodetic_in.nc"])
def test_a_file_that_the_manifest_does_not_list_is_not_read(copy: Path, file: str) -> None:
    away = copy.parent / file
    (copy / file).rename(away)
    write_manifest(copy)
    away.rename(copy / file)
    with pytest.raises(UserError, match=f"the manifest does not list {file}; fetch the product again"):
        read_product(copy)
    assert not read_product(copy, verify="none").verified


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable manifest"),
        (b"<a>", "not a readable manifest"),
        (b'<?xml version="1.0" encoding="UTF-9"?><a/>', "not a readable manifest .unknown encoding"),
        (b"<a/>", "the manifest lists no files"),
        (b"<a><byteStream size='1'/></a>", "an entry without a fileLocation or an MD5 checksum"),
        (
            b"<a>"
            + b"".join(
                b'<byteStream size="%d"><fileLocation href="./x.nc"/><checksum checksumName="MD5">0</checksum>'
                b"</byteStream>" % size
                for size in (1, 2)
            )
            + b"</a>",
            "two different entries of one file",
        ),
    ],
)
def test_a_manifest_that_is_no_manifest_is_named(copy: Path, content: bytes, message: str) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(UserError, match=f"{MANIFEST}: .*{message}"):
        read_product(copy)
    assert read_product(copy, verify="none").manifest_md5 == hashlib.md5(content).hexdigest()


def test_every_flipped_byte_of_a_folder_is_named_or_harmless(copy: Path, product: Product) -> None:
    rng = np.random.default_rng(0)
    names = [*REQUIRED_FILES, MANIFEST, MANIFEST, MANIFEST]
    named = 0
    for _ in range(FLIPS):
        file = copy / names[rng.integers(len(names))]
        named += damage_and_read(file, flipped(file.read_bytes(), rng), copy, product, file.name)
    assert named > FLIPS / 2


def test_every_flipped_byte_of_a_zip_is_named_or_harmless(folder: Path, product: Product, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = zip_product(folder, tmp_path / "x.zip")
    good, named = path.read_bytes(), 0
    for _ in range(FLIPS):
        named += damage_and_read(path, flipped(good, rng), path, product, "x.zip")
    assert named > FLIPS / 2


def test_a_file_or_zip_cut_anywhere_is_named(copy: Path, product: Product) -> None:
    rng = np.random.default_rng(2)
    path = zip_product(copy, copy.parent / "x.zip")
    for _ in range(30):
        file = copy / REQUIRED_FILES[rng.integers(len(REQUIRED_FILES))]
        data, whole = file.read_bytes(), path.read_bytes()
        assert damage_and_read(file, data[: rng.integers(len(data))], copy, product, file.name)
        assert damage_and_read(path, whole[: rng.integers(len(whole))], path, product, "x.zip")


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    bad = bytearray(data)
    bad[rng.integers(len(bad))] ^= int(rng.integers(1, 256))
    return bytes(bad)


def damage_and_read(file: Path, bad: bytes, path: Path, expected: Product, named: str) -> bool:
    """Whether reading `path` with `bad` in `file` is refused, naming it; if not, it must be the product to the bit."""
    good = file.read_bytes()
    file.write_bytes(bad)
    try:
        found = read_product(path)
    except UserError as error:
        message = str(error)
    else:
        # Another manifest, still of the same files, is another version of the product as far as anyone can tell.
        assert_same(replace(found, manifest_md5="", verified=""), replace(expected, manifest_md5="", verified=""))
        message = ""
    finally:
        file.write_bytes(good)
    assert not message or named in message or "manifest" in message
    return bool(message)


@pytest.mark.parametrize(
    ("file", "variable", "message"),
    [
        ("S7_BT_in.nc", "S7_BT_in", "S7_BT_in: 1000000 x 1000000 numbers are not to be believed"),
        ("geometry_tn.nc", "solar_path_tn", "solar_path_tn: an array of 2000000000000 bytes; at most"),
        ("S1_quality_an.nc", "S1_solar_irradiance_an", "S1_solar_irradiance_an: an array of 2000000000000 bytes"),
    ],
)
def test_absurd_sizes_are_refused_before_they_are_allocated(copy: Path, file: str, variable: str, message: str) -> None:
    with h5py.File(copy / file, "a") as opened:
        del opened[variable]
        opened.create_dataset(variable, (10**6, 10**6), "<i2", chunks=(100, 100), compression="gzip")
    write_manifest(copy)
    with pytest.raises(UserError, match=rf"{file} can't be read: truncated or damaged \({message}"):
        read_product(copy)


def test_a_variable_that_lies_in_another_file_is_no_variable(copy: Path) -> None:
    with h5py.File(copy / "flags_in.nc", "a") as opened:
        opened.move("bayes_in", "elsewhere")
        opened["bayes_in"] = h5py.ExternalLink("/etc/hostname", "bayes_in")
    write_manifest(copy)
    with pytest.raises(
        UserError, match=r"flags_in\.nc: no variable bayes_in; found cloud_in, confidence_in, elsewhere:"
    ):
        read_product(copy)


def test_opening_reads_nothing_but_the_manifest(copy: Path, product: Product) -> None:
    """What `convert` asks of each product whose shard is there already."""
    zipped = zip_product(copy, copy.parent / "x.zip")
    for file in copy.glob("*.nc"):
        file.write_bytes(b"")
    for path in (copy, zipped):
        with open_source(path) as source:
            assert (source.name, source.manifest_md5) == (f"{NAME}.SEN3", product.manifest_md5)
            assert source.has("flags_in.nc")
            assert not source.has("flags_an.nc")
            assert not source.verified


@pytest.mark.parametrize("zipped", [False, True])
def test_detectors_are_read_where_their_irradiances_differ(tmp_path: Path, zipped: bool) -> None:
    files = product_files()
    detector = np.arange(96, dtype=np.uint8).reshape(8, 12) % 4
    detector[0, 0] = 255
    files["indices_an.nc"] = {"detector_an": (detector, {"_FillValue": np.uint8(255)})}
    found = read(tmp_path / "equal", files, zipped)
    assert found.detector is None
    files["S5_quality_an.nc"]["S5_solar_irradiance_an"][0][2] = 101
    found = read(tmp_path / "differ", files, zipped)
    np.testing.assert_array_equal(found.detector, detector, strict=True)
    np.testing.assert_array_equal(found.irradiance[4], [100, 100, 101, 100])
    del files["indices_an.nc"]
    assert read(tmp_path / "absent", files, zipped).detector is None
    for bad, message in (
        (detector[:, :6], r"detector_an must be \(8, 12\), twice the 1 km grid \(4, 6\); found \(8, 6\)"),
        (detector.astype(np.int32), "detector_an must be of uint8; found int32"),
    ):
        files["indices_an.nc"] = {"detector_an": (bad, {})}
        with pytest.raises(UserError, match=rf"indices_an\.nc: variable {message}"):
            read(tmp_path / str(bad.dtype) / str(bad.shape[1]), files, zipped)


def read(folder: Path, files: dict, zipped: bool) -> Product:
    path = write_product(folder, files)
    return read_product(zip_product(path, folder / "x.zip") if zipped else path)
