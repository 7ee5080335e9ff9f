"""Edge: the command that predicts cloud masks: shards or raw products in, one mask file a product out."""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmask.infer_config import InferConfig
from jaxmask.maskfile import MASK_SUFFIX, Mask, read_attributes, write_mask
from jaxmask.mesh import use_cpu_only
from jaxmask.model import Model, load_model
from jaxmask.parts import part_finder
from jaxmask.pixels import image
from jaxmask.predict import cloud_probability, predict_scene, predict_tiles
from jaxmask.scene_source import Wanted, find_scenes, info_json, is_shard, load_scene, scene_name
from preprocess.command import Failure, finish, run
from preprocess.errors import UserError
from preprocess.files import writable_folder
from preprocess.pool import map_items, one_line
from preprocess.scene import Scene
from preprocess.shard import read_info

PICTURE_SUFFIX = ".png"

Predict = Callable[[np.ndarray], np.ndarray]  # normalised image (H, W, 9) -> output (H, W), float32


def main(config: InferConfig) -> int:
    """Predict what is not there yet; returns the exit code."""
    begun = time.monotonic()
    if config.cpu_only:
        use_cpu_only()
    scenes = find_scenes(config.scenes)
    if config.scheduler is not None:  # whose workers' current folder is another
        scenes = [path.absolute() for path in scenes]
    model = load_model(config.model, config.checkpoint)
    folder = writable_folder(config.predictions)
    settings = mask_settings(config, model)
    missing = [
        path for path in scenes if not is_done(folder, path, settings, overwrite=config.overwrite, png=config.png)
    ]
    failures = predict_all(config, model, missing, settings)
    written, reused = len(missing) - len(failures), len(scenes) - len(missing)
    seconds = round(time.monotonic() - begun, 1)
    summary = {"masks": written, "reused": reused, "seconds": seconds, "model": model.digest}
    counts = f"{written} masks written, {reused} reused, {len(failures)} failed"
    return finish(config, summary | {"message": f"{counts} in {seconds} s; masks in {folder}"}, failures, folder)


def predict_all(config: InferConfig, model: Model, paths: list[Path], settings: dict[str, Any]) -> list[Failure]:
    """Read ahead, predict and write one scene after the other; what could not be done, and why."""
    wanted = Wanted(model.convention, model.calibration, model.regridding, force=config.force, verify=config.verify)
    reader = partial(load_scene, wanted=wanted)
    workers = 0 if config.workers is None and all(map(is_shard, paths)) else config.workers
    predict, part = predictor(config, model), part_finder(model.split)
    failures, done = [], dict[str, Path]()
    outcomes = map_items(reader, paths, workers=workers, scheduler=config.scheduler, label="infer", quiet=config.quiet)
    for outcome in outcomes:
        scene = outcome.value
        if scene is None:
            failures.append(Failure(str(outcome.item), outcome.error or "unknown"))
            continue
        try:
            _refuse_twins(done, scene.info.product, outcome.item)
            attributes = settings | {"part": part(scene.info.product)}
            write_prediction(config, scene, predict, attributes)
        except (UserError, ValueError, RuntimeError) as error:
            failures.append(Failure(str(outcome.item), one_line(error)))
    return failures


def predictor(config: InferConfig, model: Model) -> Predict:
    """The model as a function of images, tiled or whole, giving q or P."""
    params = jax.device_put(model.params)
    tiled = config.tiling == "reference"
    predict = partial(predict_tiles, crop=config.crop) if tiled else predict_scene

    def outputs(pixels: np.ndarray) -> np.ndarray:
        q = predict(model.graphdef, params, pixels)
        return cloud_probability(q, model.positive_weight) if config.probability else q

    return outputs


def write_prediction(config: InferConfig, scene: Scene, predict: Predict, attributes: dict[str, Any]) -> None:
    """Predict one scene and write its mask, and the quicklook if asked for."""
    pixels = image(scene.refs, scene.bts)
    finite = np.isfinite(pixels).all(axis=-1)
    pixels[~finite] = 0
    valid = finite & (scene.valid[..., 0] > 0)
    product = {"product": info_json(scene.info), "rows": scene.info.rows, "columns": scene.info.columns}
    mask = Mask(
        scene.info.product,
        predict(pixels),
        valid,
        attributes | product,
        latitude=scene.latitude,
        longitude=scene.longitude,
        flags=scene.flags,
        measured=scene.measured,
    )
    picture = config.predictions / f"{mask.name}{PICTURE_SUFFIX}"
    if config.png:
        from jaxmask.quicklook import save_quicklook  # matplotlib is slow to import

        save_quicklook(picture, scene, mask.probability, valid, config.threshold, mask.attributes["quantity"])
    else:
        picture.unlink(missing_ok=True)  # of another mask
    write_mask(config.predictions / f"{mask.name}{MASK_SUFFIX}", mask)


def mask_settings(config: InferConfig, model: Model) -> dict[str, Any]:
    """The attributes by which a mask is known to be of this model and these flags."""
    crop = {"crop_size": config.crop} if config.tiling == "reference" else {}
    return {
        "model": model.digest,
        "convention": model.convention,
        "calibration": model.calibration,
        "positive_weight": model.positive_weight,
        "quantity": "P" if config.probability else "q",
        "threshold": config.threshold,
        "tiling": config.tiling,
        **crop,
        "jaxmask": importlib.metadata.version("jaxmask"),
    }


def is_done(folder: Path, scene: Path, settings: dict[str, Any], *, overwrite: bool, png: bool = False) -> bool:
    """Whether `folder` holds the whole mask of this scene under these settings, and its quicklook if `png`.

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
    differing = [name for name, value in settings.items() if found.get(name) != value and name != "jaxmask"]
    if differing and not overwrite:
        raise UserError(
            f"{path} is there already, but of another {differing[0]} ({found.get(differing[0], 'unknown')}); "
            "choose another folder, or pass --overwrite to replace such masks"
        )
    complete = not png or path.with_suffix(PICTURE_SUFFIX).exists()
    return not differing and complete and not _is_outdated(scene, found)


def _is_outdated(scene: Path, attributes: dict[str, Any]) -> bool:
    """Whether a shard's record (product version, label, size, ...) is no longer the one its mask was made from."""
    try:
        return is_shard(scene) and info_json(read_info(scene)) != attributes.get("product")
    except UserError:
        return False  # a shard that can't be read gives no better mask


def _refuse_twins(done: dict[str, Path], name: str, path: Path) -> None:
    if name in done:
        raise UserError(f"{path} is the same product as {done[name]}, whose mask is written")
    done[name] = path


if __name__ == "__main__":
    sys.exit(run("jaxmask.infer", InferConfig, main))
