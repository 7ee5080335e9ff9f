"""Edge: match-up tables from pandas HDF (fixed or table format), CSV, Parquet or netCDF, as plain columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pandas as pd

from jaxmask.matchups import TEXT_COLUMNS
from jaxmask.safe_pickle import UnsafePickleError, loads
from preprocess.errors import UserError

Columns = dict[str, np.ndarray]


def read_table(path: Path, required: Sequence[str] = ()) -> Columns:
    """Read a table as {lower-cased name: (N,) array}: numbers as stored, strings as numpy str ("" where missing).

    Nothing that a file names is ever run: the pickles of pandas HDF files are read by `safe_pickle`. Raises UserError
    if the file is missing, of another kind, broken, holds a pickle of anything else, or lacks a `required` column or
    numbers in it.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {found}; expected a table of match-ups, a file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: a table of match-ups should end in one of {', '.join(READERS)}")
    try:
        columns = reader(path)
    except UnsafePickleError as error:
        raise UserError(f"{path}: refused, because a pickle in it {error}; save the table again as CSV") from error
    except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        detail = " ".join(str(error).split())
        raise UserError(
            f"{path} can't be read as a table ({type(error).__name__}: {detail}); save it again, or as CSV"
        ) from error
    return _checked(path, _lower(path, columns), required)


def _lower(path: Path, columns: Columns) -> Columns:
    lowered = {name.lower(): values for name, values in columns.items()}
    if len(lowered) < len(columns):
        raise UserError(f"{path}: two columns differ only in case; found {', '.join(columns)}")
    return lowered


def _checked(path: Path, columns: Columns, required: Sequence[str]) -> Columns:
    missing = [name for name in required if name not in columns]
    if missing:
        found = ", ".join(columns) or "none"
        raise UserError(f"{path}: the table lacks {', '.join(missing)}; its columns are {found}")
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise UserError(f"{path}: the table's columns differ in length ({sorted(lengths)})")
    if lengths in (set(), {0}):
        raise UserError(f"{path}: the table has no rows")
    for name in required:
        if name not in TEXT_COLUMNS and columns[name].dtype.kind not in "fiub":
            row, text = _first_text(columns[name])
            raise UserError(f"{path}: column {name} should hold numbers, found {text!r} in row {row}; mend it there")
    return columns


def _first_text(values: np.ndarray) -> tuple[int, str]:
    """The first entry of a column of texts that is no number, and its row, counted from 0."""
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    row = int(np.argmax(np.isnan(numbers.to_numpy(np.float64))))
    return row, str(values[row])


def _read_hdf(path: Path) -> Columns:
    with h5py.File(path, "r") as file:
        found_groups: dict[str, h5py.Group] = {}
        file.visititems(lambda name, item: found_groups.update({name: item}) if "pandas_type" in item.attrs else None)
        groups = {name: item for name, item in found_groups.items() if "/meta/" not in name}  # of categories
        if len(groups) != 1:
            found = ", ".join(groups) or "none"
            raise UserError(f"{path}: expected one pandas table in the file, found {found}; write one with to_hdf")
        group = next(iter(groups.values()))
        kind = _text(group.attrs["pandas_type"])
        if kind == "frame":
            return _read_fixed(group)
        if kind == "frame_table":
            return _read_frame_table(group["table"])
        raise UserError(f"{path}: expected a pandas DataFrame, found {kind}")


def _read_fixed(group: h5py.Group) -> Columns:
    """pandas' fixed format: blocks of columns of one type, (N, columns), strings as one pickled object array."""
    columns: Columns = {}
    for block in range(int(group.attrs["nblocks"])):
        names = _strings(_fixed_array(group[f"block{block}_items"]))
        values = _fixed_array(group[f"block{block}_values"])
        values = values.reshape(-1, 1) if values.ndim == 1 else values
        if values.shape[1] != len(names):
            raise ValueError(f"block {block} has {len(names)} names and {values.shape[1]} columns")
        columns.update({str(name): _plain(values[:, i]) for i, name in enumerate(names)})
    return columns


def _fixed_array(data: h5py.Dataset) -> np.ndarray:
    if "shape" in data.attrs:  # pandas' way to store an array without rows
        return np.empty((0, 1))
    if _text(data.attrs.get("CLASS", b"")) == "VLARRAY":
        values = loads(np.asarray(data[0], np.uint8).tobytes())
        if not isinstance(values, np.ndarray):
            raise UnsafePickleError(f"holds a {type(values).__name__} where an array should be")
        return values
    return np.asarray(data[()])


def _read_frame_table(data: h5py.Dataset) -> Columns:
    """pandas' table format: one record a row; which columns a field holds is a pickled list in `FIELD_kind`."""
    records, columns = data[()], Columns()
    for field in [name for name in records.dtype.names if name != "index"]:
        names = loads(_bytes(data.attrs[f"{field}_kind"]))
        if not isinstance(names, list):
            raise UnsafePickleError(f"holds a {type(names).__name__} where a list of names should be")
        if _text(data.attrs.get(f"{field}_meta", b"")) == "category":
            raise UserError(f"{data.file.filename}: column {names[0]} is categorical; save it as plain strings")
        values = records[field].reshape(len(records), len(names))
        columns.update({str(name): _plain(values[:, i]) for i, name in enumerate(names)})
    return columns


def _plain(values: np.ndarray) -> np.ndarray:
    """Numbers as they are, object columns as float64 where all are numbers, everything else as numpy str."""
    if values.dtype.kind in "fiub":
        return np.ascontiguousarray(values)
    if values.dtype.kind == "O" and all(isinstance(value, int | float | np.number) for value in values):
        return values.astype(np.float64)
    return _strings(values)


def _strings(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "O":
        texts = [value.decode() if isinstance(value, bytes) else value for value in values]
        return np.array([text if isinstance(text, str) else "" for text in texts], dtype=str)
    return values.astype(str)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _bytes(value: Any) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else bytes(value)


def _from_frame(frame: pd.DataFrame) -> Columns:
    return {str(name): _plain(frame[name].to_numpy()) for name in frame.columns}


def _read_csv(path: Path) -> Columns:
    return _from_frame(pd.read_csv(path))


def _read_parquet(path: Path) -> Columns:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise UserError(f"{path}: Parquet needs the package 'pyarrow': pip install 'jaxmask[parquet]'") from error
    table = parquet.read_table(path)
    return {name: _plain(table[name].to_numpy()) for name in table.column_names}


def _read_netcdf(path: Path) -> Columns:
    columns = Columns()
    with netCDF4.Dataset(path) as file:
        for name, variable in file.variables.items():
            values = variable[:]
            if values.ndim == 2 and values.dtype.kind == "S":
                values = netCDF4.chartostring(values)
            if values.ndim == 1:
                columns[name] = _plain(_unmasked(values))
    return columns


def _unmasked(values: np.ndarray) -> np.ndarray:
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if values.dtype.kind in "fiu" and np.ma.is_masked(values):
        return np.ma.filled(values.astype(np.float64), np.nan)
    return np.asarray(values.data)


READERS: dict[str, Callable[[Path], Columns]] = {
    ".h5": _read_hdf,
    ".hdf": _read_hdf,
    ".hdf5": _read_hdf,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".nc": _read_netcdf,
}
