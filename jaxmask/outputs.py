"""Edge: all files of one finished mask, each whole or not at all: NAME_cloud.nc, NAME.png, and last NAME.h5."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from jaxmask.maskfile import MASK_SUFFIX, Mask, write_mask
from jaxmask.probability import LogitLine
from preprocess.colour import Look
from preprocess.files import staged, sync_folder
from preprocess.scene import SceneInfo

NETCDF_SUFFIX = "_cloud.nc"
PICTURE_SUFFIX = ".png"
PICTURE_END = b"\0\0\0\0IEND\xaeB`\x82"  # the empty last chunk of every PNG file and its sum


def write_outputs(
    folder: Path,
    mask: Mask,
    info: SceneInfo,
    *,
    probability: NDArray[np.float32] | None = None,
    line: LogitLine | None = None,
    look: Look | None = None,
) -> None:
    """Write `mask` to `folder`; its `.h5` last, so that where it is, the others are too.

    probability: (H, W) float32, P(cloud) without buffer: a CF netCDF file is written where it is given; line: how it
    came from the network's logits; look: what the scene looks like: a quicklook is written where it is given. Files of
    an earlier mask of this product stay until all the new ones are written, whatever goes wrong with these; then they
    are removed before the new ones take their places, the mask first: what a killed program leaves is never a mask with
    files of another. Raises UserError as cf_mask.write_cf_mask, IsADirectoryError where a folder has a file's name.
    To be called from one thread of a process at a time: the netCDF library knows no threads.
    """
    path = folder / f"{mask.name}{MASK_SUFFIX}"
    with staged(path) as stage:
        netcdf, picture = companions(stage / path.name)
        if probability is not None:
            from jaxmask.cf_mask import write_cf_mask  # netCDF4 is slow to import

            write_cf_mask(netcdf, mask, info, probability, line)
        if look is not None:
            from jaxmask.quicklook import write_quicklook  # as is matplotlib

            write_quicklook(picture, look, info, mask)
        write_mask(stage / path.name, mask)
        _move(stage, path)


def _move(stage: Path, path: Path) -> None:
    """Replace the mask `path` and what belongs to it by the files in `stage`."""
    others = companions(path)
    for target in (path, *others):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    path.unlink(missing_ok=True)
    for target in others:
        target.unlink(missing_ok=True)
        if (stage / target.name).exists():
            os.replace(stage / target.name, target)
    os.replace(stage / path.name, path)
    sync_folder(path.parent)


def is_whole(companion: Path) -> bool:
    """Whether a netCDF file or a quicklook is there and does not end too early."""
    try:
        if companion.suffix == PICTURE_SUFFIX:
            with companion.open("rb") as file:
                file.seek(-len(PICTURE_END), os.SEEK_END)
                return file.read() == PICTURE_END
        with h5py.File(companion, "r"):  # which compares the file's length with its own record
            return True
    except OSError:
        return False


def companions(mask: Path) -> tuple[Path, Path]:
    """Where the netCDF file and the quicklook of the mask NAME.h5 lie, if they are there."""
    return mask.with_name(f"{mask.stem}{NETCDF_SUFFIX}"), mask.with_name(f"{mask.stem}{PICTURE_SUFFIX}")
