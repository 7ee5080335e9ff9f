"""Edge: the command that predicts cloud masks: shards or raw products in, one mask file a product out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jaxmask.devices import nvidia_facts
from jaxmask.ensemble import ensemble_digest, joint_split, load_models, probability_fit
from jaxmask.finish import Finish
from jaxmask.infer_config import InferConfig
from jaxmask.inference_record import write_inference
from jaxmask.kept_memory import keep_memory
from jaxmask.launch_choice import Launch
from jaxmask.mask_settings import is_done, mask_settings
from jaxmask.mesh import use_cpu_only
from jaxmask.model import Model
from jaxmask.parts import part_finder
from jaxmask.predictor import open_predictor
from jaxmask.probability import probability_line
from jaxmask.reading import reading
from jaxmask.scene_source import find_scenes
from jaxmask.shares import clear_others, failures_name, share, take_process
from jaxmask.stream import Tally, stream
from preprocess.command import finish, run
from preprocess.files import writable_folder


def main(config: InferConfig) -> int:
    """Predict what is not there yet; returns the exit code."""
    begun = time.monotonic()
    launch = prepare_process(config)
    scenes = share(find_scenes(config.scenes), launch)
    if config.scheduler is not None:  # whose workers' current folder is another
        scenes = [path.absolute() for path in scenes]
    models = load_models(config.model, config.ensemble, config.checkpoint)
    fit = probability_fit(models, flips=config.flips) if config.probability or config.netcdf else None
    folder = writable_folder(config.predictions)
    clear_others(folder, launch)
    settings = mask_settings(config, models, fit)
    line = probability_line(models[0].positive_weight, fit) if config.netcdf else None
    done = partial(is_done, settings=settings, folder=folder, overwrite=config.overwrite, netcdf=line, png=config.png)
    missing = [path for path in scenes if not done(path)]
    finishing = Finish(config, settings, models[0].positive_weight, fit, part_finder(joint_split(models)))
    tally = predict_all(config, models, missing, finishing, quiet=config.quiet or launch.process > 0)
    seconds, written = time.monotonic() - begun, len(missing) - len(tally.failures)
    if written:
        how = {"backend": config.backend, "precision": config.precision}
        write_inference(folder, launch, masks=written, pixels=tally.pixels, seconds=seconds, **how)
    summary = summarise(config, models, len(scenes), len(missing), tally, launch, seconds)
    return finish(config, summary, tally.failures, folder, failures_name(launch))


def prepare_process(config: InferConfig) -> Launch:
    """Settle memory and devices, before any is touched; returns which of several processes this is."""
    cpu_only = config.cpu_only or config.backend == "openvino"
    if cpu_only or not nvidia_facts().plugins:
        keep_memory()
    if cpu_only:
        use_cpu_only()
    return take_process(config.num_processes, config.process_id, cpu_only=cpu_only)


def predict_all(
    config: InferConfig, models: Sequence[Model], paths: Sequence[Path], finishing: Finish, *, quiet: bool
) -> Tally:
    """Read ahead, predict and write behind; what could not be done, and why."""
    if not paths:
        return Tally()
    predictor = open_predictor(config, models)
    with reading(config, models[0], paths, quiet=quiet) as outcomes:
        return stream(paths, outcomes, predictor, finishing.write)


def summarise(
    config: InferConfig,
    models: Sequence[Model],
    scenes: int,
    missing: int,
    tally: Tally,
    launch: Launch,
    seconds: float,
) -> dict[str, Any]:
    """What is said at the end."""
    written, reused, failed = missing - len(tally.failures), scenes - missing, len(tally.failures)
    counts = f"{written} masks written, {reused} reused, {failed} failed"
    of = f"process {launch.process} of {launch.processes}: " if launch.processes > 1 else ""
    return {
        "masks": written,
        "reused": reused,
        "seconds": round(seconds, 1),
        "waited_seconds": {whom: round(waited, 2) for whom, waited in tally.seconds.items()},
        "model": ensemble_digest(models),
        "message": f"{of}{counts} in {seconds:.1f} s; masks in {config.predictions}",
    } | ({"process": launch.process, "processes": launch.processes} if launch.processes > 1 else {})


if __name__ == "__main__":
    sys.exit(run("jaxmask.infer", InferConfig, main))
