"""Small models on disk, as training leaves them, without training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmask import unet
from jaxmask.checkpoint import open_checkpoints
from jaxmask.optimiser import keras_adam
from jaxmask.split import Split, to_json
from jaxmask.step import init_state

CONFIG = {
    "flags": {},
    "convention": "native",
    "calibration": "none",
    "regridding": "mean",
    "label_rule": "any",
    "patch_size": 64,
    "positive_weight": 0.5,
    "versions": {},
}


def small_params(seed: int, features: int = 2) -> unet.Params:
    """Parameters whose outputs differ from pixel to pixel: kernels about as large as at the start of a training."""
    rng = np.random.default_rng(seed)

    def drawn(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        return rng.normal(0.02, math.sqrt(2 / math.prod(leaf.shape[:-1] or (1e3,))), leaf.shape).astype(np.float32)

    return jax.tree.map(drawn, unet.structure(features)[1])


def write_model(folder: Path, seed: int = 1, *, features: int = 2, split: Split | None = None, **config: Any) -> Path:
    """Write a model folder with one checkpoint; `config` replaces entries of its config.json."""
    folder.mkdir(parents=True)
    parts = to_json(split or Split(train=("a",)))
    (folder / "config.json").write_text(json.dumps(CONFIG | {"features": features, "split": parts} | config))
    with open_checkpoints(folder / "checkpoints") as checkpoints:
        checkpoints.save(1, init_state(small_params(seed, features), keras_adam(0.001)), {})
    return folder
