"""Whole-scene prediction has no seams; the original's tiles give the same away from their zero padding."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from jaxmask import predict, unet
from jaxmask.predict import cloud_probability, predict_scene, predict_tiles

REACH = 56  # pixels, at least the network's reach (51) and a multiple of 8
CLOSE = {"rtol": 0, "atol": 1e-5}  # float32 convolutions whose sums are in another order


@pytest.fixture(scope="module")
def network() -> tuple[Any, Any]:
    graphdef, params = unet.create(4, 1)
    # Zero biases would make the output near 0.5 everywhere; these spread it.
    return graphdef, jax.tree.map(lambda leaf: leaf + 0.05 if leaf.ndim == 1 else leaf, params)


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (height, width, 9)).astype(np.float32)


@pytest.mark.quick
def test_scene_is_the_sigmoid_of_the_network(network: tuple[Any, Any]) -> None:
    image = random_image(40, 48)
    logits = np.asarray(unet.apply(*network, image[None]))[0, ..., 0].astype(np.float64)
    found = predict_scene(*network, image)
    assert (found.shape, found.dtype) == ((40, 48), np.float32)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), **CLOSE)
    assert found.std() > 0.01


def test_padding_does_not_reach_the_interior(network: tuple[Any, Any]) -> None:
    image = random_image(136, 144)
    whole, cropped = predict_scene(*network, image), predict_scene(*network, image[:131, :138])
    assert cropped.shape == (131, 138)
    np.testing.assert_allclose(cropped[: 131 - REACH, : 138 - REACH], whole[: 131 - REACH, : 138 - REACH], **CLOSE)
    assert np.isfinite(cropped).all()


def test_whole_scene_equals_tiles_with_halo(network: tuple[Any, Any]) -> None:
    image = random_image(200, 176, 2)
    whole = predict_scene(*network, image)
    for top, left in [(0, 0), (0, 24), (48, 0), (48, 24)]:
        tile = predict_scene(*network, image[top : top + 152, left : left + 152])
        rows = slice(REACH if top else 0, 152 - REACH if top + 152 < 200 else 152)
        columns = slice(REACH if left else 0, 152 - REACH if left + 152 < 176 else 152)
        expected = whole[top : top + 152, left : left + 152][rows, columns]
        np.testing.assert_allclose(tile[rows, columns], expected, **CLOSE)


def test_reference_tiles_equal_a_loop_over_tiles(network: tuple[Any, Any]) -> None:
    # 100 x 90 pixels in tiles of 64 at stride 48: 3 x 2 tiles, padding 30 + 30 rows and 11 + 11 columns.
    image = random_image(100, 90, 3)
    padded = np.pad(image, [(30, 30), (11, 11), (0, 0)])
    expected = np.zeros((144, 96), np.float32)
    for row in (0, 48, 96):
        for column in (0, 48):
            tile = predict_scene(*network, padded[row : row + 64, column : column + 64])
            expected[row : row + 48, column : column + 48] = tile[8:56, 8:56]
    found = predict_tiles(*network, image, crop=16, patch=64)
    np.testing.assert_allclose(found, expected[22:122, 3:93], **CLOSE)


def test_one_compile_a_padded_size(network: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    original = unet.apply
    monkeypatch.setattr(predict.unet, "apply", lambda *arguments: traced.append(0) or original(*arguments))
    for height in (57, 64, 60, 64):
        predict_scene(*network, random_image(height, 56))
    assert len(traced) == 1
    for height in (70, 100, 130):
        predict_tiles(*network, random_image(height, 64), crop=8, patch=32)
    assert len(traced) == 2


def test_probability_by_hand() -> None:
    q = np.array([0.0, 0.5, 0.8, 1.0], np.float32)
    # b = 0.5: q = 0.5 means P = 2/3, q = 0.8 means odds 4 / 0.5 = 8
    np.testing.assert_allclose(cloud_probability(q, 0.5), [0, 2 / 3, 8 / 9, 1], rtol=1e-6)
    np.testing.assert_array_equal(cloud_probability(q, 1.0), q)
    assert cloud_probability(q, 0.5).dtype == np.float32
