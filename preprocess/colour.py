"""What a scene looks like: reflectance and temperature to 8-bit RGB, by day and by night.

The ranges are those that EUMETSAT's and WMO's experts agreed upon for SEVIRI, whose channels are SLSTR's but for the
shortest infrared one (3.9 µm there, 3.74 µm here, as FY-4's, which has the same ranges): RGB Composite Recipes,
https://rgb-satellite-community.github.io/RGB-Composite-Recipes/, "Day Land Cloud" (natural colour) and "Night
Microphysics", after Lensky and Rosenfeld (2008), Atmos. Chem. Phys. 8, 6739-6753.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from preprocess.level1 import CONFIDENCE_BITS
from preprocess.scene import MISSING_TEMPERATURE_K, Scene

Rgb = tuple[int, int, int]
Night = Literal["microphysics", "s8"]

NO_DATA: Rgb = (140, 140, 140)

# Natural colour of the imagers with 1.6, 0.87 and 0.66 um: ice and ice clouds cyan, water clouds white, plants green.
NATURAL_COLOUR = (4, 2, 1)  # indices of S5, S3, S2 in (..., 6)
WHITE_REFLECTANCE = 1.0
DISPLAY_GAMMA = 1.8  # the recipe has none; with it, as with Satpy's natural_color, sea and plants show on a screen
S7, S8, S9 = range(3)  # indices of 3.7, 10.8 and 12 um in (..., 3)
S9_LESS_S8_K = (-4.0, 2.0)  # red: thin cloud is dark
S8_LESS_S7_K = (0.0, 10.0)  # green: droplets emit less at 3.7 um, so low water cloud is bright
S8_K = (243.0, 293.0)  # blue: warm is bright
WHITE_K, BLACK_K = 205.0, 305.0  # of 10.8 um alone
S7_MEASURED = np.uint16(1 << 6)  # of Scene.measured

NATURAL, MICROPHYSICS, INFRARED = range(3)
RECIPES = (
    f"natural colour by day: red S5 (1.61 µm), green S3 (0.87 µm), blue S2 (0.66 µm), 0 to 100 %, gamma "
    f"{DISPLAY_GAMMA:g}",
    "microphysics by night: red S9 \N{MINUS SIGN} S8 (12.0 \N{MINUS SIGN} 10.8 µm) \N{MINUS SIGN}4 to 2 K, green "
    "S8 \N{MINUS SIGN} S7 (10.8 \N{MINUS SIGN} 3.7 µm) 0 to 10 K, blue S8 243 to 293 K",
    "grey where there is neither: S8 (10.8 µm), 305 K black to 205 K white",
)
"""What is drawn in which colour, by the number of the composite."""


@dataclass(frozen=True, eq=False)
class Look:
    """A scene's picture (H, W, 3) uint8, and the numbers of the composites that are in it, for `RECIPES`."""

    picture: NDArray[np.uint8]
    composites: tuple[int, ...]


def scene_look(scene: Scene, valid: NDArray[np.bool_] | None = None, night: Night = "microphysics") -> Look:
    """What `scene` looks like: `false_colour` of `composite_of`. valid: (H, W) bool, by default the scene's own."""
    shown = scene.valid[..., 0] > 0 if valid is None else valid
    composite = composite_of(scene, night)
    picture = false_colour(scene.refs, scene.bts, composite, shown)
    return Look(picture, tuple(int(number) for number in np.flatnonzero(np.bincount(composite[shown], minlength=3))))


def composite_of(scene: Scene, night: Night = "microphysics") -> NDArray[np.uint8]:
    """The composite of each pixel, (H, W): NATURAL, MICROPHYSICS or INFRARED.

    Natural colour is where S5, S3 or S2 hold sunlight, down to a sun on the horizon: nothing is blended, a pixel is of
    one composite. Elsewhere it is microphysics, but 10.8 um alone where S7 is missing, or in sunlight (the flag day),
    which makes S7 another quantity, or everywhere if `night` is "s8".
    """
    temperature = scene.bts[..., S7]
    known = (temperature != MISSING_TEMPERATURE_K) & (temperature > 0) | (scene.measured & S7_MEASURED != 0)
    dark = scene.flags & np.uint16(CONFIDENCE_BITS["day"]) == 0
    by_night = np.where(known & dark, MICROPHYSICS, INFRARED) if night == "microphysics" else INFRARED
    return np.where(daylight(scene.refs), NATURAL, by_night).astype(np.uint8)


def daylight(refs: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Where the natural-colour channels hold sunlight.

    refs: (H, W, 6) reflectance, 0 where there was no measurement or no sun. Returns (H, W) bool.
    """
    red, green, blue = NATURAL_COLOUR
    return (refs[..., red] > 0) | (refs[..., green] > 0) | (refs[..., blue] > 0)


def false_colour(
    refs: NDArray[np.floating],
    bts: NDArray[np.floating],
    composite: NDArray[np.integer],
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Each pixel in its composite.

    refs: (H, W, 6) reflectance; bts: (H, W, 3) K; composite: (H, W) NATURAL, MICROPHYSICS or INFRARED; valid: (H, W)
    bool. Returns (H, W, 3) uint8; pixels that are not valid, or not finite, are `NO_DATA`.
    """
    picture = np.full((*composite.shape, 3), NO_DATA, np.uint8)
    for number, shares in ((NATURAL, natural_colour), (MICROPHYSICS, night_microphysics), (INFRARED, infrared)):
        where = composite == number if valid is None else (composite == number) & valid
        if not where.any():
            continue
        shown = shares((refs if number == NATURAL else bts)[where])
        finite = np.isfinite(shown).all(axis=-1)
        picture[where] = np.where(finite[:, None], to_bytes(np.nan_to_num(shown)), np.array(NO_DATA, np.uint8))
    return picture


def natural_colour(refs: NDArray[np.floating]) -> NDArray[np.floating]:
    """S5, S3, S2 as red, green, blue, 0 to 1. refs: (N, 6) reflectance."""
    return np.clip(refs[:, NATURAL_COLOUR] / WHITE_REFLECTANCE, 0, 1) ** (1 / DISPLAY_GAMMA)


def night_microphysics(bts: NDArray[np.floating]) -> NDArray[np.floating]:
    """S9 - S8, S8 - S7 and S8 as red, green, blue, 0 to 1. bts: (N, 3) K."""
    beams = ((bts[:, S9] - bts[:, S8], S9_LESS_S8_K), (bts[:, S8] - bts[:, S7], S8_LESS_S7_K), (bts[:, S8], S8_K))
    return np.stack([np.clip((values - low) / (high - low), 0, 1) for values, (low, high) in beams], axis=-1)


def infrared(bts: NDArray[np.floating]) -> NDArray[np.floating]:
    """S8 in grey, cold bright, 0 to 1, (N, 3). bts: (N, 3) K."""
    grey = np.clip((BLACK_K - bts[:, S8]) / (BLACK_K - WHITE_K), 0, 1)
    return np.repeat(grey[:, None], 3, axis=1)


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
