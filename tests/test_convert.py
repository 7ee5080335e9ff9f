"""The command from products to shards: resume, settings, bad products, day and night, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from preprocess import convert
from preprocess.command import run
from preprocess.compose import make_scene
from preprocess.convert import ConvertConfig, main
from preprocess.errors import UserError
from preprocess.product import read_product
from preprocess.scene import fit
from preprocess.shard import read_info, read_shard
from tests.products import DAY, NAME, product_files, write_product, zip_product

TWILIGHT_NAME = NAME.replace("T102338", "T112338")


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One product by day, and one with a twilight pixel and bayes never computed."""
    folder = tmp_path_factory.mktemp("products")
    write_product(folder)
    files = product_files()
    files["flags_in.nc"]["confidence_in"][0][0, 0] = 2048
    files["flags_in.nc"]["bayes_in"][0][...] = 255
    write_product(folder, files, TWILIGHT_NAME)
    return folder


def command(*argv: object) -> int:
    return run("preprocess.convert", ConvertConfig, main, ["--workers", "0", "--shape", "8x10", *map(str, argv)])


def shards(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


BOTH = [f"day/{NAME}.hdf", f"night/{TWILIGHT_NAME}.hdf"]


@pytest.mark.quick
def test_products_become_shards_by_day_and_night(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(products, tmp_path, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    counts = {name: summary[name] for name in ("products", "converted", "reused", "day", "night", "unlabelled")}
    assert counts == {"products": 2, "converted": 2, "reused": 0, "day": 1, "night": 1, "unlabelled": 1}
    assert shards(tmp_path) == BOTH
    expected = fit(make_scene(read_product(products / f"{NAME}.SEN3")), 8, 10)
    found = read_shard(tmp_path / BOTH[0])
    for name in ("refs", "bts", "bayes", "valid", "label_valid", "measured", "flags", "latitude"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.info == expected.info
    assert not read_info(tmp_path / BOTH[1]).labelled


@pytest.mark.quick
def test_a_second_run_reuses_shards_of_the_same_settings(
    tmp_path: Path, products: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(products, tmp_path) == 0
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in BOTH}
    monkeypatch.setattr(convert, "read_product", None)  # nothing may be read again
    assert command(products, tmp_path) == 0
    assert "0 converted, 2 reused" in capsys.readouterr().err
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in BOTH} == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--calibration", "notice"],
            "was made with --calibration none, not notice; give --overwrite to make it again",
        ),
        (["--shape", "native"], "was made with --shape 8x10, not 4x6"),
        (["--rads"], "was made with --rads False, not True"),
        (["--label", "single_moderate"], "was made with --label any, not single_moderate"),
        (["--shape", "1200x1500", "--convention", "reference"], "was made with --convention native, not reference"),
    ],
)
def test_shards_of_other_settings_are_kept_unless_told_to_overwrite(
    tmp_path: Path, products: Path, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    product = products / f"{NAME}.SEN3"
    assert command(product, tmp_path) == 0
    before = (tmp_path / BOTH[0]).read_bytes()
    assert command(product, tmp_path, *argv) == 3
    assert message in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / BOTH[0]).read_bytes() == before
    if "reference" in argv:
        return  # written once in test_scene: 1200 x 1500 costs a second
    assert command(product, tmp_path, *argv, "--overwrite") == 0
    assert (tmp_path / BOTH[0]).read_bytes() != before
    assert command(product, tmp_path, *argv) == 0


def test_another_version_of_a_product_is_converted_again_and_may_change_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = write_product(tmp_path / "one")
    assert command(product, tmp_path / "hdf") == 0
    files = product_files()
    files["flags_in.nc"]["confidence_in"][0][1, 1] ^= DAY
    assert command(write_product(tmp_path / "two", files), tmp_path / "hdf") == 0
    assert "1 converted, 0 reused" in capsys.readouterr().err
    assert shards(tmp_path / "hdf") == [f"night/{NAME}.hdf"]


def test_a_damaged_shard_is_made_again(tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]) -> None:
    product = products / f"{NAME}.SEN3"
    assert command(product, tmp_path) == 0
    before = (tmp_path / BOTH[0]).read_bytes()
    (tmp_path / BOTH[0]).write_bytes(before[:1000])
    assert command(product, tmp_path) == 0
    assert "made again: " in capsys.readouterr().err
    assert (tmp_path / BOTH[0]).stat().st_size == len(before)


