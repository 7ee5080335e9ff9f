"""Edge: a trained model from disk: our model folder, or the original's `model.h5`."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxmask.averaging import DIGEST_LETTERS
from jaxmask.checkpoint import Which, restore_params
from jaxmask.keras_weights import read_keras_model
from jaxmask.losses import POSITIVE_WEIGHT
from jaxmask.probability import ProbabilityFit
from jaxmask.probability_file import read_fits
from jaxmask.split import Split, recorded_split
from jaxmask.tiles import PATCH_SIZE
from jaxmask.unet import Params, structure
from preprocess.compose import CONVENTIONS, usual_regridding
from preprocess.errors import UserError

CONFIG = "config.json"
CHECKPOINTS_NAME = "checkpoints"


@dataclass(frozen=True, eq=False)
class Model:
    """A network and what it must be fed with."""

    graphdef: nnx.GraphDef
    params: Params  # numpy float32; put them on the devices once
    features: int
    convention: str  # of its input: "native" | "reference"
    calibration: str  # of its input: "none" | "notice" | a user's factors in the words of preprocess.calibration
    regridding: str  # of its input: "mean" | "neighbours" | "resize"
    positive_weight: float  # of its loss: P(cloud) has logit q - ln(positive_weight)
    digest: str  # names the parameters: 16 hexadecimal letters of their SHA-256
    source: str  # the path it was read from
    patch_size: int  # pixels, of its training
    split: Split  # the products it learnt from; all parts empty where unknown
    probability_fits: tuple[ProbabilityFit, ...] = ()  # of its folder; not all need be of these parameters


def load_model(path: Path, checkpoint: Which = "latest") -> Model:
    """Read a model folder (its latest or best checkpoint) or a Keras `.h5` of the original.

    A Keras model takes the original's input (convention "reference", uncalibrated) and has its loss weight, 0.5.
    Raises UserError naming the file and what is wrong with it.
    """
    if path.is_dir():
        return _from_folder(path, checkpoint)
    if not path.exists():
        raise UserError(f"{path}: no such model; expected a model folder of jaxmask.train or a Keras model.h5")
    features, params = read_keras_model(path)
    _check_finite(path, params)
    return Model(
        graphdef=structure(features)[0],
        params=params,
        features=features,
        convention="reference",
        calibration="none",
        regridding=usual_regridding("reference"),
        positive_weight=POSITIVE_WEIGHT,
        digest=digest(params),
        source=str(path),
        patch_size=PATCH_SIZE,
        split=Split(train=()),
    )


def digest(params: Params) -> str:
    """First 16 hexadecimal letters of the SHA-256 of the names and little-endian float32 bytes, sorted by name."""
    named = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
    total = hashlib.sha256()
    for name in sorted(named):
        total.update(name.encode())
        total.update(np.asarray(named[name], "<f4").tobytes())
    return total.hexdigest()[:DIGEST_LETTERS]


def _from_folder(folder: Path, checkpoint: Which) -> Model:
    config = _read_config(folder / CONFIG)
    try:
        features, split = int(config["features"]), recorded_split(config["split"])
        positive_weight = float(config["positive_weight"])
        if features < 1 or not 0 < positive_weight < math.inf:
            raise ValueError("features and positive_weight must be above 0, and finite")
        if config["convention"] not in CONVENTIONS:
            raise ValueError(f"'convention' must be one of {', '.join(CONVENTIONS)}; found {config['convention']!r}")
        graphdef, shapes = structure(features)
        params = restore_params(folder / CHECKPOINTS_NAME, shapes, checkpoint)
        _check_finite(folder, params)
        return Model(
            graphdef=graphdef,
            params=params,
            features=features,
            convention=str(config["convention"]),
            calibration=str(config["calibration"]),
            regridding=str(config.get("regridding", usual_regridding(str(config["convention"])))),
            positive_weight=positive_weight,
            digest=digest(params),
            source=str(folder),
            patch_size=int(config["patch_size"]),
            split=split,
            probability_fits=read_fits(folder),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{folder / CONFIG}: expected the record that jaxmask.train writes, found another "
            f"({type(error).__name__}: {error}); put it back as it was, or train again"
        ) from error


def _check_finite(path: Path, params: Params) -> None:
    for place, leaf in jax.tree.leaves_with_path(params):
        if not np.isfinite(leaf).all():
            raise UserError(
                f"{path}: the parameters {jax.tree_util.keystr(place, simple=True, separator='/')} are not all finite, "
                "as after a training that diverged, so every output would be NaN; take --checkpoint best, or train "
                "again with a lower --learning-rate"
            )


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path.parent}: expected a model folder, which holds {CONFIG}; found none")
    try:
        config = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: expected JSON as jaxmask.train writes it, found otherwise ({error})") from error
    if not isinstance(config, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(config).__name__}")
    return config
