"""The original's model.h5: our logits against its outputs, small files of the same layout, and clear refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
import pytest

from jaxmask import unet
from jaxmask.keras_weights import read_keras_model, write_keras_model
from preprocess.errors import UserError


def _write(path: Path, change: Callable[[list], None] = lambda layers: None, features: int = 2) -> Path:
    """A legacy Keras file of a U-Net with numbered weights; `change` may spoil its layers (name, kernel, bias)."""
    rng = np.random.default_rng(0)
    params = unet.structure(features)[1]
    layers = []
    for index, at in enumerate(unet.layer_paths()):
        layer = params
        for key in at:
            layer = layer[key]
        kernel, bias = (rng.normal(size=layer[name].shape).astype("f4") for name in ("kernel", "bias"))
        layers.append([f"conv2d_{index}", kernel, bias])
    change(layers)
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"input_1", *(name.encode() for name, _, _ in layers)]
        root.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for name, kernel, bias in layers:
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]  # as Keras 2
            group[f"{name}/kernel:0"], group[f"{name}/bias:0"] = kernel, bias
    return path


def test_logits_are_the_originals(reference: Path) -> None:
    recorded = np.load(reference / "model_A.npz")
    features, params = read_keras_model(reference / "keras_model_A.h5")
    assert features == 32
    assert unet.count_parameters(params) == 1_948_609
    graphdef, shapes = unet.structure(features)
    assert jax.tree.map(np.shape, params) == jax.tree.map(lambda leaf: leaf.shape, shapes)
    x = np.random.RandomState(int(recorded["seed"])).normal(0, 1, (1, 256, 256, 9)).astype(np.float32)
    logits = jax.jit(lambda p, images: unet.apply(graphdef, p, images))(params, x)
    logits, output = np.asarray(logits, np.float64), recorded["y"].astype(np.float64)
    # 1e-4 relative: float32 through 15 convolutions, summed in another order (6e-6 was seen)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), output, rtol=1e-4)
    # Logits near 0 have lost digits to the recorded float32 output: relative to the largest.
    np.testing.assert_allclose(logits, np.log(output / (1 - output)), atol=1e-4 * abs(logits).max())


@pytest.mark.quick
def test_layers_go_where_they_belong(tmp_path: Path) -> None:
    written = []
    features, params = read_keras_model(_write(tmp_path / "model.h5", lambda layers: written.extend(layers), 4))
    assert features == 4
    for at, (_, kernel, bias) in zip(unet.layer_paths(), written, strict=True):
        layer = params
        for key in at:
            layer = layer[key]
        assert layer["kernel"].dtype == np.float32
        np.testing.assert_array_equal(layer["kernel"], kernel)
        np.testing.assert_array_equal(layer["bias"], bias)


def test_weights_without_the_model_around_them(tmp_path: Path) -> None:
    path = _write(tmp_path / "model.h5")
    with h5py.File(path) as file, h5py.File(tmp_path / "weights.h5", "w") as bare:
        for name in file["model_weights"]:
            file.copy(f"model_weights/{name}", bare)
        bare.attrs["layer_names"] = file["model_weights"].attrs["layer_names"]
    both = [read_keras_model(tmp_path / name)[1] for name in ("model.h5", "weights.h5")]
    assert all(map(np.array_equal, *map(jax.tree.leaves, both)))


def _fewer_channels(layers: list) -> None:
    layers[0][1] = layers[0][1][:, :, :7]


def _narrow(layers: list) -> None:
    layers[4][1] = layers[4][1][..., :3]


def _short(layers: list) -> None:
    layers.pop()


def _dense(layers: list) -> None:
    layers[0][1] = layers[0][1][0, 0]


def _spoilt(layers: list) -> None:
    layers[2][2][0] = np.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_fewer_channels, r"layer conv2d_0: expected 9 channels .*, found 7"),
        (
            _narrow,
            r"layer conv2d_4: expected kernel and bias of shapes \[\(3, 3, 4, 8\), \(8,\)\], found .*\(3, 3, 4, 3\)",
        ),
        (_short, "expected the 15 convolutions of the original's U-Net, found 14 layers"),
        (_dense, r"layer conv2d_0: expected a 3 x 3 convolution, found a kernel of shape \(9, 2\)"),
        (_spoilt, "layer conv2d_2: expected finite numbers"),
    ],
)
def test_another_network_is_refused(tmp_path: Path, change: Callable[[list], None], message: str) -> None:
    path = _write(tmp_path / "model.h5", change)
    with pytest.raises(UserError, match=f"^{path}: {message}"):
        read_keras_model(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.h5: no such file"):
        read_keras_model(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("no model")
    with pytest.raises(UserError, match=r"text.h5: expected a Keras model in HDF5.*model.save\(\"model.h5\"\)"):
        read_keras_model(text)
    whole = _write(tmp_path / "whole.h5")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UserError, match=r"cut.h5: expected a Keras model in HDF5, .*truncated"):
        read_keras_model(cut)
    with h5py.File(tmp_path / "shard.hdf", "w") as file:
        file["bts"] = np.zeros(3)
    with pytest.raises(UserError, match=r"shard.hdf: expected a Keras model.*found a file that holds bts"):
        read_keras_model(tmp_path / "shard.hdf")
    with h5py.File(whole, "a") as file:
        del file["model_weights/conv2d_3/conv2d_3/bias:0"]
    with pytest.raises(UserError, match="layer conv2d_3: its weights conv2d_3/bias:0 are missing"):
        read_keras_model(whole)
    with h5py.File(whole, "a") as file:
        del file["model_weights/conv2d_1"]
    with pytest.raises(UserError, match="layer conv2d_1: expected a group with attribute weight_names"):
        read_keras_model(whole)


def _contents(path: Path) -> dict[str, Any]:
    """Every attribute and the type and shape of every dataset of an HDF5 file, by name."""
    found: dict[str, Any] = {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        attributes = {key: np.asarray(value).tolist() for key, value in item.attrs.items()}
        found[name] = (attributes, str(item.dtype), item.shape) if isinstance(item, h5py.Dataset) else attributes

    with h5py.File(path) as file:
        note("/", file)
        file.visititems(note)
    return found


def test_what_is_written_is_the_originals_file(reference: Path, tmp_path: Path) -> None:
    original, ours = reference / "keras_model_A.h5", tmp_path / "model.h5"
    features, params = read_keras_model(original)
    write_keras_model(ours, features, params)
    assert _contents(ours) == _contents(original)  # names, order, attributes, Keras' own description of the layers
    again, read = read_keras_model(ours)
    assert again == features
    assert all(map(np.array_equal, jax.tree.leaves(read), jax.tree.leaves(params)))


@pytest.mark.quick
def test_written_weights_are_read_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    shapes = unet.structure(4)[1]
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    write_keras_model(tmp_path / "model.h5", 4, params)
    features, read = read_keras_model(tmp_path / "model.h5")
    assert features == 4
    assert all(map(np.array_equal, jax.tree.leaves(read), jax.tree.leaves(params)))
    with h5py.File(tmp_path / "model.h5") as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
        assert list(file["model_weights"].attrs["layer_names"]) == [layer["name"] for layer in layers]
    # by hand: 14 convolutions with a ReLU, 3 poolings, 3 upsamplings, 3 joins, the head and the input
    assert len(layers) == 14 * 2 + 3 + 3 + 3 + 2
    filters = [layer["config"]["filters"] for layer in layers if layer["class_name"] == "Conv2D"]
    assert filters == [4, 4, 8, 8, 16, 16, 32, 32, 16, 16, 8, 8, 4, 4, 1]
