"""Scenes through the network: whole, in tiles that give the same, or in the original's tiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxmask.halo_tiles import tile_logits
from jaxmask.logits import Logits
from jaxmask.tiles import CROP_SIZE, PATCH_SIZE, cut, stitch, tiling
from jaxmask.unet import SIZE_MULTIPLE

TILES_AT_ONCE = 9  # 9 tiles of 256 x 256 need about a third of the memory of one whole scene


def scene_logits(logits: Logits, images: np.ndarray, *, max_pixels: int | None = None) -> Any:
    """Logits (B, H, W) float32 of normalised images (B, H, W, 9) float32, H and W any, without seams.

    In one piece, or, where a scene has more than `max_pixels` pixels, tile by tile in less memory: the same logits
    but for rounding. The network meets one shape for each padded size. Whole images whose H and W are multiples of 8
    are not waited for: then the result is what `logits` gave, perhaps still being computed.
    Raises ValueError if no tile can be so small (halo_tiles.plan).
    """
    height, width = images.shape[1:3]
    if max_pixels is not None and height * width > max_pixels:
        return tile_logits(logits, images, max_pixels)
    whole = padded(images)
    found = logits(whole)
    return found if whole is images else np.asarray(found)[:, :height, :width]


def padded(images: np.ndarray) -> np.ndarray:
    """Normalised images (B, H, W, 9) with zeros at the bottom and right up to multiples of 8 pixels.

    Zero is what every 'same' convolution takes to lie beyond an image's edge. Pixels farther than the network's reach
    of 51 pixels from there don't depend on it.
    """
    height, width = images.shape[1:3]
    padding = [(0, 0), (0, -height % SIZE_MULTIPLE), (0, -width % SIZE_MULTIPLE), (0, 0)]
    return np.pad(images, padding) if any(map(sum, padding)) else images


def reference_tile_logits(
    logits: Logits, image: np.ndarray, crop: int = CROP_SIZE, patch: int = PATCH_SIZE
) -> np.ndarray:
    """Logits (H, W) float32 of a normalised image (H, W, 9) float32, tile by tile as the original does.

    Tiles overlap by `crop` pixels, half of which are cut from each side (../shared/reference/README.md, "infer").
    TILES_AT_ONCE at a time, so the network's memory doesn't grow with the scene; compiled once.
    """
    height, width = image.shape[:2]
    plan = tiling(height, width, patch, crop)
    tiles = cut(image, plan)
    filled = np.pad(tiles, [(0, -len(tiles) % TILES_AT_ONCE), (0, 0), (0, 0), (0, 0)])
    batches = np.split(filled, len(filled) // TILES_AT_ONCE)
    found = np.concatenate([np.asarray(logits(batch)) for batch in batches])
    return stitch(found[: len(tiles), :, :, None], plan)[..., 0]
