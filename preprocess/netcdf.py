"""Edge: the netCDF files of one product, in a folder or read inside a zip, with errors that name file and variable.

netCDF 4 files are HDF5 files, and are read as such: the netCDF library would copy, filter and check more slowly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import h5py
import numpy as np

from preprocess.chunks import DAMAGE, MAX_ARRAY_BYTES, read_array
from preprocess.errors import UserError
from preprocess.level1 import FlagField, Grid, Packed
from preprocess.members import Source, Verify, damaged, open_source

__all__ = ["OpenFile", "Source", "Verify", "open_file", "open_source"]

# The netCDF library writes a dimension that has no variable as a dataset whose NAME starts so.
BARE_DIMENSION = "This is a netCDF dimension but not a netCDF variable"
# HDF5 reads from the very bytes it is given (H5LT_FILE_IMAGE_DONT_COPY | H5LT_FILE_IMAGE_DONT_RELEASE, H5LTpublic.h).
IMAGE_STAYS_OURS = 0x2 | 0x4
MEANING = ("scale_factor", "add_offset", "_FillValue", "flag_masks", "flag_meanings")


class _Variable(NamedTuple):
    name: str
    opened: h5py.h5d.DatasetID
    shape: tuple[int, ...] | None
    dtype: np.dtype


@dataclass(frozen=True)
class OpenFile:
    """One open file of a product, and how errors call it."""

    label: str
    dataset: h5py.File
    data: bytes | bytearray  # of the file
    verified: bool  # they have the MD5 sum that the manifest gives

    def has(self, variable: str) -> bool:
        """Whether the file holds `variable`."""
        with self._damage(variable):
            return _open_inside(self.dataset, variable) is not None

    def shape(self, variable: str) -> tuple[int, int]:
        """The shape of a `variable` of rows and columns, small enough to be allocated.

        Raises UserError if it is missing, isn't two-dimensional or is too large to be believed.
        """
        found = self._find(variable)
        if found.shape is None or len(found.shape) != 2:
            raise UserError(f"{self.label}: variable {variable} must be (rows, columns); found {found.shape}")
        rows, columns = found.shape
        if rows * columns * found.dtype.itemsize > MAX_ARRAY_BYTES:
            raise damaged(self.label, f"{variable}: {rows} x {columns} numbers are not to be believed")
        return rows, columns

    def raw(
        self, variable: str, shape: tuple[int, ...] | None = None, why: str = "", out: np.ndarray | None = None
    ) -> np.ndarray:
        """The stored numbers of `variable`, in `out` if that is given and of their type.

        Raises UserError if it is missing, damaged, or isn't numbers of `shape`.
        """
        return self._numbers(self._find(variable), shape, why, out)

    def physical(
        self, variable: str, shape: tuple[int, ...] | None = None, why: str = "", dtype: str = "f4"
    ) -> np.ndarray:
        """`variable` in its units: scale and offset applied in float64, then cast to `dtype`; fill values are NaN.

        So is infinity, which no instrument measures. Raises UserError if scale or offset is no number.
        """
        return self.packed(variable, shape, why).values(dtype)

    def packed(self, variable: str, shape: tuple[int, ...] | None = None, why: str = "") -> Packed:
        """`variable` as stored, with its scale, offset and fill; raises UserError if one of them is no number."""
        found = self._find(variable)
        raw, attributes = self._numbers(found, shape, why), self._meaning(found)
        try:
            scale, offset = float(attributes.get("scale_factor", 1.0)), float(attributes.get("add_offset", 0.0))
            fill = attributes.get("_FillValue")
            return Packed(raw, scale, offset, None if fill is None else float(fill))
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{self.label}: scale_factor, add_offset and _FillValue of variable {variable} must be numbers "
                f"({error}); fetch the product again"
            ) from None

    def flags(self, variable: str, shape: tuple[int, ...] | None = None, out: np.ndarray | None = None) -> FlagField:
        """`variable` with the masks and meanings that its attributes give; raises UserError if they don't fit."""
        found = self._find(variable)
        values, attributes = self._numbers(found, shape, "", out), self._meaning(found)
        if values.dtype.kind not in "iu":
            raise UserError(f"{self.label}: variable {variable} must hold bit flags; found {values.dtype}")
        masks = tuple(np.atleast_1d(attributes.get("flag_masks", [])).tolist())
        meanings = tuple(str(attributes.get("flag_meanings", "")).split())
        if not masks or len(masks) != len(meanings) or not all(isinstance(mask, int) for mask in masks):
            raise UserError(
                f"{self.label}: variable {variable} must name each of its flag_masks; "
                f"found {len(masks)} masks and {len(meanings)} meanings"
            )
        return FlagField(values, masks, meanings)

    def grid(self) -> Grid:
        """The grid that the file's attributes describe; raises UserError if one is missing or unreadable."""
        try:
            across, along = (float(part) for part in str(self.attribute("resolution")).strip("[] ").split())
            return Grid(across, along, int(self.attribute("track_offset")), int(self.attribute("start_offset")))
        except (ValueError, TypeError, OverflowError) as error:
            raise UserError(
                f"{self.label}: attributes resolution ('[ 1000 1000 ]'), track_offset and start_offset "
                f"must be numbers ({error})"
            ) from None

    def attribute(self, name: str) -> Any:
        """A global attribute; raises UserError if the file has none of that name."""
        with self._damage(f"attribute {name}"):
            found = _attributes(self.dataset["/"], (name,))
        if name not in found:
            raise UserError(f"{self.label}: no attribute {name}; fetch the product again")
        return found[name]

    def _find(self, variable: str) -> _Variable:
        with self._damage(variable):
            found = _open_inside(self.dataset, variable)
            if found is not None:
                return _Variable(variable, found, found.shape, found.dtype)
            known = ", ".join(_variables(self.dataset)[:8]) or "none"
        raise UserError(f"{self.label}: no variable {variable}; found {known}: fetch the product again")

    def _numbers(
        self, found: _Variable, shape: tuple[int, ...] | None, why: str, out: np.ndarray | None = None
    ) -> np.ndarray:
        if found.dtype.kind not in "fiu" or not found.shape:
            raise UserError(f"{self.label}: variable {found.name} must be an array of numbers; found {found.dtype}")
        if shape is not None and found.shape != shape:
            raise UserError(f"{self.label}: variable {found.name} must be {shape}{why}; found {found.shape}")
        if out is not None and found.dtype != out.dtype:
            raise UserError(f"{self.label}: variable {found.name} must be of {out.dtype}; found {found.dtype}")
        with self._damage(found.name):
            return read_array(self.data, found.opened, out, verified=self.verified)

    def _meaning(self, found: _Variable) -> dict[str, Any]:
        """Those attributes of a variable that say what its numbers mean."""
        with self._damage(found.name):
            return _attributes(h5py.Dataset(found.opened), MEANING)

    @contextmanager
    def _damage(self, what: str) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise damaged(self.label, f"{what}: {error}") from error


