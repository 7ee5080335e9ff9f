"""Models from disk: a model folder and a Keras file, their digest, and clear refusals."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxmask import unet
from jaxmask.checkpoint import open_checkpoints
from jaxmask.model import digest, load_model
from jaxmask.optimiser import keras_adam
from jaxmask.split import Split
from jaxmask.step import init_state
from preprocess.errors import UserError

CONFIG = {
    "flags": {},
    "convention": "native",
    "calibration": "notice",
    "label_rule": "any",
    "features": 2,
    "patch_size": 64,
    "positive_weight": 0.25,
    "split": {"train": ["b", "a"], "test": ["c"]},
    "versions": {},
}


def _params(value: float, features: int = 2) -> unet.Params:
    return jax.tree.map(lambda leaf: np.full(leaf.shape, value, leaf.dtype), unet.structure(features)[1])


def _model_folder(folder: Path, config: Any = CONFIG, features: int = 2) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    with open_checkpoints(folder / "checkpoints") as checkpoints:
        for step, loss in ((1, 0.1), (2, 0.2)):
            checkpoints.save(step, init_state(_params(step, features), keras_adam(0.001)), {}, {"loss": loss})
    return folder


@pytest.mark.quick
def test_a_model_folder(tmp_path: Path) -> None:
    model = load_model(_model_folder(tmp_path / "model"))
    assert (model.convention, model.calibration, model.positive_weight) == ("native", "notice", 0.25)
    assert (model.features, model.patch_size, model.source) == (2, 64, str(tmp_path / "model"))
    assert model.split == Split(train=("b", "a"), test=("c",))
    assert all(type(leaf) is np.ndarray and np.all(leaf == 2) for leaf in jax.tree.leaves(model.params))
    assert unet.apply(model.graphdef, model.params, np.zeros((1, 8, 8, 9), np.float32)).shape == (1, 8, 8, 1)
    best = load_model(tmp_path / "model", "best")
    assert np.all(best.params["head"]["bias"] == 1)
    assert best.digest != model.digest
    assert model.digest == digest(_params(2.0))


def test_the_regridding_of_older_models_is_their_conventions(tmp_path: Path) -> None:
    assert load_model(_model_folder(tmp_path / "older")).regridding == "mean"
    assert load_model(_model_folder(tmp_path / "original", CONFIG | {"convention": "reference"})).regridding == "resize"
    recorded = CONFIG | {"regridding": "neighbours"}
    assert load_model(_model_folder(tmp_path / "recorded", recorded)).regridding == "neighbours"


def test_digest_is_sha256_over_sorted_names_and_bytes() -> None:
    params = {"b": {"x": np.float32([1, 2])}, "a": np.float32([3])}
    by_hand = hashlib.sha256(b"['a']" + np.float32(3).tobytes() + b"['b']['x']" + np.float32([1, 2]).tobytes())
    assert digest(params) == by_hand.hexdigest()[:16]
    assert digest({"a": params["a"], "b": params["b"]}) == digest(jax.tree.map(jax.numpy.asarray, params))
    assert digest({"a": params["a"], "c": params["b"]}) != digest(params)


def test_the_originals_model(reference: Path) -> None:
    model = load_model(reference / "keras_model_A.h5")
    assert (model.features, model.convention, model.calibration, model.positive_weight) == (
        32,
        "reference",
        "none",
        0.5,
    )
    assert (model.patch_size, model.split) == (256, Split(train=()))
    assert len(model.digest) == 16


def test_refusals_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such model; expected a model folder"):
        load_model(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match=r"empty: expected a model folder, which holds config.json; found none"):
        load_model(empty)
    (empty / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json: expected JSON as jaxmask.train writes it"):
        load_model(empty)
    (empty / "config.json").write_text("[1]")
    with pytest.raises(UserError, match=r"config.json: expected a JSON object, found list"):
        load_model(empty)
    (empty / "config.json").write_text(json.dumps({"features": 2}))
    with pytest.raises(UserError, match=r"config.json: expected the record that jaxmask.train writes.*'split'"):
        load_model(empty)
    for edit in ({"features": 0}, {"positive_weight": 0}, {"split": {"train": [1], "test": []}}):
        (empty / "config.json").write_text(json.dumps(CONFIG | edit))
        with pytest.raises(UserError, match=rf"config.json: .*{next(iter(edit))}.* must be .*put it back as it was"):
            load_model(empty)
    (empty / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(UserError, match="checkpoints: expected a checkpoint, found none; train first"):
        load_model(empty)


def test_other_features_or_channels_are_refused(tmp_path: Path) -> None:
    wide = _model_folder(tmp_path / "wide", CONFIG | {"features": 4})
    with pytest.raises(UserError, match=r"bottom/first/bias of shape \(32,\), found \(16,\): .*number of features"):
        load_model(wide)
    params = _params(0.0)
    params["encoder"]["0"]["first"]["kernel"] = np.zeros((3, 3, 7, 2), np.float32)
    with open_checkpoints(tmp_path / "wide" / "checkpoints") as checkpoints:
        checkpoints.save(3, init_state(params, keras_adam(0.001)), {})
    (wide / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(UserError, match=r"first/kernel of shape \(3, 3, 9, 2\), found \(3, 3, 7, 2\): .*channels"):
        load_model(wide)
