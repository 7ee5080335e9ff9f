"""When a mask that is there is taken for what was asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmask import mask_settings as module
from jaxmask.infer_config import InferConfig
from jaxmask.mask_settings import SETTLED_S, is_done, mask_settings
from jaxmask.maskfile import Mask, write_mask
from jaxmask.probability import LogitLine
from jaxmask.scene_source import info_json
from preprocess.errors import UserError
from preprocess.shard import read_info
from tests.shards import make_shard, product_name
from tests.test_infer import small_model

LATER = ("flips", "backend", "precision", "buffer", "probability_slope", "probability_intercept")


def settings_of(**flags: Any) -> dict[str, Any]:
    config = InferConfig(Path("model"), Path("hdf"), Path("out"), **flags)
    return mask_settings(config, (small_model(),))


def mask_of(folder: Path, shard: Path, settings: dict[str, Any]) -> Path:
    path = folder / f"{shard.stem}.h5"
    attributes = settings | {"product": info_json(read_info(shard))}
    write_mask(path, Mask(shard.stem, np.zeros((8, 8), np.float32), np.ones((8, 8), bool), attributes))
    return path


@pytest.mark.quick
def test_every_setting_counts_and_no_other_flag(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / f"{product_name(0)}.hdf", 8, 8)
    mask_of(tmp_path, shard, settings_of())
    for flags in ({"batch_size": 4}, {"max_pixels": 10**6}, {"workers": 3}, {"num_processes": 2, "process_id": 0}):
        assert is_done(shard, settings_of(**flags), tmp_path, overwrite=False)
    for name, flags in {
        "flips": {"flips": True},
        "backend": {"backend": "openvino"},
        "precision": {"precision": "bfloat16"},
        "buffer": {"buffer": 2},
        "threshold": {"threshold": 0.4},
        "quantity": {"probability": True},
        "tiling": {"tiling": "reference"},
    }.items():
        with pytest.raises(UserError, match=f"but of another {name}"):
            is_done(shard, settings_of(**flags), tmp_path, overwrite=False)
        assert not is_done(shard, settings_of(**flags), tmp_path, overwrite=True)


def test_masks_from_before_some_settings_have_their_defaults(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / f"{product_name(0)}.hdf", 8, 8)
    for flags in ({}, {"probability": True}):
        now = settings_of(**flags)
        mask_of(tmp_path, shard, {name: value for name, value in now.items() if name not in LATER})
        assert is_done(shard, now, tmp_path, overwrite=False)
    with pytest.raises(UserError, match="but of another buffer"):
        is_done(shard, settings_of(probability=True, buffer=1), tmp_path, overwrite=False)
    config = InferConfig(Path("model"), Path("hdf"), Path("out"), probability=True)
    with pytest.raises(UserError, match="but of another probability_slope"):
        is_done(shard, mask_settings(config, (small_model(),), LogitLine(2.0, 0.1)), tmp_path, overwrite=False)


def test_a_shard_that_was_there_long_before_its_mask_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = make_shard(tmp_path / f"{product_name(0)}.hdf", 8, 8)
    path = mask_of(tmp_path, shard, settings_of())
    read: list[Path] = []
    monkeypatch.setattr(module, "read_info", lambda path: read.append(path) or read_info(path))
    changed = shard.stat().st_ctime
    for age, reads in ((SETTLED_S - 60, 1), (SETTLED_S + 60, 1)):  # the second one adds no reading
        os.utime(path, (changed + age, changed + age))
        assert is_done(shard, settings_of(), tmp_path, overwrite=False)
        assert len(read) == reads
