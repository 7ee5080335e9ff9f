"""Whole-scene prediction has no seams; the original's tiles give the same away from their zero padding."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from jaxmask import unet
from jaxmask.logits import Logits
from jaxmask.predict import TILES_AT_ONCE, padded, reference_tile_logits, scene_logits

REACH = 56  # pixels, at least the network's reach (51) and a multiple of 8
CLOSE = {"rtol": 0, "atol": 1e-5}  # float32 convolutions whose sums are in another order


@pytest.fixture(scope="module")
def network() -> Logits:
    graphdef, params = unet.create(4, 1)
    # Zero biases would make the logits near 0 everywhere; these spread them.
    params = jax.tree.map(lambda leaf: leaf + 0.05 if leaf.ndim == 1 else leaf, params)
    return partial(jax.jit(lambda params, images: unet.apply(graphdef, params, images)[..., 0]), params)


def random_images(height: int, width: int, seed: int = 0, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (batch, height, width, 9)).astype(np.float32)


@pytest.mark.quick
def test_padding_does_not_reach_the_interior(network: Logits) -> None:
    images = random_images(136, 144, batch=2)
    whole = np.asarray(network(images))
    cropped = scene_logits(network, images[:, :131, :138])
    assert (cropped.shape, cropped.dtype) == ((2, 131, 138), np.float32)
    inside = np.s_[:, : 131 - REACH, : 138 - REACH]
    np.testing.assert_allclose(cropped[inside], whole[inside], **CLOSE)
    assert abs(cropped - whole[:, :131, :138]).max() > 1e-2, "but the rim sees zeros"
    assert whole.std() > 0.05


def test_padding_is_zero_below_and_right_and_only_where_needed() -> None:
    images = random_images(5, 16)
    wide = padded(images)
    assert wide.shape == (1, 8, 16, 9)
    np.testing.assert_array_equal(wide[:, :5], images)
    assert not wide[:, 5:].any()
    assert padded(wide) is wide


def test_whole_images_are_not_waited_for() -> None:
    """What the network gives of them goes on as it is: a device may still be computing it."""
    promise = object()
    assert scene_logits(lambda images: promise, random_images(16, 24), max_pixels=16 * 24) is promise


def test_reference_tiles_equal_a_loop_over_tiles(network: Logits) -> None:
    # 100 x 90 pixels in tiles of 64 at stride 48: 3 x 2 tiles, padding 30 + 30 rows and 11 + 11 columns.
    image = random_images(100, 90, 3)[0]
    larger = np.pad(image, [(30, 30), (11, 11), (0, 0)])
    expected = np.zeros((144, 96), np.float32)
    for row in (0, 48, 96):
        for column in (0, 48):
            tile = np.asarray(network(larger[None, row : row + 64, column : column + 64]))[0]
            expected[row : row + 48, column : column + 48] = tile[8:56, 8:56]
    found = reference_tile_logits(network, image, crop=16, patch=64)
    np.testing.assert_allclose(found, expected[22:122, 3:93], **CLOSE)


def test_one_shape_a_padded_size() -> None:
    shapes = set[tuple[int, ...]]()

    def network(images: np.ndarray) -> Any:
        shapes.add(images.shape)
        return images[..., 0]

    for height in (57, 64, 60, 64):
        images = random_images(height, 50)
        np.testing.assert_array_equal(scene_logits(network, images), images[..., 0])
    assert shapes == {(1, 64, 56, 9)}
    shapes.clear()
    for height in (70, 100, 130):
        image = random_images(height, 61)[0]
        np.testing.assert_array_equal(reference_tile_logits(network, image, crop=8, patch=32), image[..., 0])
    assert shapes == {(TILES_AT_ONCE, 32, 32, 9)}
