"""What the two frameworks of gpu.py share: work made ready to be repeated, and the random patches it is done on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxmask.pixels import CHANNELS, quantise

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Prepared:
    """Work that has been done once: how to repeat it, what one repetition does, and what to tell of it."""

    run: Callable[[int], None]  # does it so many times; returns when the device has done them
    items: int  # patches, scenes or products of a repetition
    about: dict[str, Any]


def random_images(shape: tuple[int, ...]) -> np.ndarray:
    """Normalised images (..., 9) float32 of standard normal numbers: zeros would compute faster than real ones."""
    return np.random.default_rng(0).standard_normal((*shape, CHANNELS), np.float32)


def random_batch(count: int, patch: int) -> Arrays:
    """A batch as training keeps patches, half of the pixels cloud and all of them valid."""
    shape = (count, patch, patch)
    return {
        "image": quantise(random_images(shape)),
        "label": np.random.default_rng(1).integers(0, 2, (*shape, 1), np.uint8),
        "weight": np.ones((*shape, 1), np.uint8),
    }


def clip_offset(patch: int, usual: int) -> int:
    """The usual pixels left out on every side of a patch, or as many as a tiny one has."""
    return min(usual, patch // 2 - 1)
