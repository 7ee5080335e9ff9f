"""Edge: scenes to predict, from shards or raw products, made into what a model wants. (No jax: readers run apart.)"""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from preprocess.calibration import nadir_calibration
from preprocess.compose import make_scene, regrid_of
from preprocess.errors import UserError
from preprocess.members import Verify
from preprocess.names import SUFFIX
from preprocess.product import find_products, read_product
from preprocess.scene import Scene, SceneInfo
from preprocess.shard import SUFFIXES, find_shards, read_info, read_shard
from preprocess.sources import is_product_folder, read_list

ZIP_SUFFIX = ".zip"


@dataclass(frozen=True)
class Wanted:
    """What a model learnt from: scenes of other kinds are refused unless `force`."""

    convention: str
    calibration: str  # in the words of preprocess.calibration: "none", "notice", or a user's factors themselves
    regridding: str  # as SceneInfo.regridding
    force: bool = False
    verify: Verify = "bytes"  # what the files of raw products must agree with


def find_scenes(path: Path) -> list[Path]:
    """The scenes at `path`: a shard, a .SEN3 folder, a zip, a folder of shards or of products, or a text list of them.

    Raises UserError if there is none, or if two are of one name.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected shards, .SEN3 folders, zips, or a list of them")
    scenes = _found(path)
    names: dict[str, Path] = {}
    for scene in scenes:
        if scene_name(scene) in names:
            raise UserError(f"{scene} and {names[scene_name(scene)]} have one name; give the folder of only one")
        names[scene_name(scene)] = scene
    return scenes


def is_shard(path: Path) -> bool:
    """Whether `path` names a shard, not a raw product."""
    return path.suffix.lower() in SUFFIXES


def scene_name(path: Path) -> str:
    """The product's name, as far as the name of its file tells."""
    return path.stem if is_shard(path) else path.name.removesuffix(ZIP_SUFFIX).removesuffix(SUFFIX)


def load_scene(path: Path, wanted: Wanted) -> Scene:
    """Read one shard, or make a scene of one raw product, of all its rows; radiances are left out.

    Raises UserError if the shard is of another convention, calibration or regridding than `wanted`, or can't be read.
    """
    if not is_shard(path):
        return _scene_of_product(path, wanted)
    info = read_info(path)
    check_kind(str(path), info.convention, info.calibration, info.regridding, wanted)
    return dataclasses.replace(read_shard(path), rads=None)


def check_kind(name: str, convention: str, calibration: str, regridding: str, wanted: Wanted) -> None:
    """Raise UserError unless `name`, made so, is what the model learnt, or is to be taken anyway."""
    found = _flags(convention, calibration, regridding)
    learnt = _flags(wanted.convention, wanted.calibration, wanted.regridding)
    if not wanted.force and found != learnt:
        raise UserError(
            f"{name}: made with {found}, but the model learnt {learnt}; convert the product so, "
            "give infer the raw product, or pass --force"
        )


def _scene_of_product(path: Path, wanted: Wanted) -> Scene:
    regrid = regrid_of(wanted.regridding)
    product = read_product(path, positions=regrid == "neighbours", verify=wanted.verify)
    return make_scene(product, convention=wanted.convention, calibration=wanted.calibration, regrid=regrid)


def _flags(convention: str, calibration: str, regridding: str) -> str:
    """The flags of convert that make such a scene; what was done to the oblique view, which no network sees, apart."""
    words = f"--convention {convention} --calibration {shlex.quote(nadir_calibration(calibration))}"
    return words if convention == "reference" else f"{words} --regrid {regridding}"


def info_json(info: SceneInfo) -> str:
    """The product's information as strict JSON: unknown numbers (NaN) become null."""
    values = dataclasses.asdict(info)
    unknown = {name: None for name, value in values.items() if isinstance(value, float) and math.isnan(value)}
    return json.dumps(values | unknown, allow_nan=False)


def _found(path: Path) -> list[Path]:
    if is_shard(path) and path.is_file():
        return [path]
    if path.is_dir() and not is_product_folder(path):
        return _in_folder(path)
    if path.is_dir() or path.suffix.lower() == ZIP_SUFFIX:
        return find_products(path)
    listed = read_list(path)
    if not listed:
        raise UserError(f"{path}: lists nothing; expected one shard, .SEN3 folder or zip a line")
    return listed


def _in_folder(folder: Path) -> list[Path]:
    """Its shards; but an `.h5` may be anything, such as the match-ups of an archive: products go before those."""
    parts = [part for part in (folder, folder / "day", folder / "night") if part.is_dir()]
    if any(path.suffix == SUFFIXES[0] for part in parts for path in part.iterdir()):
        return find_shards(folder)
    try:
        return find_products(folder)
    except UserError as error:
        if any(is_shard(path) for part in parts for path in part.iterdir()):
            return find_shards(folder)
        raise UserError(f"{folder}: no shards (*.hdf), .SEN3 folders or zips in it") from error
