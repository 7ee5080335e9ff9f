"""The netCDF file of a mask: what it holds, on which grid, by a CF checker and by xarray, whole or not at all."""

from __future__ import annotations

import errno
import io
import json
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray

from jaxmask import cf_mask
from jaxmask.cf_mask import write_cf_mask
from jaxmask.maskfile import Mask
from jaxmask.probability import LogitLine
from preprocess.errors import UserError
from preprocess.scene import SceneInfo
from tests.shards import INFO, product_name

ROWS, COLUMNS = 6, 8
SETTINGS = {"model": "0123456789abcdef", "convention": "native", "quantity": "q", "threshold": 0.5, "buffer": 0}
NAME = product_name(0)


def make_info(**changes: Any) -> SceneInfo:
    return replace(INFO, product=NAME, rows=ROWS, columns=COLUMNS, **changes)


def make_mask(height: int = ROWS, width: int = COLUMNS, **settings: Any) -> Mask:
    """Values that rise from 0.01 along the rows; the second pixel is invalid, the third has no position."""
    values = np.linspace(0.01, 0.99, height * width, dtype=np.float32).reshape(height, width)
    valid = np.ones((height, width), bool)
    valid[0, 1] = False
    latitude, longitude = np.mgrid[:height, :width].astype(np.float32)
    latitude[0, 2] = longitude[0, 2] = np.nan
    latitude = latitude.view(latitude.dtype.newbyteorder("<"))  # as read from a shard
    return Mask(NAME, values, valid, SETTINGS | settings, latitude=latitude, longitude=longitude - 5)


def written(folder: Path, mask: Mask, info: SceneInfo, line: LogitLine | None = None) -> netCDF4.Dataset:
    """The file as it lies on the disk: nothing scaled or masked. P is half the mask's value."""
    path = folder / f"{NAME}_cloud.nc"
    write_cf_mask(path, mask, info, mask.probability / 2, line)
    assert list(folder.iterdir()) == [path]
    file = netCDF4.Dataset(path)
    file.set_auto_maskandscale(False)
    return file


@pytest.mark.quick
def test_what_the_file_holds(tmp_path: Path) -> None:
    mask = make_mask(buffer=3, flips=True, jaxmask="9.9", product="{}", rows=1)
    with written(tmp_path, mask, make_info(), LogitLine(1.0, float(np.log(2)))) as file:
        assert {name: len(each) for name, each in file.dimensions.items()} == {"row": ROWS, "column": COLUMNS}
        for name, array in (("latitude", mask.latitude), ("longitude", mask.longitude)):
            np.testing.assert_array_equal(file[name][:], array)
            assert file[name].dtype == np.float32
        expected = np.where(mask.valid, mask.probability / 2, np.nan)
        np.testing.assert_array_equal(file["cloud_probability"][:], expected)
        np.testing.assert_array_equal(file["valid"][:], mask.valid)
        cloud = file["cloud"]
        flag = np.where(mask.probability > 0.5, 1, 0)
        flag[0, 1] = -1
        np.testing.assert_array_equal(cloud[:], flag)
        assert (cloud.dtype, cloud._FillValue, cloud.flag_values.tolist()) == (np.int8, -1, [0, 1])
        assert cloud.flag_meanings.split() == ["clear", "cloud"]
        # logit P = logit q + ln 2: odds of 1 become odds of 2.
        assert cloud.comment == (
            "cloud where the network's output exceeds 0.5, which is a cloud_probability of 0.6667, and within 3 pixels "
            "of such a valid pixel; missing where the pixel is not valid"
        )
        assert file["time"][...] == 1527762218  # 2018-05-31T10:23:38Z, by `date +%s`
        assert file.Conventions == "CF-1.11"
        assert "2018" not in file.history
        assert "made by jaxmask 9.9" in file.history
        assert (file.mask_model, file.mask_threshold, file.mask_buffer, file.mask_flips) == (
            "0123456789abcdef", 0.5, 3, "true",
        )  # fmt: skip
        assert (file.product, file.probability_slope) == (NAME, 1.0)
        assert not {"mask_product", "mask_rows", "mask_jaxmask"} & set(file.ncattrs())
        assert list(file.ncattrs())[:2] == ["Conventions", "title"], "in the order of writing"


