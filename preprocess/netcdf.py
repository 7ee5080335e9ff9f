"""Edge: the netCDF files of one product, in a folder or read inside a zip, with errors that name file and variable."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from preprocess.archive import open_archive
from preprocess.errors import UserError
from preprocess.level1 import FlagField, Grid, Packed
from preprocess.sources import MANIFEST

LIBRARY = threading.RLock()
"""Held while a netCDF file is open: the C library crashes when two threads use it, as those of a Dask worker would."""


@dataclass(frozen=True)
class Source:
    """A product on disk: its path, the name of its folder, and how one of its files is opened."""

    path: Path
    name: str
    open: Callable[[str], netCDF4.Dataset]
    manifest_md5: str  # "" without a manifest


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a .SEN3 folder, the manifest in one, or a zip holding one (read inside the zip, in memory).

    Raises UserError if `path` is none of these.
    """
    path = path.parent if path.name == MANIFEST else path
    if path.is_dir():
        if not any(path.glob("*.nc")):
            raise UserError(f"{path}: not a product: no netCDF files in it; expected a .SEN3 folder")
        manifest = path / MANIFEST
        digest = _md5(manifest.read_bytes()) if manifest.exists() else ""
        yield Source(path, path.resolve().name, lambda file: _open_file(path, file), digest)
    elif path.is_file():
        with open_archive(path) as archive:

            def from_zip(file: str) -> netCDF4.Dataset:
                if file not in archive.members:
                    raise FileNotFoundError(file)
                return netCDF4.Dataset(file, memory=archive.read(file))

            digest = _md5(archive.read(MANIFEST)) if MANIFEST in archive.members else ""
            yield Source(path, archive.name, from_zip, digest)
    else:
        raise UserError(f"{path}: no such product; expected a .SEN3 folder or a zip holding one")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _open_file(folder: Path, file: str) -> netCDF4.Dataset:
    if not (folder / file).exists():
        raise FileNotFoundError(file)
    return netCDF4.Dataset(folder / file)


@dataclass(frozen=True)
class OpenFile:
    """One open file of a product, and how errors call it."""

    label: str
    dataset: netCDF4.Dataset

    def has(self, variable: str) -> bool:
        """Whether the file holds `variable`."""
        return variable in self.dataset.variables

    def shape(self, variable: str) -> tuple[int, int]:
        """The shape of a `variable` of rows and columns; raises UserError if it is missing or isn't two-dimensional."""
        found = self._find(variable).shape
        if len(found) != 2:
            raise UserError(f"{self.label}: variable {variable} must be (rows, columns); found {found}")
        return found[0], found[1]

    def raw(self, variable: str, shape: tuple[int, ...] | None = None, why: str = "") -> np.ndarray:
        """The stored numbers of `variable`; raises UserError if it is missing, or isn't numbers of `shape`."""
        found = self._find(variable)
        if found.dtype is str or found.dtype.kind not in "fiu" or found.ndim == 0:
            raise UserError(f"{self.label}: variable {variable} must be an array of numbers; found {found.dtype}")
        if shape is not None and found.shape != shape:
            raise UserError(f"{self.label}: variable {variable} must be {shape}{why}; found {found.shape}")
        found.set_auto_maskandscale(False)
        values: np.ndarray = np.ma.getdata(found[...])
        return values

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
        attributes = self.dataset[variable].__dict__
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
        attributes = self.dataset[variable].__dict__
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

    def _find(self, variable: str) -> netCDF4.Variable:
        if not self.has(variable):
            known = ", ".join(sorted(self.dataset.variables)[:8]) or "none"
            raise UserError(f"{self.label}: no variable {variable}; found {known}: fetch the product again")
        return self.dataset[variable]

    def attribute(self, name: str) -> Any:
        """A global attribute; raises UserError if the file has none of that name."""
        if name not in self.dataset.ncattrs():
            raise UserError(f"{self.label}: no attribute {name}; fetch the product again")
        return self.dataset.getncattr(name)


@contextmanager
def open_file(source: Source, file: str) -> Iterator[OpenFile]:
    """Open one file of a product, and close it; raises UserError if it is missing, truncated or damaged."""
    label = f"{source.path}: {file}"
    with LIBRARY:
        try:
            dataset = source.open(file)
        except FileNotFoundError:
            raise UserError(f"{label} is missing; fetch the product again") from None
        except (OSError, RuntimeError) as error:
            raise _damaged(label, error) from error
        try:
            yield OpenFile(label, dataset)
        except (OSError, RuntimeError) as error:
            raise _damaged(label, error) from error
        finally:
            dataset.close()


def _damaged(label: str, error: Exception) -> UserError:
    return UserError(f"{label} can't be read: truncated or damaged ({error}); fetch the product again")
