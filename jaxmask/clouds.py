"""What a network says of images in physical units: its output, the probability of cloud, and a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxmask.buffer import buffered
from jaxmask.channels import REFLECTANCE_CHANNELS, normalise
from jaxmask.logits import Logits
from jaxmask.physical import filled
from jaxmask.predict import scene_logits
from jaxmask.probability import LogitLine, along, to_output

CHANNEL_AXES = 3  # rows, columns, channels: an array with one more is a batch


@dataclass(frozen=True, eq=False)
class Clouds:
    """What a model says of a scene: arrays (H, W), or (B, H, W) for a batch.

    output: the network's sigmoid output q, float32 from 0 to 1, NaN where not valid; probability: P(cloud), likewise;
    mask: bool, True where there is cloud, False where not valid; valid: bool, False where S8 or S9 is missing.
    """

    output: NDArray[np.float32]
    probability: NDArray[np.float32]
    mask: NDArray[np.bool_]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Decision:
    """Cloud is where the output, or P(cloud) if `probability`, exceeds the threshold, and `buffer` pixels around."""

    threshold: float
    probability: bool
    buffer: int


def predict_clouds(
    logits: Logits,
    images: NDArray[Any],
    valid: NDArray[np.bool_],
    decision: Decision,
    *,
    convention: str,
    line: LogitLine,
    at_once: int = 1,
    max_pixels: int | None = None,
) -> Clouds:
    """Predict images (H, W, 9) or (B, H, W, 9) in physical units, missing values NaN; valid: (H, W) or (B, H, W).

    convention: of the network's input; line: from its logit to that of P(cloud); at_once: images that keep all devices
    busy: memory doesn't grow with the batch, but for the result; max_pixels: as predict.scene_logits.
    """
    if images.ndim == CHANNEL_AXES:
        settings: dict[str, Any] = {"convention": convention, "line": line, "max_pixels": max_pixels}
        batch = predict_clouds(logits, images[None], valid[None], decision, **settings)
        return Clouds(batch.output[0], batch.probability[0], batch.mask[0], batch.valid[0])
    output, probability = np.empty(valid.shape, np.float32), np.empty(valid.shape, np.float32)
    clouds = Clouds(output, probability, np.empty(valid.shape, np.bool_), valid)
    at_once = min(len(images), at_once)
    for first in range(0, len(images), at_once):
        network_input = _network_input(images[first : first + at_once], convention, at_once)
        found = np.asarray(scene_logits(logits, network_input, max_pixels=max_pixels))
        for number in range(first, min(first + at_once, len(images))):
            _fill_in(clouds, number, found[number - first], line, decision)
    return clouds


def _network_input(images: NDArray[Any], convention: str, count: int) -> NDArray[np.float32]:
    """Normalised, with images of zeros up to `count`: another number of images would be compiled anew."""
    known = filled(images, convention)
    normalised = normalise(known[..., :REFLECTANCE_CHANNELS], known[..., REFLECTANCE_CHANNELS:])
    idle = count - len(images)
    return np.pad(normalised, [(0, idle), (0, 0), (0, 0), (0, 0)]) if idle else normalised


def _fill_in(clouds: Clouds, number: int, logits: NDArray[np.float32], line: LogitLine, decision: Decision) -> None:
    valid = clouds.valid[number]
    output, probability = to_output(logits), along(logits, line)
    chosen = probability if decision.probability else output
    spread = buffered(chosen, valid, decision.buffer) if decision.buffer else chosen
    clouds.mask[number] = valid & (spread > decision.threshold)
    clouds.output[number] = np.where(valid, output, np.float32(np.nan))
    clouds.probability[number] = np.where(valid, probability, np.float32(np.nan))
