"""What the report's table shows of one product: a thumbnail, its light, cloud shares and disagreement."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jaxmask.colour import disagreement_colour
from jaxmask.seen import SeenScene, share_of
from preprocess.colour import shrink
from preprocess.level1 import CONFIDENCE_BITS

# Two pictures beside each other; some 5 kB, so that a thousand of them are a few MB of a page.
HALF_COLUMNS, GAP_COLUMNS, WEBP_QUALITY = 128, 4, 60
LIGHTS = ("day", "twilight", "night")


@dataclass(frozen=True)
class DrawnProduct:
    """One product as the table shows it; shares 0..1 of `compared` pixels, None where there are none."""

    product: str
    start: str  # ISO 8601, UTC
    light: str  # of LIGHTS
    compared: int  # pixels that label and mask both know
    label_share: float | None  # cloud
    mask_share: float | None  # cloud; of all valid pixels where none is labelled
    disagreement: float | None
    thumbnail: bytes  # WebP


def look_at(seen: SeenScene) -> DrawnProduct:
    """Sum a product up."""
    compared = seen.compared
    return DrawnProduct(
        product=seen.info.product,
        start=seen.info.start_time,
        light=light_of(seen.flags),
        compared=int(compared.sum()),
        label_share=share_of(seen.label, compared),
        mask_share=share_of(seen.cloud, seen.judged),
        disagreement=share_of(seen.label != seen.cloud, compared),
        thumbnail=thumbnail(seen.base, seen.label, seen.cloud, compared, seen.valid),
    )


def light_of(flags: NDArray[np.uint16]) -> str:
    """What most pixels of a scene are by their flags: day, else twilight, else night. flags: (H, W) confidence_in."""
    day = flags & CONFIDENCE_BITS["day"] > 0
    twilight = (flags & CONFIDENCE_BITS["twilight"] > 0) & ~day
    shares = (float(day.mean()), float(twilight.mean()))
    counts = (*shares, 1 - sum(shares))
    return LIGHTS[counts.index(max(counts))]


def thumbnail(
    base: NDArray[np.uint8],
    label: NDArray[np.bool_],
    cloud: NDArray[np.bool_],
    compared: NDArray[np.bool_],
    valid: NDArray[np.bool_],
) -> bytes:
    """False colour beside where label and mask say cloud, as WebP; beside the mask alone where nothing is compared.

    base: (H, W, 3); the others (H, W), true for cloud, or where there is something to show.
    """
    shown = compared if compared.any() else valid
    told = label if compared.any() else cloud
    halves = [shrink(picture, HALF_COLUMNS) for picture in (base, disagreement_colour(told, cloud, shown))]
    height, width = halves[0].shape[:2]
    picture = np.full((height, 2 * width + GAP_COLUMNS, 4), 0, np.uint8)
    for half, left in zip(halves, (0, width + GAP_COLUMNS), strict=True):
        picture[:, left : left + width, :3] = half
        picture[:, left : left + width, 3] = 255
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", quality=WEBP_QUALITY, method=4)
    return stream.getvalue()
