"""Edge: the hidden truth of a simulated archive, which nothing but judging reads: ARCHIVE/truth/NAME.h5."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from preprocess.errors import UserError

# A clear sky less a cloudy one, S8: below this a cloud does not disturb the sea-surface temperature.
SST_CLOUD_K = 0.2


@dataclass(frozen=True)
class CloudTruth:
    """cloud: (R, C) bool; sst_cloud: (R, C) bool, where cloud changes the S8 temperature by more than 0.2 K."""

    cloud: np.ndarray
    sst_cloud: np.ndarray


def read_truth(folder: Path, name: str) -> CloudTruth | None:
    """The truth of product `name` on its own 1 km grid; None if the folder has none for it.

    Raises UserError if the file is broken or lacks a dataset.
    """
    path = folder / f"{name}.h5"
    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            cloud, change = file["cloud"][()] > 0, np.abs(file["dbt8_k"][()]) > SST_CLOUD_K
    except (OSError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path}: expected datasets 'cloud' and 'dbt8_k' (rows, columns) of preprocess.simulate; {error}"
        ) from error
    if cloud.ndim != 2 or cloud.shape != change.shape:
        raise UserError(f"{path}: 'cloud' and 'dbt8_k' should be images; found {cloud.shape} and {change.shape}")
    return CloudTruth(cloud, change)


def fit_truth(cloud: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pad (clear) or crop an image (R, C) bool at the bottom and right to (height, width), as native shards are."""
    fitted = np.zeros((height, width), bool)
    kept = cloud[:height, :width]
    fitted[: kept.shape[0], : kept.shape[1]] = kept
    return fitted
