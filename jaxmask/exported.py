"""A trained network for the programs of others: named arrays, a StableHLO program, and what explains them."""

from __future__ import annotations

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export

from jaxmask import unet
from jaxmask.pixels import BT_OFFSET_K, BT_SCALE_K, CHANNELS, REFLECTANCE_CHANNELS, REFLECTANCE_OFFSET, image
from jaxmask.probability import ProbabilityFit
from jaxmask.unet import DEPTH, SIZE_MULTIPLE, Params

SHAPE = f"b, {SIZE_MULTIPLE}*h, {SIZE_MULTIPLE}*w, {CHANNELS}"  # of a program's images: any b, h and w
PLATFORMS = ("cpu", "cuda")

Record = dict[str, Any]


def named_arrays(params: Params) -> dict[str, np.ndarray]:
    """Return the parameters under the names of their places in the tree, "encoder/0/first/kernel", as float32."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf, np.float32)
        for path, leaf in jax.tree.leaves_with_path(params)
    }


def output(graphdef: nnx.GraphDef, params: Params, pixels: jax.Array) -> jax.Array:
    """Sigmoid outputs q (B, H, W, 1) of images (B, H, W, 9) in physical units, both float32; H, W multiples of 8.

    pixels: reflectances S1-S6, then brightness temperatures S7-S9 in K, not normalised. Where one of the nine isn't
    finite all of them count as 0 after normalising, as in `infer`.
    """
    normalised = image(pixels[..., :REFLECTANCE_CHANNELS], pixels[..., REFLECTANCE_CHANNELS:])
    finite = jnp.isfinite(normalised).all(axis=-1, keepdims=True)
    return jax.nn.sigmoid(unet.apply(graphdef, params, jnp.where(finite, normalised, jnp.zeros_like(normalised))))


def program(graphdef: nnx.GraphDef, params: Params) -> bytes:
    """Return `output` with its parameters as a serialised program of `jax.export`, for every size and `PLATFORMS`."""

    def network(pixels: jax.Array) -> jax.Array:
        return output(graphdef, params, pixels)

    images = jax.ShapeDtypeStruct(export.symbolic_shape(SHAPE), np.float32)
    exported = export.export(jax.jit(network), platforms=PLATFORMS)(images)
    return bytes(exported.serialize())


def network_record(features: int, parameters: int) -> Record:
    """Return, for JSON, all that is needed to build the network from its named arrays."""
    return {
        "kind": "U-Net (Ronneberger et al. 2015, arXiv:1505.04597) of the SciML-Bench cloud benchmark",
        "features": features,
        "parameters": parameters,
        "size_multiple": SIZE_MULTIPLE,
        "layers": _layers(),
        "convolution": "kernel (rows, columns, channels in, channels out), not flipped; stride 1, zero padding to the "
        "same size, plus bias, then the activation; several inputs are joined along their channels, in their order",
        "halve": "maximum over 2 x 2 pixels, stride 2",
        "double": "each pixel repeated 2 x 2 times",
    }


def input_record(convention: str, calibration: str, regridding: str, patch_size: int) -> Record:
    """Return, for JSON, what the network must be fed with."""
    reflectance = {"quantity": "reflectance", "unit": "1", "offset": REFLECTANCE_OFFSET, "scale": 1.0}
    temperature = {"quantity": "brightness temperature", "unit": "K", "offset": BT_OFFSET_K, "scale": BT_SCALE_K}
    kinds = [reflectance] * REFLECTANCE_CHANNELS + [temperature] * (CHANNELS - REFLECTANCE_CHANNELS)
    return {
        "channels": [{"name": f"S{number}", **kind} for number, kind in enumerate(kinds, start=1)],
        "normalised": "(value - offset) / scale",
        "missing": "where a channel is not finite all nine are 0 after normalising; so is what pads an image",
        "grid": "nadir view, 1 km",
        "convention": convention,
        "calibration": calibration,
        "regridding": regridding,
        "patch_size": patch_size,
    }


def output_record(positive_weight: float, threshold: float, fit: ProbabilityFit | None = None) -> Record:
    """Return, for JSON, what the network's output means; `fit`: of its probability, where it was calibrated."""
    record = {
        "quantity": "q",
        "cloud": "q > threshold",
        "threshold": threshold,
        "positive_weight": positive_weight,
        "probability": "P(cloud) = q / (q + positive_weight * (1 - q))",
    }
    if fit is None:
        return record
    return record | {
        "probability": "P(cloud) = 1 / (1 + exp(-(slope * ln(q / (1 - q)) + intercept)))",
        "slope": fit.slope,
        "intercept": fit.intercept,
        "fitted_to": {"pixels": fit.pixels, "cloud_pixels": fit.cloud_pixels, "products": list(fit.products)},
    }


def program_record() -> Record:
    """Return, for JSON, how the StableHLO program is called."""
    return {
        "input": f"float32 ({SHAPE}): the channels in physical units, not normalised; missing values as NaN",
        "output": f"float32 ({SHAPE.rpartition(',')[0]}, 1): q",
        "platforms": list(PLATFORMS),
        "use": "jax.export.deserialize(bytes).call(images)",
    }


def onnx_record() -> Record:
    """Return, for JSON, how the ONNX program is called."""
    return {
        "input": f"images: float32 (batch, height, width, {CHANNELS}), normalised; height and width multiples of "
        f"{SIZE_MULTIPLE}",
        "output": "logits: float32 (batch, height, width); q = 1 / (1 + exp(-logits))",
    }


def onnx_texts(record: Record) -> dict[str, str]:
    """Return the metadata of the ONNX program: what its user needs of the export's `record`, as JSON but for texts."""
    about = {name: record["input"][name] for name in ("channels", "normalised", "missing", "convention", "calibration")}
    about |= {"regridding": record["input"]["regridding"]}
    about |= {name: record["output"][name] for name in ("cloud", "threshold", "positive_weight", "probability")}
    about |= {"format": record["format"], "model": record["model"], **record["onnx"]}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in about.items()}


def _layers() -> list[Record]:
    """The convolutions in the order that data flow through them, each with where its input comes from."""
    sources = [["image"]]
    sources += [[f"halve(encoder/{level}/second)"] for level in range(DEPTH)]
    bottoms = ["bottom/second", *(f"decoder/{level}/second" for level in range(DEPTH - 1))]
    sources += [[f"double({bottoms[level]})", f"encoder/{DEPTH - 1 - level}/second"] for level in range(DEPTH)]
    pairs = [f"encoder/{level}" for level in range(DEPTH)] + ["bottom"] + [f"decoder/{level}" for level in range(DEPTH)]
    layers = []
    for pair, source in zip(pairs, sources, strict=True):
        layers.append(_layer(f"{pair}/first", source, "relu"))
        layers.append(_layer(f"{pair}/second", [f"{pair}/first"], "relu"))
    return [*layers, _layer("head", [f"{pairs[-1]}/second"], "sigmoid")]


def _layer(name: str, inputs: list[str], activation: str) -> Record:
    return {
        "name": name,
        "kernel": f"{name}/kernel",
        "bias": f"{name}/bias",
        "inputs": inputs,
        "activation": activation,
    }
