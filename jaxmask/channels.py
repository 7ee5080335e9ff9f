"""The channels as the network takes them, in order and normalised, in NumPy alone. (No jax: readers run apart.)"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

REFLECTANCE_CHANNELS = 6
TEMPERATURE_CHANNELS = 3
CHANNELS = REFLECTANCE_CHANNELS + TEMPERATURE_CHANNELS

# The original's normalisation, which its published models have learnt.
BT_OFFSET_K = 270.0
BT_SCALE_K = 22.0
REFLECTANCE_OFFSET = 0.5


def normalise(refs: NDArray[Any], bts: NDArray[Any], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Reflectances S1-S6, then brightness temperatures S7-S9, normalised: refs - 0.5, (bts - 270 K) / 22 K.

    refs: (..., 6) reflectance; bts: (..., 3) K, of any float type. Returns (..., 9) float32, `out` if given. It takes
    hardly any memory but the result's, whose first touch costs more than the arithmetic.
    """
    split = refs.shape[-1]
    stacked = np.empty((*refs.shape[:-1], split + bts.shape[-1]), np.float32) if out is None else out
    np.subtract(refs, REFLECTANCE_OFFSET, out=stacked[..., :split], casting="same_kind")
    np.divide(bts - BT_OFFSET_K, BT_SCALE_K, out=stacked[..., split:], casting="same_kind")
    return stacked