def test_the_flags_comment_of_a_stored_probability(tmp_path: Path) -> None:
    with written(tmp_path, make_mask(quantity="P", threshold=0.7), make_info()) as file:
        assert (
            file["cloud"].comment == "cloud where cloud_probability exceeds 0.7; missing where the pixel is not valid"
        )
        assert "probability_slope" not in file.ncattrs()
        np.testing.assert_array_equal(file["cloud"][3:], make_mask().probability[3:] > 0.7)


@pytest.mark.parametrize(("height", "width"), [(9, 10), (4, 7), (9, 7)])
def test_the_grid_is_the_products(tmp_path: Path, height: int, width: int) -> None:
    """A shard's common size has padded or cropped it, at the bottom and right."""
    mask = make_mask(height, width)
    with written(tmp_path, mask, make_info()) as file:
        both = np.s_[: min(height, ROWS), : min(width, COLUMNS)]
        np.testing.assert_array_equal(file["latitude"][both], mask.latitude[both])
        np.testing.assert_array_equal(file["valid"][both], mask.valid[both])
        for name, missing in (("cloud", -1), ("valid", 0), ("latitude", np.nan), ("cloud_probability", np.nan)):
            assert file[name].shape == (ROWS, COLUMNS)
            np.testing.assert_array_equal(file[name][height:], missing)
            np.testing.assert_array_equal(file[name][:, width:], missing)


