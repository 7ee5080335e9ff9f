"""Edge: by what a mask is known to be of a model and of flags, and whether it is there already."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxmask.ensemble import ensemble_digest
from jaxmask.infer_config import InferConfig
from jaxmask.maskfile import MASK_SUFFIX, read_attributes
from jaxmask.model import Model
from jaxmask.outputs import companions, is_whole
from jaxmask.probability import LogitLine, line_attributes, probability_line, theoretical_line
from jaxmask.scene_source import info_json, is_shard, scene_name
from preprocess.errors import UserError
from preprocess.shard import read_info

VERSION_NAME = "jaxmask"  # recorded, but a mask of another version is as good
SETTLED_S = 3600.0  # more than any scene takes from being read to its mask, and than clocks differ by
# What masks that were written before these settings existed have of them.
FORMERLY: dict[str, Any] = {"flips": False, "backend": "jax", "precision": "float32", "buffer": 0}


def mask_settings(config: InferConfig, models: Sequence[Model], fit: LogitLine | None = None) -> dict[str, Any]:
    """The attributes by which a mask is known to be of these models, the first of which leads, and these flags.

    fit: of the probability; None: by theory.
    """
    model = models[0]
    crop = {"crop_size": config.crop} if config.tiling == "reference" else {}
    line = line_attributes(probability_line(model.positive_weight, fit)) if config.probability else {}
    members = {"members": " ".join(sorted(each.digest for each in models))} if len(models) > 1 else {}
    return {
        "model": ensemble_digest(models),
        **members,
        "convention": model.convention,
        "calibration": model.calibration,
        "positive_weight": model.positive_weight,
        "quantity": "P" if config.probability else "q",
        "threshold": config.threshold,
        "tiling": config.tiling,
        **crop,
        **line,
        "flips": config.flips,
        "backend": config.backend,
        "precision": config.precision,
        "buffer": config.buffer,
        VERSION_NAME: importlib.metadata.version("jaxmask"),
    }


def is_done(
    scene: Path,
    settings: dict[str, Any],
    folder: Path,
    *,
    overwrite: bool,
    netcdf: LogitLine | None = None,
    png: bool = False,
) -> bool:
    """Whether `folder` holds the whole mask of this scene under these settings, with its netCDF file and its quicklook
    where wanted.

    netcdf: how the probability in the netCDF file comes from logits, None if none is wanted; one of another line is to
    be made anew.

    A mask of another model or other settings is refused (UserError) unless `overwrite`; a broken one, or
    one of a shard that has been converted otherwise since, is made anew.
    """
    path = folder / f"{scene_name(scene)}{MASK_SUFFIX}"
    if not path.exists():
        return False
    try:
        found = read_attributes(path)
    except UserError:
        return False
    known = _defaults(found) | found
    differing = [name for name, value in settings.items() if known.get(name) != value and name != VERSION_NAME]
    if differing and not overwrite:
        raise UserError(
            f"{path} is there already, but of another {differing[0]} ({known.get(differing[0], 'unknown')}); "
            "choose another folder, or pass --overwrite to replace such masks"
        )
    wanted = (netcdf is not None, png)
    complete = all(is_whole(file) for file, needed in zip(companions(path), wanted, strict=True) if needed)
    other_line = netcdf is not None and not line_attributes(netcdf).items() <= known.items()
    return not differing and complete and not other_line and not _is_outdated(scene, path, found)


def _defaults(found: dict[str, Any]) -> dict[str, Any]:
    """What a mask that we wrote before some setting existed has of it."""
    if VERSION_NAME not in found:
        return {}
    weight = found.get("positive_weight")
    if found.get("quantity") != "P" or not isinstance(weight, float) or weight <= 0:
        return FORMERLY
    return FORMERLY | line_attributes(theoretical_line(weight))


def _is_outdated(scene: Path, mask: Path, attributes: dict[str, Any]) -> bool:
    """Whether a shard's record (product version, label, size, ...) is no longer the one its mask was made from.

    A shard that lay there unchanged, by its inode's time, for long enough before the mask was written is not read.
    """
    try:
        if not is_shard(scene) or scene.stat().st_ctime + SETTLED_S < mask.stat().st_mtime:
            return False
        return info_json(read_info(scene)) != attributes.get("product")
    except (UserError, OSError):
        return False  # a shard that can't be read gives no better mask
