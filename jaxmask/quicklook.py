"""Edge: one scene and its mask as a PNG file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxmask import panels
from preprocess.colour import Look, Night, scene_look
from preprocess.errors import UserError
from preprocess.files import whole_file
from preprocess.scene import Scene, SceneInfo

THRESHOLD = 0.5


def save_quicklook(
    path: Path,
    scene: Scene,
    probability: NDArray[np.floating],
    valid: NDArray[np.bool_],
    threshold: float = THRESHOLD,
    quantity: str = "q",
    night: Night = "microphysics",
) -> None:
    """Write `path`, a PNG of false colour with the mask's outline beside the network's output, whole or not at all.

    probability: (H, W) float 0..1 (1 = cloud), the output q, or P(cloud) where `quantity` is "P"; valid: (H, W) bool,
    where it counts. Raises UserError if these and the scene differ in size.
    """
    if not (scene.refs.shape[:2] == probability.shape == valid.shape):
        raise UserError(
            f"{path}: a quicklook needs scene and mask of one size; found a scene of {scene.refs.shape[:2]}, a mask of "
            f"{probability.shape} and its validity of {valid.shape}: make the mask from this scene"
        )
    look = scene_look(scene, night=night)
    write_quicklook(path, look, scene.info, probability, np.asarray(valid, bool), threshold, quantity)


def write_quicklook(
    path: Path,
    look: Look,
    info: SceneInfo,
    probability: NDArray[np.floating],
    valid: NDArray[np.bool_],
    threshold: float,
    quantity: str,
    buffer: int = 0,
) -> None:
    """The same from what the scene looks like; buffer: by how many pixels `probability` was spread."""
    title = f"{info.product}   {info.start_time}"
    picture = panels.quicklook(look.picture, probability, valid, threshold, title, quantity, buffer)
    with whole_file(path) as partial:
        partial.write_bytes(picture)
