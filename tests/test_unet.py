"""The U-Net: its size, its initial weights, and its output against explicit loops in float64."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask import unet


@pytest.mark.quick
def test_the_originals_size() -> None:
    _, params = unet.structure(unet.FEATURES)
    assert unet.count_parameters(params) == 1_948_609


def test_parameters_are_plain_dicts_of_float32() -> None:
    _, params = unet.create(4, seed=0)
    assert list(params) == ["bottom", "decoder", "encoder", "head"]
    assert list(params["encoder"]) == ["0", "1", "2"]
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    assert all(type(key.key) is str for path, _ in jax.tree.leaves_with_path(params) for key in path)


def test_structure_is_that_of_the_created() -> None:
    (made, params), (planned, shapes) = unet.create(4, seed=1), unet.structure(4)
    assert made == planned
    assert hash(made) == hash(planned)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda leaf: leaf.shape, shapes)


def test_layer_paths_name_every_convolution_in_order() -> None:
    _, params = unet.structure(8)
    shapes = []
    for path in unet.layer_paths():
        layer = params
        for key in path:
            layer = layer.pop(key) if key == path[-1] else layer[key]
        assert set(layer) == {"kernel", "bias"}
        shapes.append(layer["kernel"].shape)
    assert jax.tree.leaves(params) == []  # nothing left over
    inputs_outputs = [(9, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64),
                      (96, 32), (32, 32), (48, 16), (16, 16), (24, 8), (8, 8), (8, 1)]  # fmt: skip
    assert shapes == [(3, 3, *pair) for pair in inputs_outputs[:-1]] + [(1, 1, 8, 1)]


def test_initial_kernels_are_truncated_he_normal() -> None:
    _, params = unet.create(32, seed=3)
    kernel = np.asarray(params["bottom"]["second"]["kernel"])
    # variance 2 / fan_in after truncation at 2 sigma; 589,824 draws: 1 % is ten standard errors
    deviation = np.sqrt(2 / (3 * 3 * 256))
    assert kernel.std() == pytest.approx(deviation, rel=0.01)
    assert abs(kernel).max() <= 2 * deviation / 0.87962566 * 1.0001  # deviation of a unit normal cut at +-2
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(params) if leaf.ndim == 1)


def test_seed_decides() -> None:
    first, same, other = (unet.create(4, seed)[1]["head"]["kernel"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


@pytest.mark.quick
def test_output_against_loops_in_float64() -> None:
    graphdef, params = unet.create(2, seed=0)
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)  # biases that count
    images = np.random.default_rng(0).normal(size=(2, 16, 24, 9)).astype(np.float32)
    logits = jax.jit(lambda p, x: unet.apply(graphdef, p, x))(params, images)
    assert logits.shape == (2, 16, 24, 1)
    assert logits.dtype == jnp.float32
    slow = _slow_unet(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params), images.astype(np.float64))
    # float32 through 15 layers: 1e-5 of the largest logit
    np.testing.assert_allclose(logits, slow, atol=1e-5 * abs(slow).max())


def test_computes_in_bfloat16_and_keeps_float32_parameters() -> None:
    graphdef, params = unet.create(4, seed=0)
    images = np.random.default_rng(1).normal(size=(1, 16, 16, 9)).astype(np.float32)

    def mean_square(params: unet.Params, dtype: type) -> tuple[jax.Array, jax.Array]:
        logits = unet.apply(graphdef, params, images, dtype)
        return jnp.mean(logits**2), logits

    (coarse, logits), gradient = jax.value_and_grad(mean_square, has_aux=True)(params, jnp.bfloat16)
    assert logits.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype(jnp.float32)}
    text = str(jax.make_jaxpr(partial(mean_square, dtype=jnp.bfloat16))(params))
    assert "f32[1,16,16,4] = conv" not in text  # every convolution is of bfloat16
    assert "bf16[1,16,16,4] = conv" in text
    # 8 bits of mantissa through 15 layers: 3 % of the mean square; and not the float32 answer
    fine = float(mean_square(params, jnp.float32)[0])
    assert float(coarse) == pytest.approx(fine, rel=0.03)
    assert float(coarse) != fine


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    graphdef, params = unet.create(2, seed=0)
    for shape in [(1, 12, 16, 9), (1, 16, 20, 9), (1, 16, 16, 8)]:
        with pytest.raises(ValueError, match=r"multiples of 8 and 9 channels; found \(1, "):
            unet.apply(graphdef, params, jnp.zeros(shape))


def _slow_unet(params: dict, x: np.ndarray) -> np.ndarray:
    def pair(x: np.ndarray, at: dict) -> np.ndarray:
        return _relu_conv(_relu_conv(x, at["first"]), at["second"])

    skips = []
    for level in "012":
        skips.append(pair(x, params["encoder"][level]))
        up = skips[-1]
        x = np.maximum.reduce([up[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    x = pair(x, params["bottom"])
    for level in "012":
        x = np.kron(x, np.ones((1, 2, 2, 1)))
        x = pair(np.concatenate([x, skips.pop()], axis=-1), params["decoder"][level])
    return np.einsum("bhwi,io->bhwo", x, params["head"]["kernel"][0, 0]) + params["head"]["bias"]


def _relu_conv(x: np.ndarray, at: dict) -> np.ndarray:
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = np.zeros((*x.shape[:3], at["kernel"].shape[-1]))
    for i in range(3):
        for j in range(3):
            total += padded[:, i : i + height, j : j + width] @ at["kernel"][i, j]
    return np.maximum(total + at["bias"], 0)
