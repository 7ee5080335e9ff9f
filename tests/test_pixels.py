"""Normalisation, labels and weights against hand-computed pixels."""

from __future__ import annotations

import jax
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


def every_count() -> np.ndarray:
    """Each of the 65,536 counts in each of the nine channels: (2, 128, 256, 9)."""
    counts = np.arange(-(2**15), 2**15).astype(np.int16).reshape(2, 128, 256, 1)
    return np.broadcast_to(counts, (2, 128, 256, 9))


def a_batch(image: np.ndarray, **more: np.ndarray) -> dict[str, np.ndarray]:
    flat = np.random.default_rng(0).integers(0, 2, (2, *image.shape[:-1], 1)).astype(np.uint8)
    return {"image": image, "label": flat[0], "weight": flat[1], **more}


@pytest.mark.quick
@pytest.mark.parametrize("compiled", [True, False])
def test_every_count_is_decoded_exactly(compiled: bool) -> None:
    batch = a_batch(every_count())
    found = (jax.jit(pixels.decode) if compiled else pixels.decode)(batch)
    exact = batch["image"].astype(np.float64) * pixels.STEPS + pixels.CENTRES
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.asarray(found["image"], np.float64), exact)
    for name in ("label", "weight"):
        np.testing.assert_array_equal(found[name], batch[name])


def test_decodes_to_float64_where_asked() -> None:
    batch = a_batch(every_count())
    with jax.enable_x64(True):
        found = jax.jit(lambda batch: pixels.decode(batch, np.float64))(batch)
        assert {array.dtype for array in found.values()} == {np.dtype(np.float64)}
        exact = batch["image"].astype(np.float64) * pixels.STEPS + pixels.CENTRES
        np.testing.assert_array_equal(found["image"], exact)


def test_counts_are_the_nearest_and_held_at_the_ends() -> None:
    rng = np.random.default_rng(1)
    normalised = rng.uniform(-0.9, 2.9, (1000, 9)).astype(np.float32)
    given_back = np.asarray(pixels.decode(a_batch(pixels.quantise(normalised)[None, :, None]))["image"])[0, :, 0]
    # 3e-7: float32 rounding of a difference of up to 4
    assert (abs(given_back.astype(np.float64) - normalised) <= pixels.STEPS / 2 + 3e-7).all()
    extremes = pixels.image(np.array([[-0.5] * 6, [7.49] * 6]), np.array([[0.0] * 3, [335.0] * 3]))
    given_back = pixels.decode(a_batch(pixels.quantise(extremes)[None, :, None]))["image"][0, :, 0]
    np.testing.assert_allclose(given_back, extremes, rtol=0, atol=float(pixels.STEPS.max()))
    ends = pixels.quantise(np.array([[100.0] * 9, [-100.0] * 9], np.float32))
    np.testing.assert_array_equal(ends, [[2**15 - 1] * 9, [-(2**15)] * 9])


def test_a_float_image_is_taken_as_it_is() -> None:
    image = np.random.default_rng(2).normal(size=(2, 4, 4, 9)).astype(np.float32)
    np.testing.assert_array_equal(pixels.decode(a_batch(image))["image"], image)


def slowly_turned(patch: np.ndarray, code: int) -> np.ndarray:
    """Pixel by pixel: pixel (i, j) of the turned patch comes from where the code's bits say."""
    last = len(patch) - 1
    found = np.empty_like(patch)
    for i in range(len(patch)):
        for j in range(len(patch)):
            row, column = (j, i) if code & 4 else (i, j)
            found[i, j] = patch[last - row if code & 1 else row, last - column if code & 2 else column]
    return found


@pytest.mark.quick
def test_image_label_and_weight_turn_alike_in_all_8_ways() -> None:
    rng = np.random.default_rng(3)
    codes = np.array([5, 0, 7, 3, 1, 2, 4, 6, 5], np.uint8)
    batch = {
        "image": rng.integers(-(2**15), 2**15, (9, 6, 6, 9)).astype(np.int16),
        "label": rng.integers(0, 2, (9, 6, 6, 1)).astype(np.uint8),
        "weight": rng.integers(0, 2, (9, 6, 6, 1)).astype(np.uint8),
    }
    found = jax.jit(pixels.decode)(batch | {"turn": codes})
    for name, array in batch.items():
        turned = np.stack([slowly_turned(patch, code) for patch, code in zip(array, codes, strict=True)])
        wanted = pixels.decode(batch | {name: turned})[name]
        np.testing.assert_array_equal(found[name], wanted)
    corner = np.arange(4).reshape(1, 2, 2, 1)
    ways = {tuple(np.asarray(pixels.turned(jax.numpy.asarray(corner), np.array([code]))).ravel()) for code in range(8)}
    quarter_turns = [np.rot90(corner[0, ..., 0], turns) for turns in range(4)]
    assert ways == {tuple(each.ravel()) for turned in quarter_turns for each in (turned, turned.T)}
