"""Edge: shards, one HDF5 file a product: written whole or not at all, read in full or by windows, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from preprocess import shard_attributes
from preprocess.chunks import DAMAGE
from preprocess.datasets import DatasetReader, write_dataset
from preprocess.errors import UserError
from preprocess.hdf import new_hdf
from preprocess.published import read_published_array, read_published_info
from preprocess.scene import Scene, SceneInfo
from preprocess.shard_fields import BY_NAME, FIELDS, FLAG_MASKS, FLAG_MEANINGS, PUBLISHED

SUFFIXES = (".hdf", ".h5")
POSITIONS = ("latitude", "longitude")  # NaN outside the product; no other number is
FINITE = tuple(field.name for field in FIELDS if field.dtype == "float32" and field.name not in POSITIONS)
LARGEST = {"valid": 1, "label_valid": 1, "measured": 511, "oblique_valid": 1, "oblique_measured": 511}


def write_shard(path: Path, scene: Scene) -> None:
    """Write `scene` to `path`, which appears only when complete; an old shard there is replaced.

    Raises ValueError if an array of the scene does not have the shape and dtype of its dataset.
    """
    height, width = scene.refs.shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_hdf(path) as file:
        shard_attributes.write_info(file, scene.info)
        for field in FIELDS:
            array = getattr(scene, field.name)
            if array is None and field.optional:
                continue
            shape = field.shape(height, width)
            if array.shape != shape or array.dtype != field.dtype:
                raise ValueError(f"{field.name} must be {shape} {field.dtype}; found {array.shape} {array.dtype}")
            write_dataset(file, field.name, array).attrs.update({"units": field.units, "long_name": field.long_name})
        file["flags"].attrs.update({"flag_masks": np.array(FLAG_MASKS, np.uint16), "flag_meanings": FLAG_MEANINGS})


def read_shard(path: Path) -> Scene:
    """Read a whole shard, ours or one of the original's; raises UserError if it is neither."""
    with _open(path) as file:
        info = _info(file, path)
        windows = ShardWindows(file)
        arrays: dict[str, Any] = dict.fromkeys(BY_NAME) | windows.read([name for name in BY_NAME if windows.has(name)])
    return Scene(**arrays, info=info)


def read_info(path: Path) -> SceneInfo:
    """The attributes of a shard whose datasets have the right names, shapes and types (values are not read)."""
    with _open(path) as file:
        return _info(file, path)


def read_layout(path: Path) -> tuple[int, int, frozenset[str]]:
    """Height, width, and which of the optional datasets are there."""
    with _open(path) as file:
        _info(file, path)
        height, width = file["refs"].shape[:2]
        return height, width, frozenset(field.name for field in FIELDS if field.optional and field.name in file)


def read_window(
    path: Path, rows: slice, columns: slice, names: Sequence[str] = ("refs", "bts")
) -> dict[str, np.ndarray]:
    """Read one window of the named datasets of a shard; as ShardWindows.read."""
    with _open(path) as file:
        return ShardWindows(file).read(names, rows, columns)