@pytest.mark.parametrize(("rows", "columns"), [(ROWS, COLUMNS), (11, 15), (1, 14)])
def test_a_stretched_mask_is_laid_back_on_the_products_grid(tmp_path: Path, rows: int, columns: int) -> None:
    """Stretched as the reference convention stretches positions, by the nearest centre, every pixel comes back."""
    height, width = 12, 15
    position = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    source = [
        [(2 * i + 1) * size // (2 * target) for i in range(target)]
        for size, target in ((rows, height), (columns, width))
    ]
    stretched = position[np.ix_(*source)]
    mask = replace(make_mask(height, width), latitude=stretched, longitude=stretched, valid=stretched % 3 != 1)
    with written(tmp_path, mask, replace(make_info(convention="reference"), rows=rows, columns=columns)) as file:
        np.testing.assert_array_equal(file["latitude"][:], position)
        np.testing.assert_array_equal(file["valid"][:], position % 3 != 1)
        own = "Row and column are those of the product's 1 km nadir grid (files *_in.nc), counted from 0."
        where = f"the product stretched from {rows} x {columns} to 12 x 15, as the original program does"
        assert file.comment == f"{own} Each value is that of the nearest pixel of {where}."


@pytest.mark.parametrize("rows", [13, 0])
def test_a_product_that_was_shrunk_or_is_unknown_stays_on_the_originals_grid(tmp_path: Path, rows: int) -> None:
    with written(tmp_path, make_mask(12, 15), replace(make_info(convention="reference"), rows=rows)) as file:
        assert file["cloud"].shape == (12, 15)
        assert file.comment.startswith(f"Row and column are those of the product stretched from {rows} x 8 to 12 x 15")


def test_a_product_of_the_originals_size_is_not_stretched(tmp_path: Path) -> None:
    with written(tmp_path, make_mask(), make_info(convention="reference")) as file:
        assert file.comment.startswith("Row and column are those of the product's 1 km nadir grid")


@pytest.mark.parametrize("convention", ["native", "reference"])
def test_the_cf_checker_has_nothing_to_say(tmp_path: Path, convention: str) -> None:
    path = tmp_path / "x_cloud.nc"
    write_cf_mask(path, make_mask(40, 50), make_info(convention=convention), np.full((40, 50), 0.3, np.float32))
    report = checked(path, tmp_path / "report.json")
    assert (report["scored_points"], report["possible_points"] > 20) == (report["possible_points"], True)
    said = [message for priority in ("high", "medium", "low") for message in said_at(report, priority)]
    assert said == []


def test_the_cf_checker_is_asked_in_earnest(tmp_path: Path) -> None:
    path = tmp_path / "x_cloud.nc"
    write_cf_mask(path, make_mask(), make_info(), np.full((ROWS, COLUMNS), 0.3, np.float32))
    with netCDF4.Dataset(path, "a") as file:
        file["cloud"].flag_values = np.array([0, 1, 2], np.int8)
        file["latitude"].units = "apples"
    report = checked(path, tmp_path / "report.json")
    assert report["scored_points"] < report["possible_points"]
    assert said_at(report, "high")


def checked(path: Path, report: Path) -> dict[str, Any]:
    """What compliance-checker says by its newest rules; of its own warnings nothing is of us."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        from compliance_checker.runner import CheckSuite, ComplianceChecker

        CheckSuite.load_all_available_checkers()
        arguments = {"output_filename": str(report), "output_format": "json"}
        ComplianceChecker.run_checker(str(path), ["cf:1.11"], 0, "strict", **arguments)
    return json.loads(report.read_text())["cf:1.11"]


def said_at(report: dict[str, Any], priority: str) -> list[str]:
    return [message for check in report[f"{priority}_priorities"] for message in check["msgs"]]


def test_xarray_decodes_it(tmp_path: Path) -> None:
    path = tmp_path / "x_cloud.nc"
    mask = make_mask()
    write_cf_mask(path, mask, make_info(start_time=""), mask.probability)
    with xarray.open_dataset(path) as found:
        assert set(found.coords) == {"time", "latitude", "longitude"}
        assert set(found["cloud"].coords) == set(found["cloud_probability"].coords) == set(found.coords)
        # By the name, as the attribute says nothing.
        assert found["time"].values.astype("datetime64[s]") == np.datetime64("2018-05-31T10:00:38")
        assert found["cloud_probability"].dims == ("row", "column")
        np.testing.assert_array_equal(np.isnan(found["cloud"].values), ~mask.valid)
        np.testing.assert_array_equal(found["cloud"].values == 1, mask.valid & (mask.probability > 0.5))
        assert found["valid"].dtype == np.int8


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    path, values = tmp_path / "x.nc", np.zeros((ROWS, COLUMNS), np.float32)
    with pytest.raises(
        UserError, match=r"x.nc: a netCDF file needs the pixels' positions.*leave out --netcdf, or give"
    ):
        write_cf_mask(path, replace(make_mask(), latitude=None), make_info(), values)
    nowhere = np.full((ROWS, COLUMNS), np.nan, np.float32)
    with pytest.raises(UserError, match="needs the pixels' positions"):
        write_cf_mask(path, replace(make_mask(), latitude=nowhere), make_info(), values)
    with pytest.raises(UserError, match=r"x.nc: a netCDF file needs the product's start time, as 2018.*found ''"):
        write_cf_mask(path, make_mask(), replace(make_info(), product="scene", start_time=""), values)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The netCDF library says "HDF error" of any disk."""
    path = tmp_path / "x.nc"
    path.write_bytes(b"old")
    monkeypatch.setattr(cf_mask, "_write", lambda *arguments: (_ for _ in ()).throw(RuntimeError("NetCDF: HDF error")))
    with pytest.raises(RuntimeError, match="HDF error"):
        write_cf_mask(path, make_mask(), make_info(), make_mask().probability)
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", lambda self, content: (_ for _ in ()).throw(full))
    with pytest.raises(OSError, match=r"No space left on device.*x\.nc"):
        write_cf_mask(path, make_mask(), make_info(), make_mask().probability)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
