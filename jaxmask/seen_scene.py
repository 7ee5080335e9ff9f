"""Edge: one product and its mask on the pixels that both cover, ready to be shown: colours, label, values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxmask.maskfile import read_mask
from preprocess.colour import daylight, false_colour
from preprocess.scene import SceneInfo
from preprocess.shard import read_shard


@dataclass(frozen=True)
class SeenScene:
    """What a person can be shown of a product; arrays (H, W) unless said otherwise; only positions hold NaN."""

    info: SceneInfo
    base: NDArray[np.uint8]  # (H, W, 3), preprocess.colour.false_colour
    refs: NDArray[np.float32]  # (H, W, 6), 1
    bts: NDArray[np.float32]  # (H, W, 3), K
    label: NDArray[np.bool_]  # cloud
    label_valid: NDArray[np.bool_]  # where the label was computed
    probability: NDArray[np.float32]  # the mask's value, 0 to 1
    valid: NDArray[np.bool_]  # where scene and mask hold data
    flags: NDArray[np.uint16]  # confidence_in
    latitude: NDArray[np.float32]  # degrees north, NaN outside
    longitude: NDArray[np.float32]  # degrees east, NaN outside
    threshold: float
    quantity: str  # "q" or "P"

    @property
    def cloud(self) -> NDArray[np.bool_]:
        """Where the mask says cloud."""
        return self.probability > self.threshold


def read_seen_scene(shard: Path, mask_path: Path) -> SeenScene:
    """Read a shard and its mask; they share pixel (0, 0). Raises UserError if either is damaged."""
    scene, mask = read_shard(shard), read_mask(mask_path)
    height, width = (min(sizes) for sizes in zip(scene.refs.shape[:2], mask.probability.shape, strict=True))
    window = (slice(height), slice(width))
    valid = scene.valid[window][..., 0] > 0
    refs, bts = scene.refs[window], scene.bts[window]
    return SeenScene(
        info=scene.info,
        base=false_colour(refs, bts, daylight(refs), valid),
        refs=refs,
        bts=bts,
        label=scene.bayes[window][..., 0] > 0,
        label_valid=(scene.label_valid[window][..., 0] > 0) & scene.info.labelled,
        probability=mask.probability[window],
        valid=mask.valid[window] & valid,
        flags=scene.flags[window],
        latitude=scene.latitude[window],
        longitude=scene.longitude[window],
        threshold=mask.threshold,
        quantity=mask.attributes.get("quantity", "q"),
    )
