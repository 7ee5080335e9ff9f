"""Edge: the hidden truth of a simulated archive, which nothing but judging reads: ARCHIVE/truth/NAME.h5."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from preprocess.errors import UserError

T = TypeVar("T")

# A clear sky less a cloudy one, S8: below this a cloud does not disturb the sea-surface temperature.
SST_CLOUD_K = 0.2


@dataclass(frozen=True)
class CloudTruth:
    """cloud: (R, C) bool; sst_cloud: (R, C) bool, where cloud changes the S8 temperature by more than 0.2 K."""

    cloud: np.ndarray
    sst_cloud: np.ndarray


@dataclass(frozen=True)
class Sky:
    """What the truth's cloud is: kind (R, C) uint8, which numbers `kinds`; amount (R, C) float32, optical depth times
    cover: that of the pixel as a whole.
    """

    kind: np.ndarray
    kinds: tuple[str, ...]
    amount: np.ndarray


def read_truth(folder: Path, name: str) -> CloudTruth | None:
    """The truth of product `name` on its own 1 km grid; None if the folder has none for it.

    Raises UserError if the file is broken or lacks a dataset.
    """

    def read(file: h5py.File) -> CloudTruth:
        return CloudTruth(file["cloud"][()] > 0, np.abs(file["dbt8_k"][()]) > SST_CLOUD_K)

    path = folder / f"{name}.h5"
    if not path.is_file():
        return None
    found = _read(path, read, "'cloud' and 'dbt8_k'")
    _check_images(path, {"cloud": found.cloud, "dbt8_k": found.sst_cloud})
    return found


def read_sky(folder: Path, name: str) -> Sky | None:
    """The kinds and depths of the clouds of product `name`; None if the folder has no truth for it, or it is of a
    simulator that told no kinds.

    Raises UserError if the file is broken or lacks one dataset of them.
    """

    def read(file: h5py.File) -> Sky | None:
        if "kind" not in file:
            return None
        amount = file["cover_fraction"][()] * file["optical_depth"][()]
        return Sky(file["kind"][()], tuple(json.loads(file.attrs["kinds"])), amount)

    path = folder / f"{name}.h5"
    if not path.is_file():
        return None
    found = _read(path, read, "'kind', 'cover_fraction' and 'optical_depth'")
    if found is not None:
        _check_images(path, {"kind": found.kind, "optical_depth": found.amount})
    return found


def fit_truth(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pad (by 0: clear) or crop an image (R, C) at the bottom and right to (height, width), as native shards are."""
    fitted = np.zeros((height, width), image.dtype)
    kept = image[:height, :width]
    fitted[: kept.shape[0], : kept.shape[1]] = kept
    return fitted


def _read(path: Path, read: Callable[[h5py.File], T], wanted: str) -> T:
    try:
        with h5py.File(path, "r") as file:
            return read(file)
    except (OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: expected datasets {wanted} (rows, columns) of preprocess.simulate; {error}"
        ) from error


def _check_images(path: Path, images: dict[str, np.ndarray]) -> None:
    shapes = [image.shape for image in images.values()]
    if shapes[0] != shapes[-1] or len(shapes[0]) != 2:
        names = " and ".join(f"'{name}'" for name in images)
        raise UserError(f"{path}: {names} should be images of one size; found {' and '.join(map(str, shapes))}")
