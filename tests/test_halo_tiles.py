"""Tiles with a halo are the whole scene, whose logits depend on no pixel farther off than 51."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from jaxmask import halo_tiles, unet
from jaxmask.averaging import averaged
from jaxmask.halo_tiles import HALO, REACH, line, plan, tile_logits
from jaxmask.logits import Logits
from jaxmask.predict import scene_logits

LENGTH = 152  # pixels: room for the reach on both sides of the middle ones, from 72 on
MIDDLE = 72


def jitted(params: Any, graphdef: Any) -> Logits:
    """Parameters are given, not constants that XLA would fold."""
    return partial(jax.jit(lambda params, images: unet.apply(graphdef, params, images)[..., 0]), params)


@pytest.fixture(scope="module")
def lively() -> Logits:
    """Random weights of a gain so large that far pixels matter; logits of some units."""
    graphdef, params = unet.create(2, 1)
    params = jax.tree.map(lambda leaf: 1.3 * leaf if leaf.ndim == 4 else leaf + 0.05, params)
    images = random_images(1, 96, 96)
    spread = float(np.std(np.asarray(jitted(params, graphdef)(images))))
    params["head"] = jax.tree.map(lambda leaf: 3 * leaf / spread, params["head"])
    return jitted(params, graphdef)


def random_images(batch: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (batch, height, width, 9)).astype(np.float32)


def dependence() -> np.ndarray:
    """Which pixel of one axis (second index) each logit (first) depends on: the network's layers as matrices of bools,
    level after level, without any thought of intervals."""

    def pair(length: int) -> np.ndarray:
        near = abs(np.subtract.outer(np.arange(length), np.arange(length))) <= 1
        return near @ near

    def up(matrix: np.ndarray) -> np.ndarray:
        return np.repeat(matrix, 2, axis=0)

    def down(matrix: np.ndarray) -> np.ndarray:
        return matrix[::2] | matrix[1::2]

    skips, x = [], np.eye(LENGTH, dtype=bool)
    for _ in range(unet.DEPTH):
        skips.append(pair(len(x)) @ x)
        x = down(skips[-1])
    x = pair(len(x)) @ x
    for skip in reversed(skips):
        x = pair(len(skip)) @ (up(x) | skip)
    return x


@pytest.mark.quick
def test_influence_reaches_51_pixels_at_the_worst_alignment_and_no_further() -> None:
    depends = dependence()
    outputs = np.arange(MIDDLE, MIDDLE + 8)
    seen = [np.flatnonzero(depends[output]) for output in outputs]
    before = [int(output - pixels[0]) for output, pixels in zip(outputs, seen, strict=True)]
    after = [int(pixels[-1] - output) for output, pixels in zip(outputs, seen, strict=True)]
    assert before == [46, 47, 48, 49, 50, 51, 44, 45]
    assert after == before[::-1]
    assert max(before) == REACH < HALO == 56
    # As the module's docstring has it: nested floors.
    for output, reach in zip(outputs, before, strict=True):
        lowest = output - 2
        for _ in range(3):
            lowest = lowest // 2 - 2
        for _ in range(3):
            lowest = 2 * lowest - 2
        assert output - lowest == reach


def test_the_network_reaches_as_far_as_its_layers_say() -> None:
    """A single pixel in an image of zeros, at each of the 8 alignments of both axes. Weights are above 0 and biases 0:
    nothing dies in a ReLU or cancels, so every logit that depends on the pixel is above 0, all others exactly 0."""
    graphdef, params = unet.create(1, 0)
    network = jitted(jax.tree.map(abs, params), graphdef)
    images = np.zeros((8, LENGTH, LENGTH, 9), np.float32)
    place = np.arange(8)
    rows, columns = MIDDLE + place, MIDDLE + place[::-1]
    images[place, rows, columns] = 1
    depends = dependence()
    expected = np.einsum("yb,xb->byx", depends[:, rows], depends[:, columns])
    np.testing.assert_array_equal(np.asarray(network(images)) > 0, expected)


# Height, width, pixels of a tile: one row of tiles, one column, several of both; sizes that are no multiples of 8.
CASES = [(203, 149, 152 * 152), (137, 331, 144 * 160), (121, 300, 125 * 200)]


@pytest.mark.parametrize(("height", "width", "most"), CASES)
def test_tiles_equal_the_whole_scene(lively: Logits, height: int, width: int, most: int) -> None:
    images = random_images(2, height, width, 3)
    whole, sizes = scene_logits(lively, images), set[tuple[int, ...]]()

    def watched(tiles: np.ndarray) -> Any:
        sizes.add(tiles.shape)
        return lively(tiles)

    tiled = scene_logits(watched, images, max_pixels=most)
    assert (tiled.shape, tiled.dtype) == ((2, height, width), np.float32)
    assert len(sizes) == 1, "one shape, one compile"
    ((batch, rows, columns, _),) = sizes
    assert batch == 2
    assert rows * columns <= most < height * width
    # Sums of float32 may be in another order for another shape; logits are some units.
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5)


def test_tiles_equal_the_whole_scene_with_mirror_images(lively: Logits) -> None:
    images, mirrored = random_images(1, 171, 203, 4), averaged([lively], flips=True)
    whole = np.asarray(scene_logits(mirrored, images))
    np.testing.assert_allclose(scene_logits(mirrored, images, max_pixels=160 * 160), whole, rtol=0, atol=1e-5)
    assert abs(whole - np.asarray(scene_logits(lively, images))).max() > 0.1


def test_a_smaller_halo_is_seen(lively: Logits, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the tests above can fail: what lies beyond 40 pixels matters with these weights."""
    halo = 40
    images = random_images(1, 200, 176, 5)
    whole = scene_logits(lively, images)
    monkeypatch.setattr(halo_tiles, "HALO", halo)
    monkeypatch.setattr(halo_tiles, "OVERLAP", 2 * halo)
    assert abs(scene_logits(lively, images, max_pixels=144 * 144) - whole).max() > 1e-4


