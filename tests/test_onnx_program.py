"""The ONNX program is the network of jax, by onnx's own reference evaluator, and tells what its user needs."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
from flax import nnx
from onnx.reference import ReferenceEvaluator

from jaxmask import exported, unet
from jaxmask.export import make_record
from jaxmask.keras_weights import write_keras_model
from jaxmask.model import load_model
from jaxmask.onnx_program import _spread, program

FEATURES = 2
TOLERANCE = 1e-4  # of logits; float32 through 15 layers, summed in other orders: 2e-6 was seen


def random_network() -> tuple[unet.Params, nnx.GraphDef]:
    """Kernels and biases that are all drawn, so that each must be in its place."""
    rng = np.random.default_rng(3)
    graphdef, shapes = unet.structure(FEATURES)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes), graphdef


@pytest.mark.quick
@pytest.mark.parametrize("shape", [(2, 16, 24), (1, 40, 8)])
def test_logits_are_those_of_jax(shape: tuple[int, int, int]) -> None:
    params, graphdef = random_network()
    images = np.random.default_rng(0).normal(size=(*shape, 9)).astype(np.float32)
    (found,) = ReferenceEvaluator(program(params, {})).run(None, {"images": images})
    expected = np.asarray(jax.jit(unet.apply, static_argnums=0)(graphdef, params, images))[..., 0]
    assert found.shape == shape
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_a_spread_kernel_convolves_the_doubled_image() -> None:
    """By sums over pixels: each spreads 4 x 4 of its products around, two pixels of the output to one of it."""
    rng = np.random.default_rng(1)
    kernel, image = rng.integers(-9, 9, (3, 3, 2, 1)), rng.integers(-9, 9, (3, 5, 2))
    doubled = np.pad(image.repeat(2, axis=0).repeat(2, axis=1), [(1, 1), (1, 1), (0, 0)])
    expected = [[np.sum(doubled[r : r + 3, c : c + 3] * kernel[..., 0]) for c in range(10)] for r in range(6)]
    found = np.zeros((8, 12))
    for row, column in np.ndindex(3, 5):
        products = np.einsum("abco,c->ab", _spread(kernel.astype(np.float32)), image[row, column])
        found[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += products
    np.testing.assert_array_equal(found[1:-1, 1:-1], expected)


def test_the_program_tells_what_its_user_needs(tmp_path: Path) -> None:
    params, _ = random_network()
    write_keras_model(tmp_path / "model.h5", FEATURES, params)
    record = make_record(load_model(tmp_path / "model.h5"), 0.4) | {"onnx": exported.onnx_record()}
    made = program(params, exported.onnx_texts(record))
    onnx.checker.check_model(made, full_check=True)
    (given,), (output,) = made.graph.input, made.graph.output
    assert [each.dim_param or each.dim_value for each in given.type.tensor_type.shape.dim] == [
        "batch", "height", "width", 9
    ]  # fmt: skip
    assert [each.dim_param for each in output.type.tensor_type.shape.dim] == ["batch", "height", "width"]
    about = {each.key: each.value for each in made.metadata_props}
    assert about["model"] == record["model"]
    assert (about["convention"], about["calibration"], about["regridding"]) == ("reference", "none", "resize")
    assert (json.loads(about["threshold"]), json.loads(about["positive_weight"])) == (0.4, 0.5)
    assert json.loads(about["channels"])[8] == record["input"]["channels"][8]
    assert about["input"].startswith("images: float32 (batch, height, width, 9), normalised")
    assert about["output"].endswith("q = 1 / (1 + exp(-logits))")
