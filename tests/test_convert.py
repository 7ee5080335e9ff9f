"""The command from products to shards: resume, settings, bad products, day and night, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from preprocess import convert
from preprocess.command import run
from preprocess.compose import make_scene
from preprocess.convert import ConvertConfig, main
from preprocess.errors import UserError
from preprocess.level1 import CONFIDENCE_BITS
from preprocess.product import read_product
from preprocess.scene import fit
from preprocess.shard import read_info, read_shard
from preprocess.simulation.product import write_folder
from tests.oblique_files import add_oblique, oblique_files
from tests.products import DAY, NAME, product_files, write_product, zip_product
from tests.simulated import random_scene, small_plan

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


REFERENCE = ["--convention", "reference", "--shape", "1200x1500"]
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
        (["--label", "summary"], "was made with --label any, not summary"),
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


def test_rows_and_columns_beyond_the_common_size_are_cropped_and_told(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(products / f"{NAME}.SEN3", tmp_path, "--shape", "3x6") == 0
    message = "1 of 1 product is a shard"
    error = capsys.readouterr().err
    assert message in error
    assert "1 cropped (up to 1 rows at the bottom)" in error
    assert read_info(tmp_path / BOTH[0]).rows_cropped == 1
    assert command(products, tmp_path / "narrow", "--shape", "4x4", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["cropped"] == 2
    assert "2 cropped (up to 2 columns at the right)" in summary["message"]


def test_radiances_are_stored_on_request(tmp_path: Path, products: Path) -> None:
    assert command(products / f"{NAME}.SEN3", tmp_path, "--rads") == 0
    with h5py.File(tmp_path / BOTH[0]) as file:
        np.testing.assert_array_equal(file["rads"][:4, :6], np.full((4, 6, 6), np.float32(10)))


@pytest.fixture
def factors(tmp_path: Path) -> Path:
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"nadir": {f"S{channel}": 1 + channel / 10 for channel in range(1, 7)}}))
    return path


OWN = "nadir 1.1 1.2 1.3 1.4 1.5 1.6"


@pytest.mark.quick
def test_a_users_calibration_is_applied_and_recorded_and_its_file_needed_no_more(
    tmp_path: Path, products: Path, factors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product, out = products / f"{NAME}.SEN3", tmp_path / "hdf"
    assert command(product, tmp_path / "plain") == 0
    assert command(product, out, "--calibration", factors) == 0
    shard, plain = read_shard(out / BOTH[0]), read_shard(tmp_path / "plain" / BOTH[0])
    assert (shard.info.calibration, shard.info.calibration_factors) == (OWN, (1.1, 1.2, 1.3, 1.4, 1.5, 1.6))
    np.testing.assert_allclose(shard.refs, plain.refs * np.array([1.1, 1.2, 1.3, 1.4, 1.5, 1.6], np.float32), rtol=3e-7)
    same = tmp_path / "same.json"
    same.write_text(factors.read_text().replace("1.1", "1.10"))
    assert command(product, out, "--calibration", same) == 0
    assert "0 converted, 1 reused" in capsys.readouterr().err
    assert command(product, out) == 3
    assert f"was made with --calibration {OWN}, not none" in " ".join(capsys.readouterr().err.split())


def test_a_bad_calibration_file_is_named_and_starts_nothing(
    tmp_path: Path, products: Path, factors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factors.write_text(factors.read_text().replace('"S4"', '"S9"'))
    assert command(products, tmp_path / "hdf", "--calibration", factors) == 2
    assert f"--calibration {factors}: the nadir view must name all of S1 to S6" in capsys.readouterr().err
    factors.write_bytes(b"\xff\xfe")
    assert command(products, tmp_path / "hdf", "--calibration", factors) == 2
    assert f"{factors} can't be read" in capsys.readouterr().err
    assert command(products, tmp_path / "hdf", "--calibration", tmp_path) == 2
    assert not (tmp_path / "hdf").exists()


def test_a_label_rule_is_known_however_it_is_spelt(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rule in ("probability:0.5", "probability:.50"):
        assert command(products / f"{NAME}.SEN3", tmp_path, "--label", rule) == 0
    error = capsys.readouterr().err
    assert "0 converted, 1 reused" in error
    assert "1 unlabelled (probability:0.5 never computed: not for training)" in error
    assert read_info(tmp_path / BOTH[0]).label_rule == "probability:0.5"


def test_neighbours_and_texture_are_made_kept_and_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product, out = write_folder(random_scene(small_plan()), tmp_path), tmp_path / "hdf"
    flags = ["--shape", "native", "--regrid", "neighbours", "--texture"]
    assert command(product, out, *flags) == 0
    [shard] = out.rglob("*.hdf")
    with h5py.File(shard) as file:
        assert file["texture"].shape == file["refs"].shape
    info = read_info(shard)
    assert (info.regridding, info.neighbours, info.neighbour_radius_m) == ("neighbours", 5, 1000.0)
    capsys.readouterr()
    assert command(product, out, *flags) == 0
    assert "0 converted, 1 reused" in capsys.readouterr().err
    assert command(product, out, *flags[:-1]) == 3
    assert "was made with --texture True, not False" in " ".join(capsys.readouterr().err.split())
    assert command(product, out, *flags[:2]) == 3
    assert "was made with --regrid neighbours, not mean" in " ".join(capsys.readouterr().err.split())


def test_the_two_choices_of_views_read_as_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("--help")
    assert "--views nadir|nadir,oblique" in capsys.readouterr().out


def test_the_oblique_view_is_made_kept_and_told_apart(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product, out = write_product(tmp_path), tmp_path / "hdf"
    assert command(product, out, "--views", "nadir,oblique") == 3
    assert "o.nc is missing" in " ".join(capsys.readouterr().err.split())
    add_oblique(product, oblique_files(4, 4), track=2)
    flags = ["--views", "nadir,oblique", "--calibration", "notice"]
    assert command(product, out, *flags) == 0
    shard = read_shard(out / BOTH[0])
    assert (shard.info.views, shard.info.oblique_track_offset) == ("nadir,oblique", 2)
    assert shard.info.oblique_calibration_factors == (0.94, 0.95, 0.95, 1.0, 1.04, 1.07)
    assert shard.oblique_refs is not None
    ratio = shard.oblique_refs[1, 2] / shard.refs[1, 2]  # both of radiance 10 under one sun
    np.testing.assert_allclose(ratio, [0.94 / 0.97, 0.95 / 0.98, 0.95 / 0.98, 1, 1.04 / 1.11, 1.07 / 1.13], rtol=1e-6)
    capsys.readouterr()
    assert command(product, out, *flags) == 0
    assert "0 converted, 1 reused" in capsys.readouterr().err
    assert command(product, out, *flags[2:]) == 3
    assert "was made with --views nadir,oblique, not nadir" in " ".join(capsys.readouterr().err.split())


def test_a_file_changed_since_its_manifest_was_written_is_found_unless_told_not_to_look(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product = write_product(tmp_path)
    with netCDF4.Dataset(product / "S8_BT_in.nc", "r+") as file:
        file["S8_BT_in"].set_auto_maskandscale(False)
        file["S8_BT_in"][0, 0] = 5
    assert command(product, tmp_path / "hdf") == 3
    assert "S8_BT_in.nc" in capsys.readouterr().err
    assert command(product, tmp_path / "hdf", "--verify", "none") == 0
    assert "1 not checked against a manifest (as asked)" in capsys.readouterr().err
    assert not read_info(tmp_path / "hdf" / BOTH[0]).verified
    assert command(products / f"{NAME}.SEN3", tmp_path / "sound") == 0
    assert "not checked" not in capsys.readouterr().err
    assert read_info(tmp_path / "sound" / BOTH[0]).verified == "md5"


@pytest.mark.parametrize(("flags", "sums"), [((), "crc32"), (("--verify", "md5"), "md5"), (("--verify", "none"), "")])
def test_a_shard_tells_by_what_sums_the_files_of_its_zip_were_checked(
    tmp_path: Path, products: Path, flags: tuple[str, ...], sums: str
) -> None:
    assert command(zip_product(products / f"{NAME}.SEN3", tmp_path / "x.zip"), tmp_path / "hdf", *flags) == 0
    assert read_info(tmp_path / "hdf" / BOTH[0]).verified == sums


def test_shards_of_before_some_settings_were_recorded_are_reused(
    tmp_path: Path, products: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(products / f"{NAME}.SEN3", tmp_path) == 0
    with h5py.File(tmp_path / BOTH[0], "r+") as file:
        for name in (
            "verified", "columns_cropped", "calibration_factors", "views", "oblique_track_offset",
            "oblique_start_offset", "oblique_calibration_factors", "class_pixels", "class_cloud",
            "neighbours", "neighbour_radius_m",
        ):  # fmt: skip
            del file.attrs[name]
    assert command(products / f"{NAME}.SEN3", tmp_path, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["reused"], summary["unverified"], summary["classes"]) == (1, 1, {})


def test_a_label_that_never_changes_over_a_surface_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bayes never computed over land in two products: 5,000 pixels each, enough together; the sea has both labels."""
    for name, cloud in ((NAME, 5_000), (TWILIGHT_NAME, 20)):
        files = product_files(100, 100)
        flags = files["flags_in.nc"]
        flags["confidence_in"][0][:50] = DAY | CONFIDENCE_BITS["land"]
        flags["confidence_in"][0][50:] = DAY | CONFIDENCE_BITS["ocean"]
        flags["bayes_in"][0][50:].flat[:cloud] = 2
        write_product(tmp_path / "products", files, name)
    assert command(tmp_path / "products", tmp_path / "hdf", "--shape", "native") == 0
    error = " ".join(capsys.readouterr().err.split())
    assert "land: all of its 10,000 labelled pixels (but 1 in 1000 at most) are clear, and a model would learn" in error
    assert "the label never changes over land clear" in error
    assert command(tmp_path / "products", tmp_path / "hdf", "--shape", "native", "--json") == 0
    classes = json.loads(capsys.readouterr().out)["classes"]
    assert classes == {
        "ocean": {"pixels": 10_000, "cloud": 5_020, "always": None, "constant_products": 0},
        "land": {"pixels": 10_000, "cloud": 0, "always": "clear", "constant_products": 0},
    }


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--shape", "big"], "--shape must be ROWSxCOLUMNS (1200x1500) or 'native'; found big"),
        (["--shape", "0x5"], "--shape must be ROWSxCOLUMNS"),
        (["--shape", "99999x5"], "--shape must be ROWSxCOLUMNS"),
        (["--convention", "reference"], "--shape must be 1200x1500 with --convention reference; found 8x10"),
        ([*REFERENCE, "--regrid", "neighbours"], "--regrid must be mean with --convention reference; found neighbours"),
        (
            [*REFERENCE, "--views", "nadir,oblique"],
            "--views must be nadir with --convention reference; found nadir,obl",
        ),
        ([*REFERENCE, "--texture"], "--regrid must be neighbours with --texture; found mean"),
        (["--texture"], "--regrid must be neighbours with --texture; found mean"),
        (["--label", "probability:2"], "--label must be one of any, single_low"),
        (["--calibration", "absent.json"], "absent.json can't be read: No such file or directory"),
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
