"""The U-Net in the words of Keras: the `model_config` of the original's `model.h5`, layer by layer."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from jaxmask.pixels import CHANNELS
from jaxmask.tiles import PATCH_SIZE
from jaxmask.unet import DEPTH

# Whose words these are; the original's file of ../shared/reference has the same.
KERAS_VERSION, KERAS_BACKEND = "3.15.1", "tensorflow"

Config = dict[str, Any]

FLOAT32: Config = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
}
LAYER_NAMES = {
    "InputLayer": "input_layer",
    "Conv2D": "conv2d",
    "ReLU": "re_lu",
    "MaxPooling2D": "max_pooling2d",
    "UpSampling2D": "up_sampling2d",
    "Concatenate": "concatenate",
}


class _Tensor(NamedTuple):
    """What a layer gives: its name, and height, width and channels."""

    layer: str
    shape: tuple[int, int, int]


def keras_config(features: int, size: int = PATCH_SIZE) -> Config:
    """Return the functional Keras model of a U-Net with `features` in its first level, for square images of `size`.

    Its layers are in the order, and have the names, of the original's; the last has a sigmoid.
    """
    graph = _Graph()
    x = graph.input((size, size, CHANNELS))
    skips = []
    for level in range(DEPTH):
        skips.append(graph.pair(x, features * 2**level))
        x = graph.pool(skips[-1])
    x = graph.pair(x, features * 2**DEPTH)
    for level in reversed(range(DEPTH)):
        x = graph.pair(graph.join(graph.upsample(x), skips[level]), features * 2**level)
    last = graph.convolve(x, 1, 1, "sigmoid")
    return {
        "class_name": "Functional",
        "config": {
            "name": "functional",
            "trainable": True,
            "layers": graph.layers,
            "input_layers": [graph.layers[0]["name"], 0, 0],
            "output_layers": [last.layer, 0, 0],
        },
    }


class _Graph:
    """Layers in the order of their making, each named by its kind and number."""

    def __init__(self) -> None:
        self.layers: list[Config] = []
        self._made: Counter[str] = Counter()

    def input(self, shape: tuple[int, int, int]) -> _Tensor:
        config = {"batch_shape": [None, *shape], "dtype": "float32", "sparse": False, "ragged": False}
        name = LAYER_NAMES["InputLayer"]
        whole = config | {"name": name, "optional": False}
        self.layers.append({"class_name": "InputLayer", "config": whole, "name": name, "inbound_nodes": []})
        return _Tensor(name, shape)

    def pair(self, x: _Tensor, filters: int) -> _Tensor:
        """Two 3 x 3 convolutions, each with a ReLU."""
        for _ in range(2):
            x = self.relu(self.convolve(x, filters, 3, "linear"))
        return x

    def convolve(self, x: _Tensor, filters: int, size: int, activation: str) -> _Tensor:
        settings = {
            "filters": filters,
            "kernel_size": [size, size],
            "strides": [1, 1],
            "padding": "same",
            "data_format": "channels_last",
            "dilation_rate": [1, 1],
            "groups": 1,
            "activation": activation,
            "use_bias": True,
            "kernel_initializer": _initializer("HeNormal", {"seed": None, "input_axes": None, "output_axes": None}),
            "bias_initializer": _initializer("Zeros", {}),
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "activity_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
        }
        return self._add("Conv2D", settings, [x], (*x.shape[:2], filters))

    def relu(self, x: _Tensor) -> _Tensor:
        return self._add("ReLU", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, [x], x.shape)

    def pool(self, x: _Tensor) -> _Tensor:
        settings = {"pool_size": [2, 2], "padding": "valid", "strides": [2, 2], "data_format": "channels_last"}
        height, width, channels = x.shape
        return self._add("MaxPooling2D", settings, [x], (height // 2, width // 2, channels))

    def upsample(self, x: _Tensor) -> _Tensor:
        settings = {"size": [2, 2], "data_format": "channels_last", "interpolation": "nearest"}
        height, width, channels = x.shape
        return self._add("UpSampling2D", settings, [x], (2 * height, 2 * width, channels))

    def join(self, x: _Tensor, skip: _Tensor) -> _Tensor:
        shape = (*x.shape[:2], x.shape[2] + skip.shape[2])
        return self._add("Concatenate", {"axis": -1}, [x, skip], shape)

    def _add(self, kind: str, settings: Config, inputs: list[_Tensor], shape: tuple[int, int, int]) -> _Tensor:
        number = self._made[kind]
        self._made[kind] += 1
        name = LAYER_NAMES[kind] + (f"_{number}" if number else "")
        config = {"name": name, "trainable": True, "dtype": FLOAT32, **settings}
        tensors = [_keras_tensor(tensor) for tensor in inputs]
        node = {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": {}}
        self.layers.append({"class_name": kind, "config": config, "name": name, "inbound_nodes": [node]})
        return _Tensor(name, shape)


def _keras_tensor(x: _Tensor) -> Config:
    config = {"shape": [None, *x.shape], "dtype": "float32", "keras_history": [x.layer, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def _initializer(kind: str, config: Config) -> Config:
    return {"module": "keras.initializers", "class_name": kind, "config": config, "registered_name": None}
