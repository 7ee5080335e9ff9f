"""Edge: all files of one finished mask, each whole or not at all: NAME_cloud.nc, NAME.png, and last NAME.h5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxmask.maskfile import MASK_SUFFIX, Mask, write_mask
from jaxmask.probability import LogitLine
from preprocess.scene import SceneInfo

NETCDF_SUFFIX = "_cloud.nc"
PICTURE_SUFFIX = ".png"


def write_outputs(
    folder: Path,
    mask: Mask,
    info: SceneInfo,
    *,
    probability: NDArray[np.float32] | None = None,
    line: LogitLine | None = None,
    base: NDArray[np.uint8] | None = None,
) -> None:
    """Write `mask` to `folder`; its `.h5` last, so that where it is, the others are too.

    probability: (H, W) float32, P(cloud) without buffer: a CF netCDF file is written where it is given; line: how it
    came from the network's logits; base: (H, W, 3) uint8, the scene in false colour: a quicklook is written where it
    is given. Files of an earlier mask of this product are removed first: what a killed program leaves is never a mask
    with files of another. Raises UserError as cf_mask.write_cf_mask.
    To be called from one thread of a process at a time: the netCDF library knows no threads.
    """
    path = folder / f"{mask.name}{MASK_SUFFIX}"
    netcdf, picture = companions(path)
    path.unlink(missing_ok=True)
    netcdf.unlink(missing_ok=True)
    picture.unlink(missing_ok=True)
    if probability is not None:
        from jaxmask.cf_mask import write_cf_mask  # netCDF4 is slow to import

        write_cf_mask(netcdf, mask, info, probability, line)
    if base is not None:
        from jaxmask.quicklook import write_quicklook  # as is matplotlib

        settings = mask.threshold, mask.attributes["quantity"], int(mask.attributes.get("buffer", 0))
        write_quicklook(picture, base, info, mask.probability, mask.valid, *settings)
    write_mask(path, mask)


def companions(mask: Path) -> tuple[Path, Path]:
    """Where the netCDF file and the quicklook of the mask NAME.h5 lie, if they are there."""
    return mask.with_name(f"{mask.stem}{NETCDF_SUFFIX}"), mask.with_name(f"{mask.stem}{PICTURE_SUFFIX}")
