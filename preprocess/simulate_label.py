"""A Bayes-like cloud label, computed from the simulated observations and an imperfect prior, never from the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulate_fields import Floats

SINGLE_LOW, SINGLE_MODERATE, DUAL_LOW, DUAL_MODERATE = 1, 2, 4, 8
LOW_ABOVE, MODERATE_ABOVE = 0.5, 0.9


@dataclass(frozen=True)
class Label:
    """P(cloud) from the nadir view, and from the oblique S8, S9 in their place; the bits of `bayes_in`; all (R, C).

    `probability_single`, `probability_dual` float32 0..1, the latter equal to the former outside the dual swath;
    `bayes` uint8: 1 single_low (P >= 0.5), 2 single_moderate (P >= 0.9), 4 dual_low, 8 dual_moderate, the last two
    inside the dual swath only.
    """

    probability_single: Floats
    probability_dual: Floats
    bayes: NDArray[np.uint8]
