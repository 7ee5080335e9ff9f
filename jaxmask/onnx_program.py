"""The network as an ONNX program (https://onnx.ai), for runtimes other than jax; needs the extra `export`, `openvino`.

Built node by node with onnx's own helpers: that depends on nothing but the order of the layers, where a translator of
jax programs (jax2onnx) would bind us to its versions of jax and flax, and to what jax makes of the network on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jaxmask.pixels import CHANNELS
from jaxmask.unet import DEPTH, Params, layer_paths

INPUT, OUTPUT = "images", "logits"
AXES = ("batch", "height", "width")  # of any size; height and width multiples of unet.SIZE_MULTIPLE
# The oldest versions that hold every operator in the form used here: what any runtime since 2020 reads.
OPSET, IR_VERSION = 13, 7
CHANNELS_FIRST = (0, 3, 1, 2)  # (B, H, W, C) to ONNX's (B, C, H, W)
SUMS_FIRST, INPUTS_FIRST = (3, 2, 0, 1), (2, 3, 0, 1)  # kernels (rows, columns, in, out) for Conv, for ConvTranspose
CHANNEL_AXIS = "channel axis"
# Taps of three over two equal pixels each, as taps of four that spread one pixel: see `_spread`.
SPREAD = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)


def program(params: Params, about: Mapping[str, str]) -> onnx.ModelProto:
    """Return logits (B, H, W) float32 of normalised images (B, H, W, 9) float32, H and W multiples of 8, in ONNX.

    params: as `unet.create` nests them; about: texts for the model's metadata.
    The function is that of `unet.apply` in float32, but for rounding.
    """
    graph = helper.make_graph(
        _nodes(),
        "unet",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [*AXES, CHANNELS])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, AXES)],
        [*_weights(params), numpy_helper.from_array(np.array([1], np.int64), CHANNEL_AXIS)],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="jaxmask", ir_version=IR_VERSION, opset_imports=opsets)
    helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model, full_check=True)
    return model


def _weights(params: Params) -> list[TensorProto]:
    """Kernels and biases under the names of their places, "encoder/0/first/kernel"; joined ones in their two parts."""
    named: dict[str, np.ndarray] = {}
    for path in layer_paths():
        layer = params
        for key in path:
            layer = layer[key]
        name, kernel = "/".join(path), np.asarray(layer["kernel"], np.float32)
        named[f"{name}/bias"] = np.asarray(layer["bias"], np.float32)
        if _is_joined(path):
            low, kernel = np.split(kernel, [kernel.shape[2] - kernel.shape[3]], axis=2)
            named[f"{name}/spread"] = _spread(low).transpose(INPUTS_FIRST)
        named[f"{name}/kernel"] = kernel.transpose(SUMS_FIRST)
    return [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in named.items()]


def _is_joined(path: Sequence[str]) -> bool:
    """Whether the layer's input is [the lower level's, doubled; the skipped], which has as many channels as its output
    and twice as many."""
    return path[0] == "decoder" and path[-1] == "first"


def _spread(kernel: np.ndarray) -> np.ndarray:
    """The kernel (4, 4, I, O) whose transposed convolution with stride 2 is `kernel` (3, 3, I, O) over a doubled image.

    A doubled row's three neighbours are two rows of the image, one of them twice: output row 2 r takes taps 1 and 2
    from row r and tap 0 from row r - 1; row 2 r + 1 takes taps 0 and 1 from r and 2 from r + 1. So row r spreads
    taps 2, 1 + 2, 0 + 1 and 0 over the output rows 2 r - 1 to 2 r + 2; likewise with columns. 4 products for every 9,
    and the doubled image is never made: a fifth less time in OpenVINO for the whole network.
    """
    return np.einsum("ai,bj,ijco->abco", SPREAD, SPREAD, kernel)


def _nodes() -> list[onnx.NodeProto]:
    """The operators, in the order that data flow through them; each is named as its output."""
    nodes = [_node("Transpose", [INPUT], "channels first", perm=CHANNELS_FIRST)]
    skips, x = [], "channels first"
    for level in range(DEPTH):
        nodes += [*_layer(x, f"encoder/{level}/first"), *_layer(f"encoder/{level}/first", f"encoder/{level}/second")]
        skips.append(f"encoder/{level}/second")
        x = f"halve/{level}"
        nodes.append(_node("MaxPool", [skips[-1]], x, kernel_shape=[2, 2], strides=[2, 2]))
    nodes += [*_layer(x, "bottom/first"), *_layer("bottom/first", "bottom/second")]
    x = "bottom/second"
    for level, skip in enumerate(reversed(skips)):
        first, second = f"decoder/{level}/first", f"decoder/{level}/second"
        nodes += [*_joined_layer(x, skip, first), *_layer(first, second)]
        x = second
    nodes.append(_node("Conv", [x, "head/kernel", "head/bias"], "head", kernel_shape=[1, 1]))
    return [*nodes, _node("Squeeze", ["head", CHANNEL_AXIS], OUTPUT)]


def _layer(x: str, name: str) -> list[onnx.NodeProto]:
    """A 3 x 3 convolution of the same size, with bias and ReLU."""
    return [_convolution(x, name, f"{name}/sums"), _node("Relu", [f"{name}/sums"], name)]


def _joined_layer(low: str, skip: str, name: str) -> list[onnx.NodeProto]:
    """The same of [low doubled to its nearest neighbours, skip]."""
    spread = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    return [
        _node("ConvTranspose", [low, f"{name}/spread"], f"{name}/low", **spread),
        _convolution(skip, name, f"{name}/skip"),
        _node("Add", [f"{name}/skip", f"{name}/low"], f"{name}/sums"),
        _node("Relu", [f"{name}/sums"], name),
    ]


def _convolution(x: str, name: str, output: str) -> onnx.NodeProto:
    inputs = [x, f"{name}/kernel", f"{name}/bias"]
    return _node("Conv", inputs, output, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], name=output, **attributes)