def test_bad_products_are_named_and_the_rest_goes_on(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = products / f"{NAME}.SEN3"
    broken = write_product(tmp_path / "broken", name=TWILIGHT_NAME)
    (broken / "S8_BT_in.nc").write_bytes(b"CDF nonsense")
    (tmp_path / "empty.SEN3").mkdir()
    listing = tmp_path / "list.txt"
    listing.write_text(f"{broken}\n{good}\n{tmp_path}/empty.SEN3\nabsent.zip\n")
    out = tmp_path / "hdf"
    assert command(listing, out) == 3
    assert shards(out) == [BOTH[0], "failures.json"]
    failures = json.loads((out / "failures.json").read_text())
    told = {Path(failure["item"]).name: failure["error"] for failure in failures}
    assert "S8_BT_in.nc can't be read: truncated or damaged" in told[f"{TWILIGHT_NAME}.SEN3"]
    assert "not a product: no netCDF files in it" in told["empty.SEN3"]
    assert "no such product" in told["absent.zip"]
    assert "1 of 4 products are shards" in capsys.readouterr().err
    listing.write_text(f"{good}\n")
    assert command(listing, out) == 0
    assert shards(out) == [BOTH[0]]


def test_zips_are_converted_without_unpacking_in_parallel(tmp_path: Path, products: Path) -> None:
    for number, product in enumerate(products.glob("*.SEN3")):
        zip_product(product, tmp_path / "zips" / f"{number}.zip")
    argv = [str(tmp_path / "zips"), str(tmp_path / "hdf"), "--shape", "native", "--workers", "2", "--quiet"]
    assert run("preprocess.convert", ConvertConfig, main, argv) == 0
    assert shards(tmp_path / "hdf") == BOTH
    assert read_shard(tmp_path / "hdf" / BOTH[0]).refs.shape == (4, 6, 6)
    assert len(list((tmp_path / "zips").iterdir())) == 2


def test_rows_beyond_the_common_size_are_cropped_and_told(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(products / f"{NAME}.SEN3", tmp_path, "--shape", "3x6") == 0
    assert "1 cropped at the bottom" in capsys.readouterr().err
    assert read_info(tmp_path / BOTH[0]).rows_cropped == 1


def test_radiances_are_stored_on_request(tmp_path: Path, products: Path) -> None:
    assert command(products / f"{NAME}.SEN3", tmp_path, "--rads") == 0
    with h5py.File(tmp_path / BOTH[0]) as file:
        np.testing.assert_array_equal(file["rads"][:4, :6], np.full((4, 6, 6), np.float32(10)))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--shape", "big"], "--shape must be ROWSxCOLUMNS (1200x1500) or 'native'; found big"),
        (["--shape", "0x5"], "--shape must be ROWSxCOLUMNS"),
        (["--shape", "99999x5"], "--shape must be ROWSxCOLUMNS"),
        (["--convention", "reference"], "--shape must be 1200x1500 with --convention reference; found 8x10"),
        (["--workers", "-1"], "--workers must be 0 or more; found -1"),
    ],
)
def test_bad_flags_start_nothing(
    tmp_path: Path, products: Path, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(products, tmp_path / "hdf", *argv) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "hdf").exists()


def test_nothing_to_convert_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "nothing to do: no zips or .SEN3 folders in it"), ("absent", "no such file")):
        assert command(tmp_path / name, tmp_path / "hdf") == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "hdf").exists()


def test_an_output_that_is_a_file_is_refused(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hdf").write_text("mine")
    assert command(products, tmp_path / "hdf") == 2
    assert "the output folder can't be written" in capsys.readouterr().err
    assert (tmp_path / "hdf").read_text() == "mine"


def test_the_size_of_a_shape(tmp_path: Path) -> None:
    assert ConvertConfig(tmp_path, tmp_path).size() == (1200, 1500)
    assert ConvertConfig(tmp_path, tmp_path, shape="native").size() is None
    with pytest.raises(UserError, match="--shape must be"):
        ConvertConfig(tmp_path, tmp_path, shape="5 x 6")
