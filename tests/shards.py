"""Small shards for tests: smooth fields with a bright, cold "cloud" whose label can be learnt from its pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from preprocess.names import parse_name
from preprocess.scene import Scene, SceneInfo
from preprocess.shard import write_shard

INFO = SceneInfo(
    product="",
    platform="S3A",
    start_time="2018-05-31T10:23:38Z",
    collection="002",
    convention="native",
    calibration="none",
    regridding="mean",
    label_rule="any",
    labelled=True,
    day=True,
    rows_cropped=0,
    rows=0,
    columns=0,
    track_offset=0,
    start_offset=0,
    irradiances=(1837.39, 1525.94, 956.17, 365.90, 248.33, 78.33),
    sun_distance_au=1.0,
)


def product_name(number: int, *, orbit: int = 336, platform: str = "S3A", copy: int = 0) -> str:
    """The name of granule `number`, three minutes after the one before; `copy` is another processing of the same."""
    start, stop = (f"20180531T{10 + minute // 60:02d}{minute % 60:02d}38" for minute in (3 * number, 3 * number + 3))
    created = f"2018060{copy + 1}T151044"
    return f"{platform}_SL_1_RBT____{start}_{stop}_{created}_0179_031_{orbit:03d}_2160_LN2_O_NT_00{copy + 2}"


def make_scene(name: str, height: int = 64, width: int = 96, *, seed: int = 0, **attributes: Any) -> Scene:
    """A scene whose left half (shifted by the seed) is cloud: reflectance 0.8 and 240 K against 0.1 and 290 K."""
    rng = np.random.default_rng(seed)
    cloud = np.broadcast_to(np.arange(width) < width // 2 + rng.integers(-4, 5), (height, width))[..., None]
    noise = rng.normal(0, 0.02, (height, width, 9)).astype(np.float32)
    label = np.where(cloud, 255, 0).astype(np.uint8)
    ones = np.ones((height, width, 1), np.uint8)
    platform = parse_name(name).platform or "S3A"
    info = replace(INFO, product=name, platform=platform, rows=height, columns=width)
    return Scene(
        refs=(np.where(cloud, 0.8, 0.1) + noise[..., :6]).astype(np.float32),
        bts=(np.where(cloud, 240.0, 290.0) + 20 * noise[..., 6:]).astype(np.float32),
        rads=None,
        bayes=label,
        summary=label,
        valid=ones,
        label_valid=ones,
        measured=np.full((height, width), 0b111111111, np.uint16),
        flags=np.zeros((height, width), np.uint16),
        latitude=np.zeros((height, width), np.float32),
        longitude=np.zeros((height, width), np.float32),
        info=replace(info, **attributes),
    )


def make_shard(path: Path, height: int = 64, width: int = 96, *, seed: int = 0, **attributes: Any) -> Path:
    """Write such a scene to `path`, whose stem is its product; `attributes` replace those of its SceneInfo."""
    write_shard(path, make_scene(path.stem, height, width, seed=seed, **attributes))
    return path


def make_shards(folder: Path, count: int, height: int = 64, width: int = 96, **attributes: Any) -> Path:
    """Write `count` shards of successive granules to `folder`/day."""
    for number in range(count):
        make_shard(folder / "day" / f"{product_name(number)}.hdf", height, width, seed=number, **attributes)
    return folder


def make_published_shard(path: Path, height: int = 64, width: int = 96, *, seed: int = 0) -> Path:
    """The same scene as the original program writes it: five float64 datasets and no attributes."""
    scene = make_scene(path.stem, height, width, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name in ("bts", "refs", "bayes", "summary"):
            file[name] = getattr(scene, name).astype(np.float64)
        file["rads"] = np.zeros((height, width, 6))
    return path