class ShardWindows:
    """Windows of an open shard, ours or one of the original's. Threads may share it; it keeps the file open."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._is_published = _is_published(file)
        self._readers: dict[str, DatasetReader] = {}

    def has(self, name: str) -> bool:
        """Whether the dataset is there, or known of a shard of the original's."""
        return name in self._file or (self._is_published and name in BY_NAME and not BY_NAME[name].optional)

    def read(
        self, names: Sequence[str], rows: slice = slice(None), columns: slice = slice(None)
    ) -> dict[str, np.ndarray]:
        """Read one window of the named datasets; only its chunks are touched.

        Returns arrays (rows, columns[, channels]) of the types of shard_fields, derived where the original stored
        none. Raises UserError naming the file for a dataset that is not there, OSError for a damaged one.
        """
        return {name: self._window(name, rows, columns) for name in names}

    def _window(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        if name not in self._readers and not self.has(name):
            raise UserError(f"{self._file.filename}: no dataset '{name}'; make the shard again with preprocess.convert")
        if self._is_published:
            return read_published_array(self._file, name, (rows, columns))
        if name not in self._readers:
            self._readers[name] = DatasetReader(self._file[name])
        return self._readers[name].read(rows, columns)


def validate(path: Path) -> SceneInfo:
    """Check everything that holds of a shard, values included; returns its attributes, raises UserError if not."""
    info = read_info(path)
    scene = read_shard(path)
    for name in FINITE:
        if (array := getattr(scene, name)) is not None and not np.isfinite(array).all():
            raise UserError(f"{path}: '{name}' must be finite everywhere; found NaN or infinity: convert it again")
    for name, most in LARGEST.items():
        if (array := getattr(scene, name)) is not None and (found := array.max(initial=0)) > most:
            wanted = "0 or 1" if most == 1 else f"0 to {most}"
            raise UserError(f"{path}: '{name}' must be {wanted}; found {found}: convert it again")
    return info


def find_shards(folder: Path) -> list[Path]:
    """The shards in `folder`/day and `folder`/night, in `folder` itself, or the one file `folder`; sorted by name.

    Raises UserError if there are none.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder or shard; expected the output of preprocess.convert")
    found = [
        path
        for part in (folder / "day", folder / "night", folder)
        for path in part.glob("*")
        if path.suffix in SUFFIXES and not path.name.startswith(".")
    ]
    if not found:
        raise UserError(
            f"{folder}: no shards (*.hdf) in it, nor in its day/ or night/; make them by preprocess.convert"
        )
    return sorted(found, key=lambda path: path.name)


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise UserError(f"{path}: no such shard") from None
    except IsADirectoryError:
        raise UserError(f"{path}: expected a shard (HDF5 file); found a folder") from None
    except PermissionError:
        raise
    except OSError as error:
        raise UserError(
            f"{path}: expected a shard (HDF5 file); found no HDF5 or a truncated one ({error}): convert it again"
        ) from error
    with file:
        try:
            yield file
        except MemoryError:
            raise
        except DAMAGE as error:
            raise UserError(f"{path}: damaged ({error}); convert it again") from error


def _is_published(file: h5py.File) -> bool:
    return "format" not in file.attrs


def _info(file: h5py.File, path: Path) -> SceneInfo:
    """Check the datasets' names, shapes and types; return the attributes."""
    if _is_published(file):
        _check_published(file, path)
        return read_published_info(file, path)
    info = shard_attributes.read_info(file, path)
    height, width = _size(file, path)
    for field in FIELDS:
        if field.name not in file:
            if field.optional:
                continue
            raise UserError(f"{path}: no dataset '{field.name}'; convert it again")
        _check_dataset(file, path, field.name, field.shape(height, width), field.dtype)
    return info


def _check_published(file: h5py.File, path: Path) -> None:
    missing = [name for name in PUBLISHED if name not in file and name != "rads"]
    if missing:
        raise UserError(
            f"{path}: not a shard: no attribute 'format' and no dataset {', '.join(missing)}; "
            f"expected a file of preprocess.convert, or of the original with {', '.join(PUBLISHED)}"
        )
    height, width = _size(file, path)
    for name in PUBLISHED:
        if name in file:
            _check_dataset(file, path, name, BY_NAME[name].shape(height, width), None)


def _size(file: h5py.File, path: Path) -> tuple[int, int]:
    if "refs" not in file:
        raise UserError(f"{path}: no dataset 'refs'; convert it again")
    shape: tuple[int, ...] = getattr(file["refs"], "shape", ())
    if len(shape) != 3:
        raise UserError(f"{path}: dataset 'refs' must be (height, width, 6) float32; found {shape}: convert it again")
    return shape[0], shape[1]


def _check_dataset(file: h5py.File, path: Path, name: str, shape: tuple[int, ...], dtype: str | None) -> None:
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"{path}: '{name}' must be a dataset; found a {type(found).__name__}: convert it again")
    if found.shape != shape or (found.dtype != dtype if dtype else found.dtype.kind not in "fui"):
        raise UserError(
            f"{path}: dataset '{name}' must be {shape} {dtype or 'numbers'}; "
            f"found {found.shape} {found.dtype}: convert it again"
        )
