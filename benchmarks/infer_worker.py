"""A process of infer.py that predicts as jaxmask.infer does: a line of JSON for each request of stdin.

    python benchmarks/infer_worker.py MODEL --backend jax|openvino --precision float32|bfloat16 [--batch-size 1]

Its first line, when the model is on the devices, says what it computes on. Requests: {"do": "compute", "scene": PATH,
"count": N} predicts a scene that is in memory already, N times; {"do": "stream", "scenes": FOLDER, "masks": FOLDER}
reads, predicts and writes. Answers: seconds a scene, {"wall_s", "cpu_s"}, of a stream also what the devices' thread
waited for. The wall clock is of the middle half of the scenes, where all stages are at work; processor time is of all
of them, readers' processes and their start included.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from jaxmask.ensemble import load_models
from jaxmask.finish import Finish
from jaxmask.infer import prepare_process
from jaxmask.infer_config import InferConfig
from jaxmask.mask_settings import mask_settings
from jaxmask.predictor import Predictor, open_predictor
from jaxmask.reading import reading
from jaxmask.scene_input import SceneInput, read_input
from jaxmask.scene_source import Wanted, find_scenes
from jaxmask.stream import stream


def main(argv: list[str] | None = None) -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--backend", choices=("jax", "openvino"), default="jax")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--batch-size", type=int, default=1, help="scenes that a device computes at once")
    options = parser.parse_args(argv)
    made = partial(InferConfig, options.model, quiet=True, backend=options.backend, precision=options.precision)
    config = made(Path(), Path(), batch_size=options.batch_size)
    prepare_process(config)
    models = load_models(options.model)
    predictor = open_predictor(config, models)
    devices = "CPU" if config.backend == "openvino" else f"{jax.local_device_count()} x {jax.devices()[0].device_kind}"
    answer({"devices": devices, "batch": predictor.batch, "convention": models[0].convention})
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "compute":
            answer(compute(models, predictor, Path(request["scene"]), request["count"]))
        else:
            config = made(Path(request["scenes"]), Path(request["masks"]), batch_size=options.batch_size)
            answer(run_stream(config, models, predictor))
    return 0


def compute(models: Any, predictor: Predictor, path: Path, count: int) -> dict[str, float]:
    """The network alone, one batch always in work while the next is given to the devices."""
    scene, images = in_memory(models[0].convention, models[0].calibration, models[0].regridding, path, predictor.batch)
    begun, used = time.perf_counter(), cpu_s()
    computing = None
    for _ in range(count // predictor.batch):
        started = predictor.start([scene] * predictor.batch, images)
        if computing is not None:
            np.asarray(computing)
        computing = started
    np.asarray(computing)
    done = count // predictor.batch * predictor.batch
    return {"wall_s": (time.perf_counter() - begun) / done, "cpu_s": (cpu_s() - used) / done}


@cache
def in_memory(
    convention: str, calibration: str, regridding: str, path: Path, batch: int
) -> tuple[SceneInput, np.ndarray]:
    """A scene, and its image as often as a batch needs."""
    scene = read_input(path, Wanted(convention, calibration, regridding))
    return scene, np.repeat(scene.image[None], batch, axis=0)


def run_stream(config: InferConfig, models: Any, predictor: Predictor) -> dict[str, Any]:
    """All scenes of a folder, from files to files. Raises RuntimeError if one fails."""
    config.predictions.mkdir(parents=True)
    finish = Finish(config, mask_settings(config, models), models[0].positive_weight, None, lambda name: "none")
    written: list[float] = []

    def write(scene: SceneInput, logits: np.ndarray) -> None:
        finish.write(scene, logits)
        written.append(time.perf_counter())

    paths, used = find_scenes(config.scenes), cpu_s()
    with reading(config, models[0], paths, quiet=True) as outcomes:
        tally = stream(paths, outcomes, predictor, write)
    if tally.failures:
        raise RuntimeError(tally.failures[0].error)
    first, last = middle(len(paths), predictor.batch)
    return {
        "wall_s": (written[last] - written[first]) / (last - first),
        "cpu_s": (cpu_s() - used) / len(paths),
        "waited_s": {whom: seconds / len(paths) for whom, seconds in tally.seconds.items()},
    }


def middle(count: int, batch: int) -> tuple[int, int]:
    """The last scenes of two batches, between which lies the middle half of `count` scenes."""
    quarter = max(1, count // 4 // batch) * batch
    return quarter - 1, count // batch * batch - quarter - 1


def cpu_s() -> float:
    """Processor time so far, of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def answer(found: dict[str, Any]) -> None:
    """One line of JSON."""
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.exit(main())
