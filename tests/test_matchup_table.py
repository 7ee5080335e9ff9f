"""Match-up tables: every format gives the same columns, and no pickle in one is ever run."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pandas as pd
import pytest

from jaxmask.matchup_table import read_table
from jaxmask.safe_pickle import UnsafePickleError, loads
from preprocess.errors import UserError

ROWS = 6


def frame(strings: str = "object") -> pd.DataFrame:
    paths = pd.Series([f"/neodc/P{i}é.SEN3" for i in range(ROWS)], dtype=strings)
    numbers = {"ISST": np.arange(ROWS) + 0.25, "quality_level": np.arange(ROWS), "SATZAN": [1.5, np.nan] * 3}
    return pd.DataFrame({**numbers, "cems_path": paths, "other": paths + "x"})


def written(folder: Path, kind: str) -> Path:
    table = frame("str" if kind.endswith("str") else "object")
    if kind.startswith("csv"):
        table.to_csv(path := folder / "t.csv", index=False)
    elif kind.startswith("parquet"):
        pytest.importorskip("pyarrow")
        table.to_parquet(path := folder / "t.parquet")
    elif kind.startswith("netcdf"):
        write_netcdf(path := folder / "t.nc", table)
    else:
        options = {"data_columns": True} if "columns" in kind else {}
        table.to_hdf(path := folder / "t.h5", key="data", mode="w", format=kind.split("-")[0], **options)
    return path


def write_netcdf(path: Path, table: pd.DataFrame) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("row", len(table))
        for name in table.columns:
            text = name in ("cems_path", "other")
            fill = {} if text else {"fill_value": -1e30 if table[name].dtype.kind == "f" else -99}
            variable = file.createVariable(name, str if text else table[name].dtype, ("row",), **fill)
            values = table[name].to_numpy()
            variable[:] = values.astype(object) if text else np.ma.masked_invalid(values)


KINDS = ("fixed-object", "table-object", "table-columns-object", "csv", "parquet", "netcdf", "fixed-str", "table-str")


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")  # pandas says that it pickles strings
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_columns(tmp_path: Path, kind: str) -> None:
    table = read_table(written(tmp_path, kind), ("isst", "satzan", "cems_path"))
    assert sorted(table) == ["cems_path", "isst", "other", "quality_level", "satzan"]
    np.testing.assert_array_equal(table["isst"], np.arange(ROWS) + 0.25)
    np.testing.assert_array_equal(table["quality_level"], np.arange(ROWS))
    np.testing.assert_array_equal(table["satzan"], [1.5, np.nan] * 3)
    assert table["cems_path"].tolist() == [f"/neodc/P{i}é.SEN3" for i in range(ROWS)]
    assert table["other"].tolist() == [f"/neodc/P{i}é.SEN3x" for i in range(ROWS)]
    assert table["cems_path"].dtype.kind == "U"


@pytest.mark.quick
@pytest.mark.parametrize("protocol", range(6))
def test_arrays_that_numpy_pickles_are_read(protocol: int) -> None:
    arrays: list[np.ndarray] = [
        np.array([["a", "bé"], ["", None]], object),
        np.asfortranarray(np.array([["a", "b"], ["c", "d"]], object)),
        np.array([1.5, float("nan"), 3], object),
        np.array([b"x", np.float64(2.5), np.str_("n")], object),
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.array(["p", "qq"]),
        np.array([True, False]),
        np.empty((0, 3), object),
    ]
    for array in arrays:
        found = loads(pickle.dumps(array, protocol))
        assert found.shape == array.shape
        assert repr(found.tolist()) == repr(array.tolist())
    assert loads(pickle.dumps(["a", "b"], protocol)) == ["a", "b"]
    assert loads(pickle.dumps((3, 0), protocol)) == (3, 0)


def test_text_in_a_column_of_numbers_is_named_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("isst,slat,cems_path\n12.5,50N,P\n1e1,50.5,P\nwarm,51,P\n")
    with pytest.raises(UserError, match=r"t\.csv: column isst should hold numbers, found 'warm' in row 2; mend it"):
        read_table(path, ("isst", "cems_path"))
    with pytest.raises(UserError, match=r"column slat should hold numbers, found '50N' in row 0"):
        read_table(path, ("slat",))
    assert read_table(path)["slat"].tolist() == ["50N", "50.5", "51"]


def test_old_numpy_module_names_are_known() -> None:
    data = pickle.dumps(np.array(["a", "b"], object), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert loads(data).tolist() == ["a", "b"]


class Attack:
    """Pickles into a call of `function(*arguments)`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


class Forged:
    """Pickles into an object of numpy with a chosen state."""

    def __init__(self, make: tuple[Any, tuple[Any, ...]], state: Any) -> None:
        self.make, self.state = make, state

    def __reduce__(self) -> tuple[Any, ...]:
        return (*self.make, self.state)


RECONSTRUCT, RECONSTRUCT_ARGUMENTS = np.array(["a"], object).__reduce__()[:2]
EMPTY_ARRAY = (RECONSTRUCT, RECONSTRUCT_ARGUMENTS)
# A void type with an object field whose flags are cleared: numpy would take the bytes for pointers.
POINTER_DTYPE = Forged((np.dtype, ("V8", False, True)), (3, "|", None, ("f",), {"f": (np.dtype("O"), 0)}, 8, 1, 0))


