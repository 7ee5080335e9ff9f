"""Edge: one product and its mask, read on the pixels that both cover, ready to be shown."""

from __future__ import annotations

from pathlib import Path

from jaxmask.maskfile import read_mask
from jaxmask.seen import SeenScene
from preprocess.colour import scene_look
from preprocess.errors import UserError
from preprocess.shard import read_shard


def read_seen_scene(shard: Path, mask_path: Path) -> SeenScene:
    """Read a shard and its mask; they share pixel (0, 0). Raises UserError if either is damaged or without pixels."""
    scene, mask = read_shard(shard), read_mask(mask_path)
    height, width = (min(sizes) for sizes in zip(scene.refs.shape[:2], mask.probability.shape, strict=True))
    if not height * width:
        sizes = f"{scene.refs.shape[:2]} in {shard} and {mask.probability.shape} in {mask_path}"
        raise UserError(f"{mask_path}: expected a mask of the shard's pixels; found sizes {sizes}: make the mask again")
    window = (slice(height), slice(width))
    valid = scene.valid[window][..., 0] > 0
    refs, bts = scene.refs[window], scene.bts[window]
    return SeenScene(
        info=scene.info,
        base=scene_look(scene).picture[window],
        refs=refs,
        bts=bts,
        measured=scene.measured[window],
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
