"""What describe tells of products and shards, against counts by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preprocess.command import run
from preprocess.compose import make_scene
from preprocess.describe import DescribeConfig, find_items, main
from preprocess.product import read_product
from preprocess.scene import fit
from preprocess.scene_figure import GAP, HEAD, HEADING, STRIPES
from preprocess.shard import write_shard
from tests.products import (
    COSMETIC,
    FILL,
    NAME,
    SATURATION,
    SUMMARY,
    UNFILLED,
    product_files,
    write_product,
    zip_product,
)
from tests.shards import make_published_shard, product_name


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 x 6 pixels: 2 unfilled (S8 and S9 too), 3 cosmetic, 6 twilight, 12 cloudy by summary, 3 by bayes."""
    files = product_files()
    confidence = files["flags_in.nc"]["confidence_in"][0]
    confidence[0, :2] |= UNFILLED
    confidence[1, :3] |= COSMETIC
    confidence[2, :] ^= 1024 | 2048
    confidence[2:, :] |= SUMMARY
    files["flags_in.nc"]["bayes_in"][0][3, :3] = 2
    for channel in ("S8", "S9"):
        files[f"{channel}_BT_in.nc"][f"{channel}_BT_in"][0][0, :2] = FILL
    files["S8_BT_in.nc"]["S8_BT_in"][0][3, 5] = 1000
    for channel in ("S5", "S6"):
        files[f"{channel}_radiance_an.nc"][f"{channel}_exception_an"][0][:2] |= SATURATION
    return write_product(tmp_path_factory.mktemp("product"), files)


def described(capsys: pytest.CaptureFixture[str], *paths: object) -> list[dict]:
    assert run("preprocess.describe", DescribeConfig, main, [*map(str, paths), "--json"]) == 0
    result: list[dict] = json.loads(capsys.readouterr().out)["items"]
    return result


def test_the_zips_of_an_archive_are_described_and_not_its_table(tmp_path: Path) -> None:
    zip_product(write_product(tmp_path / "folder"), tmp_path / "archive" / f"{NAME}.zip")
    (tmp_path / "archive" / "sst_matchups.h5").write_bytes(b"a table")
    assert [path.name for path in find_items(tmp_path / "archive")] == [f"{NAME}.zip"]