def test_tiles_are_compiled_once(lively: Logits) -> None:
    traced = []

    @jax.jit
    def network(images: jax.Array) -> jax.Array:
        traced.append(images.shape)
        return images[..., 0]

    images = random_images(1, 203, 331)
    np.testing.assert_array_equal(tile_logits(network, images, 136 * 136), images[..., 0])
    assert len(traced) == 1


@pytest.mark.parametrize("length", [120, 128, 200, 1200, 1504])
@pytest.mark.parametrize("tiles", [1, 2, 3, 7])
def test_a_line_of_tiles_covers_its_axis(length: int, tiles: int) -> None:
    laid = line(length, tiles)
    assert laid.size % 8 == 0
    assert all(origin % 8 == 0 and 0 <= origin <= length - laid.size for origin in laid.origins)
    assert (laid.origins[0], laid.origins[-1]) == (0, length - laid.size)
    given = [pixel for first, last in laid.kept for pixel in range(first, last)]
    assert given == list(range(length))
    for origin, (first, last) in zip(laid.origins, laid.kept, strict=True):
        assert first - origin >= HALO or first == 0
        assert origin + laid.size - last >= HALO or last == length or first >= last


@pytest.mark.parametrize(("height", "width"), [(1200, 1504), (256, 384), (128, 512), (112, 2000)])
@pytest.mark.parametrize("most", [120 * 136, 256 * 256, 500_000, 1_000_000, 10**7])
def test_the_plan_is_of_the_least_work(height: int, width: int, most: int) -> None:
    """Against every size of tile that is a multiple of 8, laid as densely as the halo wants."""

    def tiles_of(size: int, length: int) -> float:
        if size >= length:
            return 1
        return math.inf if size <= 2 * HALO else math.ceil((length - 2 * HALO) / (size - 2 * HALO))

    rows, columns = plan(height, width, most)
    assert rows.size * columns.size <= most
    work = rows.size * len(rows.origins) * columns.size * len(columns.origins)
    sizes = itertools.product(range(8, height + 1, 8), range(8, width + 1, 8))
    works = (y * x * tiles_of(y, height) * tiles_of(x, width) for y, x in sizes if y * x <= most)
    assert work == min(works)


def test_a_scene_that_fits_is_one_tile() -> None:
    rows, columns = plan(64, 96, 64 * 96)
    assert (rows.origins, columns.origins, rows.size, columns.size) == ((0,), (0,), 64, 96)


def test_too_few_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="tiles of 1200 x 1504 pixels have at least 14400; found 10000 allowed"):
        plan(1200, 1504, 10_000)