@contextmanager
def open_file(source: Source, file: str) -> Iterator[OpenFile]:
    """Open one file of a product, and close it.

    Raises UserError if it is missing, truncated, damaged, or not what the manifest says.
    """
    label, data = source.label(file), source.read(file)
    try:
        dataset = h5py.File(h5py.h5f.open_file_image(data, IMAGE_STAYS_OURS))
    except DAMAGE as error:
        raise damaged(label, error) from error
    with dataset:
        yield OpenFile(label, dataset, data, source.verified == "md5")


def _open_inside(file: h5py.File, name: str) -> h5py.h5d.DatasetID | None:
    """The dataset `name` of this very file; a link might lead into any other."""
    links, path = file.id.links, name.encode()
    if not links.exists(path) or links.get_info(path).type != h5py.h5l.TYPE_HARD:
        return None
    found = h5py.h5o.open(file.id, path)
    return found if isinstance(found, h5py.h5d.DatasetID) else None


def _variables(file: h5py.File) -> list[str]:
    found = {name: _open_inside(file, name) for name in sorted(file)}
    labels = {
        name: _attributes(h5py.Dataset(opened), ("NAME",)) for name, opened in found.items() if opened is not None
    }
    return [name for name, label in labels.items() if not str(label.get("NAME")).startswith(BARE_DIMENSION)]


def _attributes(holder: h5py.Dataset | h5py.Group, names: tuple[str, ...]) -> dict[str, Any]:
    """Those attributes that are there, as netCDF has them: text as str, one number as a number, several as an array."""
    found = {}
    for name in names:
        if h5py.h5a.exists(holder.id, name.encode()):
            value = _value(h5py.h5a.open(holder.id, name.encode()), holder, name)
            if isinstance(value, np.ndarray) and value.size == 1:
                value = value.ravel()[0]
            found[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return found


def _value(stored: h5py.h5a.AttrID, holder: h5py.Dataset | h5py.Group, name: str) -> Any:
    if stored.dtype.kind in "fiuS" and stored.shape is not None and len(stored.shape) < 2:
        value = np.empty(stored.shape, stored.dtype)
        stored.read(value)
        return value
    # Kinds that need more care, which h5py takes, at thirty times the cost.
    value = holder.attrs[name]
    return "" if isinstance(value, h5py.Empty) else value
