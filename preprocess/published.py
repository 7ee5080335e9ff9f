"""Edge: the original program's own shards: five float64 datasets, no attributes, no validity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from preprocess.names import parse_name
from preprocess.scene import SceneInfo
from preprocess.shard_fields import BY_NAME

# The original stores missing temperatures as 0 K and blends them into their neighbours when it resizes.
COLDEST_VALID_K = 150.0
ALL_BITS = 0b111111111


def read_published_array(file: h5py.File, name: str, where: Any) -> np.ndarray:
    """One dataset of a published shard at `where` (rows, columns), or what it would hold, in our types.

    Valid (and labelled) is where S8 and S9 are at least 150 K, and there every channel counts as measured;
    flags and positions are unknown: 0 and NaN.
    """
    field = BY_NAME[name]
    if name in file:
        array = file[name][where]
        # Any grey above 0 is cloud to the original, so that the least must not round to 0.
        return (np.ceil(array) if field.dtype == "uint8" else array).astype(field.dtype)
    valid = (file["bts"][where][..., 1:] >= COLDEST_VALID_K).all(axis=-1)
    if name in ("valid", "label_valid"):
        return valid[..., None].astype(np.uint8)
    if name == "measured":
        return np.where(valid, ALL_BITS, 0).astype(np.uint16)
    return np.full(valid.shape, 0 if name == "flags" else np.nan, field.dtype)


def read_published_info(file: h5py.File, path: Path) -> SceneInfo:
    """What is known of a published shard: its name says the product, its labels whether bayes was computed."""
    name = parse_name(path.stem)
    height, width = file["refs"].shape[:2]
    return SceneInfo(
        product=path.stem,
        platform=name.platform,
        start_time=name.start_time,
        collection=name.collection,
        convention="reference",
        calibration="none",
        regridding="resize",
        label_rule="any",
        labelled=_is_labelled(file),
        day=path.parent.name == "day",
        rows_cropped=0,
        rows=height,
        columns=width,
        track_offset=0,
        start_offset=0,
        irradiances=(),
        sun_distance_au=float("nan"),
    )


def _is_labelled(file: h5py.File) -> bool:
    bayes = file["bayes"]
    rows = max(1, bayes.chunks[0] if bayes.chunks else 64)
    return any((bayes[row : row + rows] <= 0).any() for row in range(0, bayes.shape[0], rows))
