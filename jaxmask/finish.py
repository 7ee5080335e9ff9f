"""Edge: from a scene's logits to its mask, by the flags of inference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxmask.buffer import buffered
from jaxmask.infer_config import InferConfig
from jaxmask.maskfile import Mask
from jaxmask.outputs import write_outputs
from jaxmask.parts import Part
from jaxmask.probability import LogitLine, line_attributes, probability_line, to_output, to_probability
from jaxmask.scene_input import SceneInput
from jaxmask.scene_source import info_json


@dataclass(frozen=True)
class Finish:
    """What all masks of a run have in common."""

    config: InferConfig
    settings: dict[str, Any]  # mask_settings.py
    positive_weight: float
    fit: LogitLine | None  # of the probability; None: by theory
    part: Callable[[str], Part]  # of the model's split, by the product's name

    def write(self, scene: SceneInput, logits: np.ndarray) -> None:
        """Write the mask and what belongs to it, from logits (H, W) float32."""
        config, line = self.config, probability_line(self.positive_weight, self.fit)
        wants_probability = config.probability or config.netcdf
        probability = to_probability(logits, self.positive_weight, self.fit) if wants_probability else None
        values = probability if config.probability and probability is not None else to_output(logits)
        if config.buffer:
            values = buffered(values, scene.valid, config.buffer)
        mask = Mask(
            scene.info.product,
            values,
            scene.valid,
            self.settings | self._attributes(scene) | (line_attributes(line) if config.netcdf else {}),
            latitude=scene.latitude,
            longitude=scene.longitude,
            flags=scene.flags,
            measured=scene.measured,
        )
        unbuffered = probability if config.netcdf else None
        write_outputs(config.predictions, mask, scene.info, probability=unbuffered, line=line, look=scene.look)

    def _attributes(self, scene: SceneInput) -> dict[str, Any]:
        """What is known of this product alone."""
        info = scene.info
        part = self.part(info.product)
        return {"part": part, "product": info_json(info), "rows": info.rows, "columns": info.columns}
