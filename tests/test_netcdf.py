"""Attributes and variables as the netCDF library has them: the oracle is the netCDF4 package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from preprocess.errors import UserError
from preprocess.netcdf import OpenFile, open_file, open_source
from tests.products import NAME

ATTRIBUTES: dict[str, Any] = {
    "text": "[ 500 500 ]",
    "accents": "Météo-France",
    "empty": "",
    "one": np.int32(1996),
    "real": 0.01,
    "many": np.array([1, 2, 4], np.uint16),
    "byte": np.uint8(255),
    "texts": ["a", "b"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / f"{NAME}.SEN3"
    path.mkdir()
    with netCDF4.Dataset(path / "x.nc", "w") as dataset:
        dataset.setncatts({name: value for name, value in ATTRIBUTES.items() if name != "texts"})
        dataset.setncattr_string("texts", ATTRIBUTES["texts"])
        dataset.setncattr_string("string", "one string")
        dataset.createDimension("rows", 3)
        dataset.createDimension("time", None)
        made = dataset.createVariable("bits", "u1", ("rows",))
        made.setncatts({"flag_masks": np.array([1, 2], np.uint8), "flag_meanings": "a b"})
        made[...] = [1, 2, 3]
        made = dataset.createVariable("unwritten", "i2", ("rows",), fill_value=-32768, zlib=True)
        made = dataset.createVariable("big", ">i4", ("time", "rows"), zlib=True, endian="big")
        made.scale_factor = np.float64(1e-6)
        made.set_auto_maskandscale(False)
        made[...] = np.arange(6, dtype=">i4").reshape(2, 3) * 10**6
        dataset.createVariable("name", str, ("rows",))
    return path


def opened(folder: Path) -> Any:
    with open_source(folder) as source:
        return open_file(source, "x.nc")


@pytest.mark.quick
def test_attributes_are_what_netcdf4_reads(folder: Path) -> None:
    with opened(folder) as file, netCDF4.Dataset(folder / "x.nc") as oracle:
        for name in (*ATTRIBUTES, "string"):
            found, expected = file.attribute(name), oracle.getncattr(name)
            np.testing.assert_array_equal(found, expected, err_msg=name)
            assert np.ndim(found) == np.ndim(expected), name
            assert isinstance(found, str) == isinstance(expected, str), name
        with pytest.raises(UserError, match=r"x\.nc: no attribute absent; fetch the product again"):
            file.attribute("absent")


def test_variables_are_what_netcdf4_reads(folder: Path) -> None:
    with opened(folder) as file, netCDF4.Dataset(folder / "x.nc") as oracle:
        for name in ("bits", "unwritten", "big"):
            assert file.has(name)
            oracle[name].set_auto_maskandscale(False)
            np.testing.assert_array_equal(file.raw(name), oracle[name][...])
        np.testing.assert_array_equal(file.physical("big"), np.arange(6, dtype=np.float32).reshape(2, 3))
        assert np.isnan(file.physical("unwritten")).all()
        assert file.flags("bits").masks == (1, 2)
        with pytest.raises(UserError, match="variable name must be an array of numbers; found object"):
            file.raw("name")


def test_a_dimension_without_a_variable_is_not_offered_as_one(folder: Path) -> None:
    with opened(folder) as file, pytest.raises(UserError, match="no variable x; found big, bits, name, unwritten:"):
        file.raw("x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flag_masks": "one two"}, "must name each of its flag_masks; found 1 masks and 2 meanings"),
        ({"flag_masks": "one"}, "must name each of its flag_masks"),
        ({"flag_masks": np.array([0.5, 1])}, "must name each of its flag_masks; found 2 masks and 2 meanings"),
        ({"flag_meanings": 3.5}, "must name each of its flag_masks; found 2 masks and 1 meanings"),
    ],
)
def test_flags_whose_masks_are_no_numbers_are_named(folder: Path, change: dict[str, Any], message: str) -> None:
    with h5py.File(folder / "x.nc", "a") as file:
        for name, value in change.items():
            del file["bits"].attrs[name]
            file["bits"].attrs[name] = value
    with opened(folder) as file, pytest.raises(UserError, match=f"variable bits {message}"):
        file.flags("bits")


@pytest.mark.parametrize("value", ["x", [1, 2], np.inf, np.nan])
def test_a_grid_whose_offset_is_no_number_is_named(folder: Path, value: Any) -> None:
    with h5py.File(folder / "x.nc", "a") as file:
        file.attrs["resolution"], file.attrs["track_offset"], file.attrs["start_offset"] = "[ 500 500 ]", value, 0
    with opened(folder) as file, pytest.raises(UserError, match="track_offset and start_offset must be numbers"):
        file.grid()


def test_what_is_no_hdf5_is_named(folder: Path) -> None:
    for content in (b"", b"CDF\x01", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(5000)):
        (folder / "x.nc").write_bytes(content)
        with pytest.raises(UserError, match=r"x\.nc can't be read: truncated or damaged"), opened(folder):
            pass


def test_a_file_is_closed_also_where_reading_it_failed(folder: Path) -> None:
    kept: list[OpenFile] = []
    with pytest.raises(UserError), opened(folder) as file:  # noqa: PT012
        kept.append(file)
        file.raw("absent")
    assert not kept[0].dataset