@pytest.mark.quick
def test_a_product_in_numbers(product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = described(capsys, product)
    assert (found["kind"], found["product"], found["platform"], found["collection"]) == ("product", NAME, "S3A", "002")
    assert (found["rows"], found["columns"], found["labelled"]) == (4, 6, True)
    assert found["valid_share"] == pytest.approx(22 / 24)
    assert found["label_share"] == pytest.approx(22 / 24)
    assert found["summary_cloud_share_of_valid"] == pytest.approx(12 / 22)
    assert found["bayes_cloud_share_of_labelled"] == pytest.approx(3 / 22)
    assert found["light"] == pytest.approx({"day": 18 / 24, "twilight": 6 / 24, "night": 0})
    confidence = found["flag_shares"]["confidence_in"]
    assert confidence["cosmetic"] == pytest.approx(3 / 24)
    assert confidence["unfilled"] == pytest.approx(2 / 24)
    assert found["flag_shares"]["bayes_in"]["single_moderate"] == pytest.approx(3 / 24)
    assert found["flag_shares"]["cloud_in"]["1.37_threshold"] == 0
    s8 = found["channels"]["S8"]
    assert (s8["min"], s8["max"]) == (pytest.approx(283.73), pytest.approx(293.73))
    assert s8["mean"] == pytest.approx(283.73 + 10 / 22)
    assert (s8["share"], s8["measured_share"]) == pytest.approx((22 / 24, 19 / 24))
    assert found["channels"]["S5"]["exceptions"] == {"saturation": pytest.approx(0.25)}
    assert found["channels"]["S1"]["measured_share"] == pytest.approx(21 / 24), "cosmetic pixels are copies"
    assert found["grids"]["tie points"] == {
        "rows": 4, "columns": 8, "across_m": 16000, "along_m": 1000, "track_offset": 4, "start_offset": 4081
    }  # fmt: skip
    assert found["channels"]["S1"]["max"] == pytest.approx(10)
    assert found["longitude_deg"] == [-10.5, -10.5]


def test_a_shard_in_numbers_without_its_padding(
    product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "day" / f"{NAME}.hdf"
    write_shard(path, fit(make_scene(read_product(product)), 8, 10))
    (found,) = described(capsys, tmp_path)
    assert (found["kind"], found["height"], found["width"], found["rows"]) == ("shard", 8, 10, 4)
    assert (found["convention"], found["calibration"]) == ("native", "none")
    assert found["light"] == pytest.approx({"day": 18 / 24, "twilight": 6 / 24, "night": 0})
    assert found["summary_cloud_share_of_valid"] == pytest.approx(12 / 22)
    assert found["bayes_cloud_share_of_labelled"] == pytest.approx(3 / 22)
    # pi * 10 / (100 * cos 60 degrees); cosmetic pixels are not measured: 24 - 3.
    s1 = found["channels"]["S1"]
    assert s1["mean"] == pytest.approx(np.pi / 5, rel=1e-6)
    assert s1["share"] == pytest.approx(21 / 24)
    assert found["channels"]["S8"]["share"] == pytest.approx(19 / 24)


def test_the_text_for_people_names_what_matters(
    product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zipped = zip_product(product, tmp_path / "x.zip")
    assert run("preprocess.describe", DescribeConfig, main, [str(zipped)]) == 0
    told = capsys.readouterr().out
    unwrapped = " ".join(told.split())
    for words in (
        f"product {NAME}",
        "1 km 4 x 6 1000 x 1000 3 4081",
        "500 m 8 x 12 500 x 500 6 4081",
        "tie points 4 x 8 16000 x 1000 4 4081",
        "day 75 %, twilight 25 %, night 0 %",
        "summary_cloud 54.55 % of valid pixels, label 13.64 % of labelled ones",
        "collection 002, processor unknown",
        "checksums every file read has its size and MD5 sum in the manifest",
        "S8 and S9 valid on 91.67 % of pixels; cosmetic 12.5 %",
        "S8 283.73 293.73 284.18 91.67 % 79.17 % K",
        "S5 to S6 flagged saturation 25 %",
        "S1: its solar irradiance is 100 mW m-2 nm-1; expected 1837.4 within 10 %",
    ):
        assert words in unwrapped, words
    assert max(len(line) for line in told.splitlines()[1:]) <= 80


def test_an_unlabelled_product_of_fill_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = product_files()
    files["flags_in.nc"]["bayes_in"][0][...] = 255
    for channel in range(1, 7):
        files[f"S{channel}_radiance_an.nc"][f"S{channel}_radiance_an"][0][...] = FILL
    path = write_product(tmp_path, files)
    assert run("preprocess.describe", DescribeConfig, main, [str(path)]) == 0
    told = capsys.readouterr().out
    assert "never computed: unlabelled" in told
    assert "label unknown of labelled ones" in " ".join(told.split())
    assert "WARNING       S1: no data on any pixel" in told
    assert "  S1               -         -         -       0 %       0 %  mW m-2 sr-1 nm-1" in told


def test_published_shards_are_described_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_published_shard(tmp_path / f"{product_name(0)}.hdf", 30, 40)
    (found,) = described(capsys, path)
    assert found["convention"] == "reference"
    assert found["sun_distance_au"] is None
    assert found["latitude_deg"] == [None, None]
    assert found["light"] == {"day": None, "twilight": None, "night": None}
    assert run("preprocess.describe", DescribeConfig, main, [str(path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for words in ("30 x 40 pixels; the original's, without flags and positions", "position unknown", "day unknown"):
        assert words in told, words


def test_what_cannot_be_read_is_named_and_the_rest_described(
    product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zip_product(product, tmp_path / "a.zip")
    (tmp_path / "b.zip").write_text("hello")
    assert run("preprocess.describe", DescribeConfig, main, [str(tmp_path), "--json"]) == 3
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert [item["product"] for item in found["items"]] == [NAME]
    assert [failure["item"] for failure in found["failures"]] == [str(tmp_path / "b.zip")]
    assert "b.zip: not a zip" in captured.err


def test_a_picture_that_cannot_be_written_costs_that_item_alone(
    product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = tmp_path / "shards" / "a.hdf"
    write_shard(shard, make_scene(read_product(product), convention="reference"))
    picture = tmp_path / "pictures" / f"{NAME}.png"
    picture.mkdir(parents=True)
    arguments = [str(product), str(shard), "--png", str(picture.parent), "--json"]
    assert run("preprocess.describe", DescribeConfig, main, arguments) == 3
    captured = capsys.readouterr()
    assert [item["kind"] for item in json.loads(captured.out)["items"]] == ["shard"]
    assert f"failed: {product}: {picture}: Is a directory" in " ".join(captured.err.split())


def test_nothing_to_describe_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("preprocess.describe", DescribeConfig, main, []) == 2
    assert "nothing to describe: name one or more" in capsys.readouterr().err
    assert run("preprocess.describe", DescribeConfig, main, [str(tmp_path / "absent")]) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_the_picture_shows_every_pixel_of_the_scene(product: Path, tmp_path: Path) -> None:
    """S5, S3, S2 of one radiance over one irradiance have one reflectance: grey by day, and fill is striped."""
    assert run("preprocess.describe", DescribeConfig, main, [str(product), "--png", str(tmp_path / "a.png")]) == 0
    assert run("preprocess.describe", DescribeConfig, main, [str(product), "--png", str(tmp_path / "more")]) == 0
    one, other = tmp_path / "a.png", tmp_path / "more" / f"{NAME}.png"
    assert one.read_bytes() == other.read_bytes()
    picture = np.asarray(Image.open(one).convert("RGB"))
    # 4 x 6 pixels, each 128 times 128 of the picture, below title and heading
    panel = picture[HEAD + HEADING :, GAP:][: 4 * 128, : 6 * 128]
    # pi * 10 / (100 cos 60 degrees) = 0.6283 of a white of 1, to the power 1 / 1.8
    assert (panel[3 * 128 + 8 : -8, 8:-8] == round(255 * (0.2 * np.pi) ** (1 / 1.8))).all(), (
        "no label, within the frame"
    )
    assert {tuple(rgb) for rgb in panel[8:120, 8:248].reshape(-1, 3).tolist()} == set(STRIPES)
    shard = tmp_path / f"{NAME}.hdf"
    write_shard(shard, make_scene(read_product(product)))
    assert run("preprocess.describe", DescribeConfig, main, [str(shard), "--png", str(tmp_path / "shard.png")]) == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "shard.png").convert("RGB")), picture)


def test_a_product_and_its_shards_have_pictures_of_their_own(product: Path, tmp_path: Path) -> None:
    for convention in ("native", "reference"):
        write_shard(tmp_path / convention / f"{NAME}.hdf", make_scene(read_product(product), convention=convention))
    paths = [product, *(tmp_path / convention for convention in ("native", "reference"))]
    argv = [*map(str, paths), "--png", str(tmp_path / "pictures"), "--quiet"]
    assert run("preprocess.describe", DescribeConfig, main, argv) == 0
    found = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert found == [f"{NAME}.png", f"{NAME}_native.png", f"{NAME}_reference.png"]


def test_quiet_tells_what_is_odd_alone(product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("preprocess.describe", DescribeConfig, main, [str(product), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{product}: S1: its solar irradiance is 100 mW m-2 nm-1; expected 1837.4" in captured.err
    assert "checksums" not in captured.err
    assert run("preprocess.describe", DescribeConfig, main, [str(product), "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["product"] == NAME


def test_one_picture_does_not_hold_two_products(
    product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(product), str(product), "--png", str(tmp_path / "a.png")]
    assert run("preprocess.describe", DescribeConfig, main, argv) == 2
    assert "--png must be a folder for 2 items; found" in capsys.readouterr().err


def test_impossible_values_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A scale 100 times too great: 0 + 283.73 K becomes 1283.73 K where the count is 1000."""
    files = product_files()
    files["S8_BT_in.nc"]["S8_BT_in"][0][1:] = 1000
    files["S8_BT_in.nc"]["S8_BT_in"][1]["scale_factor"] = 1.0
    (found,) = described(capsys, write_product(tmp_path, files))
    assert (
        "S8: 75 % of its values are impossible, outside 160 to 345 K; they go from 283.7 to 1284" in found["warnings"]
    )


def test_a_shard_says_how_it_was_made(product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"{NAME}.hdf"
    write_shard(path, fit(make_scene(read_product(product), calibration="notice", rads=True), 3, 10))
    assert run("preprocess.describe", DescribeConfig, main, [str(path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for words in (
        "grid 1 km: 4 x 6 pixels in 3 x 10; 1 rows cropped; track column 3, start row 4081",
        "made by native convention, calibration notice, regridding mean; also rads",
        "label --label any, computed on",
    ):
        assert words in told, words
