"""Normalisation, labels and weights against hand-computed pixels."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask import pixels

REFS = np.array([[0.0, 0.5, 1.0, 0.25, 0.75, 0.1]], np.float32)
BTS = np.array([[270.0, 292.0, 0.0]], np.float32)
IMAGE = np.array([[-0.5, 0.0, 0.5, -0.25, 0.25, -0.4, 0.0, 1.0, -270.0 / 22.0]])


@pytest.mark.quick
@pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_image_is_reflectances_then_temperatures(array) -> None:
    image = pixels.image(array(REFS), array(BTS))
    assert image.shape == (1, pixels.CHANNELS)
    assert image.dtype == np.float32
    # 1e-6: two float32 roundings of numbers up to 12
    np.testing.assert_allclose(image, IMAGE, atol=1e-6)


def test_image_of_float64_shards_is_float32() -> None:
    image = pixels.image(REFS.astype(np.float64), BTS.astype(np.float64))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, IMAGE, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_image_is_the_formula_bit_for_bit(dtype: str) -> None:
    generator = np.random.default_rng(2)
    refs, bts = generator.random((9, 8, 6)).astype(dtype), generator.uniform(200, 320, (9, 8, 3)).astype(dtype)
    expected = np.concatenate([(refs - 0.5).astype(np.float32), ((bts - 270.0) / 22.0).astype(np.float32)], axis=-1)
    np.testing.assert_array_equal(pixels.image(refs, bts), expected)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_label_is_anything_above_zero(array) -> None:
    bayes = array(np.array([0, 1, 128, 255], np.uint8)[:, None])
    label = pixels.label(bayes)
    assert label.dtype == np.float32
    np.testing.assert_array_equal(label, [[0], [1], [1], [1]])


def test_label_of_grey_float64_flags() -> None:
    np.testing.assert_array_equal(pixels.label(np.array([[0.0], [0.01], [254.9]])), [[0], [1], [1]])


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_weight_needs_both_masks(array) -> None:
    valid = array(np.array([[0], [0], [1], [1]], np.uint8))
    label_valid = array(np.array([[0], [1], [0], [1]], np.uint8))
    weight = pixels.weight(valid, label_valid)
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, [[0], [0], [0], [1]])
