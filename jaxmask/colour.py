"""Colours of masks and figures: probability and labels to 8-bit RGB; those of scenes are in preprocess.colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from preprocess.colour import NO_DATA, Rgb, paint, to_bytes

# Okabe & Ito (2008), "Color Universal Design": told apart with any common colour vision.
ORANGE: Rgb = (230, 159, 0)
SKY_BLUE: Rgb = (86, 180, 233)
GREEN: Rgb = (0, 158, 115)
BLUE: Rgb = (0, 114, 178)
VERMILION: Rgb = (213, 94, 0)
PURPLE: Rgb = (204, 121, 167)

CLEAR: Rgb = (18, 53, 91)
CLOUD: Rgb = (240, 240, 240)
ONLY_LABEL: Rgb = ORANGE
ONLY_MASK: Rgb = SKY_BLUE


def cloud_colour(cloud: NDArray[np.bool_], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A mask as a picture: `CLOUD`, `CLEAR`, or `NO_DATA`. cloud, valid: (H, W) bool. Returns (H, W, 3) uint8."""
    picture = np.where(cloud[..., None], np.array(CLOUD, np.uint8), np.array(CLEAR, np.uint8))
    return paint(picture, ~valid, NO_DATA)


def disagreement_colour(
    label: NDArray[np.bool_], mask: NDArray[np.bool_], valid: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Where label and mask differ, in `ONLY_LABEL` and `ONLY_MASK`; where they agree, as `cloud_colour`.

    label, mask, valid: (H, W) bool, true for cloud. Returns (H, W, 3) uint8.
    """
    picture = cloud_colour(label & mask, valid)
    picture = paint(picture, valid & label & ~mask, ONLY_LABEL)
    return paint(picture, valid & ~label & mask, ONLY_MASK)


def probability_colour(
    probability: NDArray[np.floating], valid: NDArray[np.bool_], colours: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Values 0..1 through a colour table. probability: (H, W); valid: (H, W) bool; colours: (N, 3) 0..1, N > 1.

    Returns (H, W, 3) uint8; value p takes row floor(p N), the last one at p = 1; not valid or not finite: `NO_DATA`.
    """
    usable = valid & np.isfinite(probability)
    index = np.clip(np.where(usable, probability, 0) * len(colours), 0, len(colours) - 1).astype(np.intp)
    return paint(to_bytes(colours)[index], ~usable, NO_DATA)


def hexadecimal(colour: Rgb) -> str:
    """The colour as HTML writes it: (230, 159, 0) is "#e69f00"."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
