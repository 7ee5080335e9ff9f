"""Shards that are made up for input.py: as large, and as hard to unpack, as converted products."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from preprocess.scene import Scene, SceneInfo


def made_up(folder: Path, number: int, height: int, width: int) -> tuple[Path, Scene]:
    """A shard's path and its scene."""
    start, stop = (f"20180531T{10 + minute // 60}{minute % 60:02d}38" for minute in (3 * number, 3 * number + 3))
    name = f"S3A_SL_1_RBT____{start}_{stop}_20180601T151044_0179_031_336_2160_LN2_O_NT_002"
    draws = np.random.default_rng(number)
    cloud = (np.indices((height, width)).sum(axis=0) // 100 % 2)[..., None].astype(np.float32)
    maps = np.ones((height, width, 1), np.uint8)
    temperatures = 270 - 20 * cloud + draws.normal(0, 0.5, (height, width, 3))
    scene = Scene(
        refs=(0.2 + 0.5 * cloud + draws.normal(0, 0.01, (height, width, 6))).astype(np.float32),
        bts=(np.rint(100 * temperatures) / 100).astype(np.float32),
        rads=None,
        bayes=(255 * cloud).astype(np.uint8),
        summary=(255 * cloud).astype(np.uint8),
        valid=maps,
        label_valid=maps,
        measured=np.full((height, width), 0b111111111, np.uint16),
        flags=np.zeros((height, width), np.uint16),
        latitude=np.zeros((height, width), np.float32),
        longitude=np.zeros((height, width), np.float32),
        info=_info(name, height, width),
    )
    return folder / f"{name}.hdf", scene


def _info(name: str, height: int, width: int) -> SceneInfo:
    return SceneInfo(
        product=name,
        platform="S3A",
        start_time="2018-05-31T10:00:38Z",
        collection="002",
        convention="native",
        calibration="none",
        regridding="mean",
        label_rule="any",
        labelled=True,
        day=True,
        rows_cropped=0,
        rows=height,
        columns=width,
        track_offset=0,
        start_offset=0,
        irradiances=(1837.39, 1525.94, 956.17, 365.90, 248.33, 78.33),
        sun_distance_au=1.0,
    )
