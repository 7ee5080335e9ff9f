"""The original's loss and predictions on its own training patches, through our whole way from product to sums."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask import pixels, unet
from jaxmask.losses import CLIP_OFFSET, POSITIVE_WEIGHT
from jaxmask.metrics import summarise
from jaxmask.model import load_model
from jaxmask.step import Objective, eval_step
from jaxmask.tiles import PATCH_SIZE, patch_origins
from preprocess.compose import make_scene
from preprocess.product import read_product
from tests.real import complete_product


@pytest.fixture(scope="module")
def patches(complete_product_tool: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """The original's 20 patches: images (20, 256, 256, 9) and labels (20, 256, 256, 1)."""
    folder = complete_product(complete_product_tool, tmp_path_factory, "--seed", "0", "--labels", "cloud")
    scene = make_scene(read_product(folder), convention="reference")
    image, label = pixels.image(scene.refs, scene.bts), pixels.label(scene.bayes)
    origins = patch_origins(*label.shape[:2])
    windows = [(slice(row, row + PATCH_SIZE), slice(column, column + PATCH_SIZE)) for row, column in origins]
    return np.stack([image[window] for window in windows]), np.stack([label[window] for window in windows])


def test_patches_are_the_originals(patches: tuple[np.ndarray, np.ndarray], reference: Path) -> None:
    expected = np.load(reference / "patches_A.npz")
    images, labels = patches
    # 2e-4 in reflectance, 2e-3 K / 22 K in normalised temperature: what the shards agree to
    np.testing.assert_allclose(images[:, :8, :8], expected["img_corner"], atol=2e-4)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), expected["img_mean"], atol=2e-4)
    # One pixel of a patch at most: a grey near 0 at a resized edge
    np.testing.assert_allclose(labels.mean(axis=(1, 2)), expected["mask_mean"], atol=1 / PATCH_SIZE**2)


def test_predictions_and_loss_are_the_originals(patches: tuple[np.ndarray, np.ndarray], reference: Path) -> None:
    expected = np.load(reference / "patches_A.npz")
    images, labels = (array[:2] for array in patches)
    model = load_model(reference / "keras_model_A.h5")
    logits = jax.jit(partial(unet.apply, model.graphdef))(model.params, images)
    # 1e-5: float32 networks, and inputs that differ in their seventh digit
    np.testing.assert_allclose(jax.nn.sigmoid(logits).mean(axis=(1, 2, 3)), expected["pred_mean"], rtol=1e-5)
    batch = {"image": images, "label": labels, "weight": jnp.ones_like(labels)}  # the original counts every pixel
    step = partial(eval_step, objective=Objective(model.graphdef, POSITIVE_WEIGHT, CLIP_OFFSET))
    sums = jax.jit(step)(model.params, batch)
    assert float(sums.weight) == 2 * (PATCH_SIZE - 2 * CLIP_OFFSET) ** 2
    assert summarise(sums)["loss"] == pytest.approx(float(expected["loss_wbce_0.5_clip_15"]), rel=1e-5)