def hostile(marker: Path) -> dict[str, bytes]:
    """Pickles that would run something, or forge an array; `marker` appears if one of the first ones does run."""
    command = f"touch {marker}"
    nested: list[Any] = []
    for _ in range(60):
        nested = [nested, nested]
    objects: dict[str, Any] = {
        "os.system": Attack(os.system, command),
        "eval": Attack(eval, f"open({str(marker)!r}, 'w')"),
        "in an array": np.array(["a", Attack(os.system, command)], object),
        "getattr": Attack(getattr, "text", "format"),
        "numpy function": Attack(np.fromfile, str(marker)),
        "object in an array": np.array(["a", {"b": 1}], object),
        "array in an array": Forged(EMPTY_ARRAY, (1, (1,), np.dtype("O"), False, [np.arange(3)])),
        "pointers": Forged(EMPTY_ARRAY, (1, (1,), POINTER_DTYPE, False, b"\x41" * 8)),
        "structured": np.zeros(2, [("a", "f8")]),
        "object bytes": Forged(EMPTY_ARRAY, (1, (1,), np.dtype("O"), False, b"\x41" * 8)),
        "too few bytes": Forged(EMPTY_ARRAY, (1, (10**6,), np.dtype("f8"), False, b"\0" * 8)),
        "too few objects": Forged(EMPTY_ARRAY, (1, (10**6,), np.dtype("O"), False, ["a"])),
        "negative shape": Forged(EMPTY_ARRAY, (1, (-1, -1), np.dtype("f8"), False, b"\0" * 8)),
        "no state": Attack(*EMPTY_ARRAY[:1], *EMPTY_ARRAY[1]),
        "call of ndarray": Attack(np.ndarray, (10**9,)),
        "nested lists": nested,
    }
    pickles = {name: pickle.dumps(value) for name, value in objects.items()}
    pickles["changed name"] = b"cnumpy\nndarray\n(dVx\nI1\nsb."
    pickles["persistent id"] = b"Pabc\n."
    pickles["cut short"] = pickle.dumps(np.array(["a"], object))[:-5]
    pickles["huge"] = b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"."
    pickles["protocol 0"] = f"cos\nsystem\n(S'{command}'\ntR.".encode()
    return pickles


@pytest.mark.quick
@pytest.mark.parametrize("name", hostile(Path("x")))
def test_hostile_pickles_are_refused_and_not_run(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(UnsafePickleError):
        loads(hostile(marker)[name])
    assert not marker.exists()


def replace_vlen(path: Path, name: str, data: bytes) -> None:
    with h5py.File(path, "r+") as file:
        file[name][0] = np.frombuffer(data, np.uint8)


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
@pytest.mark.parametrize("name", ["os.system", "eval", "pointers", "in an array"])
def test_hostile_fixed_format_is_refused(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "ran"
    path = written(tmp_path, "fixed-object")
    with h5py.File(path) as file:
        blocks = [key for key in file["data"] if h5py.check_vlen_dtype(file["data"][key].dtype) is not None]
    replace_vlen(path, f"data/{blocks[0]}", hostile(marker)[name])
    with pytest.raises(UserError, match=r"t\.h5: refused, because a pickle in it .*save the table again as CSV"):
        read_table(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["os.system", "eval", "protocol 0"])
def test_hostile_table_format_is_refused(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "ran"
    path = written(tmp_path, "table-columns-object")
    with h5py.File(path, "r+") as file:
        file["data/table"].attrs["ISST_kind"] = np.void(hostile(marker)[name])
    with pytest.raises(UserError, match=r"refused, because a pickle in it (names|is broken)"):
        read_table(path)
    assert not marker.exists()


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.csv: the table lacks slat, y_cems; its columns are isst, quality_level"):
        read_table(written(tmp_path, "csv"), ("isst", "slat", "y_cems"))


def test_unfit_files_are_named(tmp_path: Path) -> None:
    def refused(path: Path, match: str) -> None:
        with pytest.raises(UserError, match=match):
            read_table(path)

    refused(tmp_path / "no.h5", r"no\.h5: no such file")
    refused(tmp_path, "a folder; expected a table of match-ups, a file")
    (tmp_path / "t.xls").touch()
    refused(tmp_path / "t.xls", r"should end in one of \.h5, \.hdf, \.hdf5, \.csv, \.parquet, \.nc")
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    refused(tmp_path / "cut.h5", r"cut\.h5 can't be read as a table \(OSError")
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["x"] = np.arange(3)
    refused(tmp_path / "plain.h5", r"expected one pandas table in the file, found none")
    (tmp_path / "empty.csv").write_text("isst,slat\n")
    refused(tmp_path / "empty.csv", r"empty\.csv: the table has no rows")
    (tmp_path / "nothing.csv").write_text("")
    refused(tmp_path / "nothing.csv", r"nothing\.csv can't be read as a table")
    (tmp_path / "twice.csv").write_text("isst,ISST\n1,2\n")
    refused(tmp_path / "twice.csv", r"two columns differ only in case")
    (tmp_path / "bad.nc").write_bytes(b"CDF")
    refused(tmp_path / "bad.nc", r"bad\.nc can't be read as a table")
    pytest.importorskip("pyarrow")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    refused(tmp_path / "bad.parquet", r"bad\.parquet can't be read as a table")


def test_two_tables_in_a_file_are_refused(tmp_path: Path) -> None:
    for key in ("one", "two"):
        frame()[["ISST"]].to_hdf(tmp_path / "t.h5", key=key, mode="a")
    with pytest.raises(UserError, match="expected one pandas table in the file, found one, two"):
        read_table(tmp_path / "t.h5")


def test_categorical_column_is_refused(tmp_path: Path) -> None:
    table = frame()[["ISST"]].assign(cems_path=pd.Categorical(["a", "b"] * 3))
    table.to_hdf(tmp_path / "t.h5", key="data", mode="w", format="table")
    with pytest.raises(UserError, match="column cems_path is categorical; save it as plain strings"):
        read_table(tmp_path / "t.h5")
