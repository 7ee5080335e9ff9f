"""What a scene looks like: reflectance and temperature to 8-bit RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]

NO_DATA: Rgb = (140, 140, 140)

# Natural colour of the imagers with 1.6, 0.87 and 0.66 um: ice and ice clouds cyan, water clouds white, plants green.
NATURAL_COLOUR = (4, 2, 1)  # indices of S5, S3, S2 in (..., 6)
WHITE_REFLECTANCE = 0.9
DISPLAY_GAMMA = 1.7
S8 = 1  # index of 10.8 um in (..., 3)
WHITE_K, BLACK_K = 205.0, 305.0


def daylight(refs: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Where the natural-colour channels hold sunlight.

    refs: (H, W, 6) reflectance, 0 where there was no measurement or no sun. Returns (H, W) bool.
    """
    return np.any(refs[..., NATURAL_COLOUR] > 0, axis=-1)


def false_colour(
    refs: NDArray[np.floating],
    bts: NDArray[np.floating],
    day: NDArray[np.bool_],
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Natural colour where `day`, elsewhere the 10.8 um temperature in grey, cold bright.

    refs: (H, W, 6) reflectance; bts: (H, W, 3) K; day, valid: (H, W) bool. Returns (H, W, 3) uint8; pixels that are
    not valid, or not finite, are `NO_DATA`.
    """
    sunlit = np.clip(refs[..., NATURAL_COLOUR] / WHITE_REFLECTANCE, 0, 1) ** (1 / DISPLAY_GAMMA)
    infrared = np.clip((BLACK_K - bts[..., S8, None]) / (BLACK_K - WHITE_K), 0, 1)
    shown = np.where(day[..., None], sunlit, infrared)
    usable = np.isfinite(shown).all(axis=-1)
    if valid is not None:
        usable &= valid
    return paint(to_bytes(np.nan_to_num(shown)), ~usable, NO_DATA)


def shrink(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """The mean of whole blocks, as few as bring the picture to at most `width` columns.

    picture: (H, W, 3) uint8. Returns (H // n, W // n, 3) uint8 with n = ceil(W / width); rows and columns that
    fill no block are left out.
    """
    step = -(-picture.shape[1] // width)
    rows, columns = picture.shape[0] // step, picture.shape[1] // step
    blocks = picture[: rows * step, : columns * step].reshape(rows, step, columns, step, 3)
    return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


def to_bytes(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Shares 0..1 of any shape as 0..255."""
    return np.rint(255 * shares).astype(np.uint8)


def paint(picture: NDArray[np.uint8], where: NDArray[np.bool_], colour: Rgb) -> NDArray[np.uint8]:
    """picture (H, W, 3) with `colour` where `where` (H, W) bool is set."""
    return np.where(where[..., None], np.array(colour, np.uint8), picture)
