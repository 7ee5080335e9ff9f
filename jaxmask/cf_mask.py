"""Edge: a finished mask as a netCDF file by the CF conventions, on the product's own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxmask.maskfile import Mask
from preprocess.scene import SceneInfo


def write_cf_mask(path: Path, mask: Mask, info: SceneInfo, probability: NDArray[np.float32]) -> None:
    """Write `path`, whole or not at all."""
    raise NotImplementedError
