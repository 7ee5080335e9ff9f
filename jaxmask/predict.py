"""One scene through the network: all of it at once, or in the original's tiles."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxmask import unet
from jaxmask.tiles import CROP_SIZE, PATCH_SIZE, cut, stitch, tiling
from jaxmask.unet import SIZE_MULTIPLE, Params

TILES_AT_ONCE = 9  # 9 tiles of 256 x 256 need about a third of the memory of one whole scene


def predict_scene(graphdef: nnx.GraphDef, params: Params, image: np.ndarray) -> np.ndarray:
    """Sigmoid output q (H, W) float32 of a normalised image (H, W, 9) float32, in one piece, without seams.

    H and W are padded to multiples of 8 at the bottom and right with zeros after normalising: that is what every
    'same' convolution takes to lie beyond an image's edge. Pixels farther than the network's reach of 51 pixels from
    there don't depend on it. Compiled once for each padded size.
    """
    height, width = image.shape[:2]
    padding = [(0, -height % SIZE_MULTIPLE), (0, -width % SIZE_MULTIPLE), (0, 0)]
    predicted = _predict(graphdef, params, np.pad(image, padding)[None])
    return np.asarray(predicted)[0, :height, :width]


def predict_tiles(
    graphdef: nnx.GraphDef, params: Params, image: np.ndarray, crop: int = CROP_SIZE, patch: int = PATCH_SIZE
) -> np.ndarray:
    """Sigmoid output q (H, W) float32 of a normalised image (H, W, 9) float32, tile by tile as the original does.

    Tiles overlap by `crop` pixels, half of which are cut from each side (../shared/reference/README.md, "infer").
    TILES_AT_ONCE at a time, so memory doesn't grow with the scene; compiled once.
    """
    height, width = image.shape[:2]
    plan = tiling(height, width, patch, crop)
    tiles = cut(image, plan)
    filled = np.pad(tiles, [(0, -len(tiles) % TILES_AT_ONCE), (0, 0), (0, 0), (0, 0)])
    batches = np.split(filled, len(filled) // TILES_AT_ONCE)
    predicted = np.concatenate([np.asarray(_predict(graphdef, params, batch)) for batch in batches])
    return stitch(predicted[: len(tiles), :, :, None], plan)[..., 0]


def cloud_probability(output: np.ndarray, positive_weight: float) -> np.ndarray:
    """P(cloud) from the sigmoid output q of a network trained with `positive_weight` b on the cloud term of its loss.

    At the loss's optimum logit P = logit q - ln b, so P = q / (q + b (1 - q)). Same shape and float type.
    """
    return output / (output + np.asarray(positive_weight, output.dtype) * (1 - output))


@partial(jax.jit, static_argnums=0)
def _predict(graphdef: nnx.GraphDef, params: Params, images: Any) -> jax.Array:
    """Normalised images (B, H, W, 9) to q (B, H, W), all float32."""
    return jax.nn.sigmoid(unet.apply(graphdef, params, images))[..., 0]
