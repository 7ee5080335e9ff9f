"""What a network is to those who only call it: a function of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# Normalised images (B, H, W, 9) float32, H and W multiples of 8, B any number -> logits (B, H, W) float32: a numpy
# array, or a jax array that may still be computed (np.asarray waits for it).
Logits = Callable[[np.ndarray], Any]
