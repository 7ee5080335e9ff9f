"""Edge: the netCDF files of one product, in a folder or read inside a zip, with errors that name file and variable.

netCDF 4 files are HDF5 files, and are read as such: the netCDF library would copy, filter and check more slowly.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from preprocess.chunks import DAMAGE, read_array
from preprocess.errors import UserError
from preprocess.level1 import FlagField, Grid, Packed
from preprocess.members import Source, damaged, open_source

__all__ = ["OpenFile", "Source", "open_file", "open_source"]

# The netCDF library writes a dimension that has no variable as a dataset whose NAME starts so.
BARE_DIMENSION = "This is a netCDF dimension but not a netCDF variable"
MEANING = ("scale_factor", "add_offset", "_FillValue", "flag_masks", "flag_meanings")


@dataclass(frozen=True)
class OpenFile:
    """One open file of a product, and how errors call it."""

    label: str
    dataset: h5py.File
    data: bytes  # of the file

    def has(self, variable: str) -> bool:
        """Whether the file holds `variable`."""
        with self._damage(variable):
            return variable in self.dataset and _is_inside(self.dataset, variable)

    def shape(self, variable: str) -> tuple[int, int]:
        """The shape of a `variable` of rows and columns; raises UserError if it is missing or isn't two-dimensional."""
        found = self._find(variable).shape
        if found is None or len(found) != 2:
            raise UserError(f"{self.label}: variable {variable} must be (rows, columns); found {found}")
        return found[0], found[1]

    def raw(
        self, variable: str, shape: tuple[int, ...] | None = None, why: str = "", out: np.ndarray | None = None
    ) -> np.ndarray:
        """The stored numbers of `variable`, in `out` if that is given and of their type.

        Raises UserError if it is missing, damaged, or isn't numbers of `shape`.
        """
        found = self._find(variable)
        with self._damage(variable):
            kind, known = found.dtype, found.shape
        if kind.kind not in "fiu" or not known:
            raise UserError(f"{self.label}: variable {variable} must be an array of numbers; found {kind}")
        if shape is not None and known != shape:
            raise UserError(f"{self.label}: variable {variable} must be {shape}{why}; found {known}")
        with self._damage(variable):
            return read_array(self.data, found, out)

    def physical(
        self, variable: str, shape: tuple[int, ...] | None = None, why: str = "", dtype: str = "f4"
    ) -> np.ndarray:
        """`variable` in its units: scale and offset applied in float64, then cast to `dtype`; fill values are NaN.

        So is infinity, which no instrument measures. Raises UserError if scale or offset is no number.
        """
        return self.packed(variable, shape, why).values(dtype)

    def packed(self, variable: str, shape: tuple[int, ...] | None = None, why: str = "") -> Packed:
        """`variable` as stored, with its scale, offset and fill; raises UserError if one of them is no number."""
        raw = self.raw(variable, shape, why)
        attributes = self._attributes(variable)
        try:
            scale, offset = float(attributes.get("scale_factor", 1.0)), float(attributes.get("add_offset", 0.0))
            fill = attributes.get("_FillValue")
            return Packed(raw, scale, offset, None if fill is None else float(fill))
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{self.label}: scale_factor, add_offset and _FillValue of variable {variable} must be numbers "
                f"({error}); fetch the product again"
            ) from None

    def flags(self, variable: str, shape: tuple[int, ...] | None = None) -> FlagField:
        """`variable` with the masks and meanings that its attributes give; raises UserError if they don't fit."""
        values = self.raw(variable, shape)
        if values.dtype.kind not in "iu":
            raise UserError(f"{self.label}: variable {variable} must hold bit flags; found {values.dtype}")
        attributes = self._attributes(variable)
        masks = tuple(int(mask) for mask in np.atleast_1d(attributes.get("flag_masks", [])))
        meanings = tuple(str(attributes.get("flag_meanings", "")).split())
        if not masks or len(masks) != len(meanings):
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
        except ValueError as error:
            raise UserError(
                f"{self.label}: attributes resolution ('[ 1000 1000 ]'), track_offset and start_offset "
                f"must be numbers ({error})"
            ) from None

    def attribute(self, name: str) -> Any:
        """A global attribute; raises UserError if the file has none of that name."""
        with self._damage(f"attribute {name}"):
            if name in self.dataset.attrs:
                return _plain(self.dataset.attrs[name])
        raise UserError(f"{self.label}: no attribute {name}; fetch the product again")

    def _find(self, variable: str) -> h5py.Dataset:
        if self.has(variable):
            with self._damage(variable):
                return self.dataset[variable]
        with self._damage(variable):
            known = ", ".join(_variables(self.dataset)[:8]) or "none"
        raise UserError(f"{self.label}: no variable {variable}; found {known}: fetch the product again")

    def _attributes(self, variable: str) -> dict[str, Any]:
        """Those attributes of a variable that say what its numbers mean."""
        with self._damage(variable):
            attributes = self._find(variable).attrs
            return {name: _plain(attributes[name]) for name in MEANING if name in attributes}

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
        dataset = h5py.File(io.BytesIO(data), "r")
    except DAMAGE as error:
        raise damaged(label, error) from error
    with dataset:
        yield OpenFile(label, dataset, data)


def _is_inside(file: h5py.File, name: str) -> bool:
    """Whether `name` is a dataset of this very file: a link may lead into any other."""
    return isinstance(file.get(name, getlink=True), h5py.HardLink) and isinstance(file[name], h5py.Dataset)


def _variables(file: h5py.File) -> list[str]:
    inside = [name for name in sorted(file) if _is_inside(file, name)]
    return [name for name in inside if not str(_plain(file[name].attrs.get("NAME", ""))).startswith(BARE_DIMENSION)]


def _plain(value: Any) -> Any:
    """An attribute as netCDF has it: text as str, one number as a number, several as an array."""
    if isinstance(value, h5py.Empty):
        return ""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
