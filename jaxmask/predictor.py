"""Edge: models made ready to predict scenes under the flags of inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from jaxmask.ensemble import open_networks
from jaxmask.infer_config import InferConfig
from jaxmask.logits import Logits
from jaxmask.model import Model
from jaxmask.predict import reference_tile_logits, scene_logits
from jaxmask.scene_input import SceneInput

# Scenes, and their images stacked and padded (B, H, W, 9) -> logits (B, H, W), perhaps still being computed.
Start = Callable[[Sequence[SceneInput], np.ndarray], Any]


@dataclass(frozen=True)
class Predictor:
    """What the devices do: begin with a batch of scenes, `batch` of which keep all devices busy at once."""

    start: Start
    batch: int


def open_predictor(config: InferConfig, models: Sequence[Model]) -> Predictor:
    """Put the models on the devices."""
    network = open_networks(models, flips=config.flips, backend=config.backend, precision=config.precision)
    if config.tiling == "reference":
        return Predictor(partial(_reference_tiles, network.logits, config.crop), 1)
    # OpenVINO takes one image after the other anyhow, and would compute those that only fill up a last batch.
    at_once = config.batch_size * network.devices if config.backend == "jax" else 1
    return Predictor(partial(_scenes, network.logits, config.max_pixels), at_once)


def _scenes(logits: Logits, max_pixels: int | None, scenes: Sequence[SceneInput], images: np.ndarray) -> Any:
    return scene_logits(logits, images, max_pixels=max_pixels)


def _reference_tiles(logits: Logits, crop: int, scenes: Sequence[SceneInput], images: np.ndarray) -> np.ndarray:
    """Of the scene without padding: the original pads it in its own way."""
    (scene,) = scenes
    rows, columns = scene.size
    return reference_tile_logits(logits, images[0, :rows, :columns], crop)[None]
