"""Edge: the original's `model.h5` (legacy Keras HDF5): read as our parameters, and written, with h5py alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jaxmask.keras_config import KERAS_BACKEND, KERAS_VERSION, keras_config
from jaxmask.pixels import CHANNELS
from jaxmask.unet import Params, layer_paths, structure
from preprocess.errors import UserError
from preprocess.hdf import new_hdf

Layer = tuple[str, list[np.ndarray]]  # its name, its kernel and bias


def read_keras_model(path: Path) -> tuple[int, Params]:
    """Read the U-Net that the original (or anyone, with Keras' `save` to .h5 or `save_weights`) wrote.

    Returns the number of features in its first level and its parameters, numpy float32, as `unet.create` nests them.
    The layers' names are free; their order, and every shape, must be the U-Net's.
    Raises UserError naming file, layer, the shape expected and the one found.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a Keras model (.h5)")
    try:
        with h5py.File(path) as file:
            layers = _weighted_layers(path, file)
    except OSError as error:
        raise UserError(
            f"{path}: expected a Keras model in HDF5, found something else or a truncated file ({error}); "
            'write it in Keras with model.save("model.h5")'
        ) from error
    return _to_params(path, layers)


def write_keras_model(path: Path, features: int, params: Params) -> None:
    """Write what Keras' `save` writes for the original's U-Net with these parameters; Keras' `load_model` reads it.

    features: of the first level; params: as `unet.create` nests them, float32. Whole or not at all.
    """
    layers = keras_config(features)["config"]["layers"]
    paths = iter(layer_paths())
    about = {"backend": KERAS_BACKEND, "keras_version": KERAS_VERSION}
    with new_hdf(path) as file:
        file.attrs.update(about | {"model_config": json.dumps(keras_config(features))})
        root = file.create_group("model_weights")
        root.attrs.update(about | {"layer_names": _names(layer["name"] for layer in layers)})
        root.create_group("top_level_model_weights").attrs["weight_names"] = np.array([])
        for layer in layers:
            group, weights = root.create_group(layer["name"]), {}
            if layer["class_name"] == "Conv2D":
                branch = _branch(params, next(paths))
                weights = {f"{layer['name']}/{kind}": branch[kind] for kind in ("kernel", "bias")}
            group.attrs["weight_names"] = _names(weights) if weights else np.array([])
            for name, weight in weights.items():
                group[name] = np.asarray(weight, np.float32)


def _weighted_layers(path: Path, file: h5py.File) -> list[Layer]:
    """Kernel and bias of each layer that has weights, in the order of the layers."""
    root = file.get("model_weights", file)  # `save_weights` writes the layers at the top
    if "layer_names" not in root.attrs:
        found = ", ".join(sorted(file)[:8]) or "nothing"
        raise UserError(f"{path}: expected a Keras model, with attribute layer_names; found a file that holds {found}")
    layers = []
    for name in map(_text, root.attrs["layer_names"]):
        group = root.get(name)
        if group is None or "weight_names" not in group.attrs:
            raise UserError(f"{path}: layer {name}: expected a group with attribute weight_names, found none")
        names = [_text(weight) for weight in group.attrs["weight_names"]]
        lost = [weight for weight in names if weight not in group]
        if lost:
            raise UserError(f"{path}: layer {name}: its weights {', '.join(lost)} are missing from the file")
        if names:
            layers.append((name, [np.asarray(group[weight]) for weight in names]))
    return layers


def _to_params(path: Path, layers: list[Layer]) -> tuple[int, Params]:
    paths = layer_paths()
    if len(layers) != len(paths):
        raise UserError(
            f"{path}: expected the {len(paths)} convolutions of the original's U-Net, "
            f"found {len(layers)} layers with weights"
        )
    features = _features(path, *layers[0])
    params = structure(features)[1]
    for at, (name, weights) in zip(paths, layers, strict=True):
        branch = _branch(params, at)
        expected = [branch["kernel"].shape, branch["bias"].shape]
        found = [weight.shape for weight in weights]
        if found != expected:
            raise UserError(f"{path}: layer {name}: expected kernel and bias of shapes {expected}, found {found}")
        if not all(np.issubdtype(weight.dtype, np.floating) and np.isfinite(weight).all() for weight in weights):
            raise UserError(f"{path}: layer {name}: expected finite numbers, found others; the model is spoilt")
        branch["kernel"], branch["bias"] = (weight.astype(np.float32) for weight in weights)
    return features, params


def _features(path: Path, name: str, weights: list[np.ndarray]) -> int:
    shape = weights[0].shape
    if len(shape) != 4:
        raise UserError(f"{path}: layer {name}: expected a 3 x 3 convolution, found a kernel of shape {shape}")
    if shape[2] != CHANNELS:
        raise UserError(
            f"{path}: layer {name}: expected {CHANNELS} channels (reflectances S1-S6, temperatures S7-S9), "
            f"found {shape[2]}"
        )
    return shape[3]


def _branch(params: Params, path: tuple[str, ...]) -> Any:
    branch: Any = params
    for key in path:
        branch = branch[key]
    return branch


def _names(names: Iterable[str]) -> np.ndarray:
    return np.array(list(names), h5py.string_dtype())


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
