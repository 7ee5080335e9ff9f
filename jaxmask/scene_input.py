"""Edge: a scene as the network takes it, read and normalised where it is read. (No jax: readers run apart.)"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxmask.channels import CHANNELS, normalise
from jaxmask.scene_source import Wanted, load_scene
from preprocess.colour import Look, Night, scene_look
from preprocess.scene import Scene, SceneInfo

SIZE_MULTIPLE = 8  # of unet.py, which imports jax; a test holds them equal


@dataclass(frozen=True, eq=False)
class SceneInput:
    """What the network needs of a scene, and what its mask repeats.

    image: (H + pad, W + pad, 9) float32 normalised, finite, zero beyond the scene; valid: (H, W) bool; latitude,
    longitude: (H, W) float32; flags, measured: (H, W) uint16; look: what the scene looks like, if asked for.
    """

    info: SceneInfo
    image: np.ndarray
    valid: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    flags: np.ndarray
    measured: np.ndarray
    look: Look | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the scene itself."""
        height, width = self.valid.shape
        return height, width


def read_input(path: Path, wanted: Wanted, *, picture: Night | None = None) -> SceneInput:
    """Read a shard or a raw product as `wanted`; `picture`, what to show by night, adds its look.

    Raises as `load_scene`.
    """
    return scene_input(load_scene(path, wanted), picture=picture)


def scene_input(scene: Scene, *, picture: Night | None = None) -> SceneInput:
    """Normalise a scene and pad it to multiples of 8, at the bottom and right, with zeros.

    Zero after normalising is what every 'same' convolution takes to lie beyond an image's edge. Pixels with a channel
    that is not finite are zeros too, and invalid.
    """
    height, width = scene.refs.shape[:2]
    image = np.empty((height + -height % SIZE_MULTIPLE, width + -width % SIZE_MULTIPLE, CHANNELS), np.float32)
    image[height:], image[:height, width:] = 0, 0
    pixels = normalise(scene.refs, scene.bts, image[:height, :width])
    finite = np.isfinite(pixels).all(axis=-1)
    if not finite.all():
        pixels[~finite] = 0
    valid = finite & (scene.valid[..., 0] > 0)
    return SceneInput(
        info=scene.info,
        image=image,
        valid=valid,
        latitude=scene.latitude,
        longitude=scene.longitude,
        flags=scene.flags,
        measured=scene.measured,
        look=scene_look(scene, valid, picture) if picture else None,
    )
