"""Time the compiled training step and whole-scene inference on whatever devices JAX finds; JSON on stdout.

    python benchmarks/gpu.py [--features 32 --batch 32 --steps 50 --scenes 10 --runs 5] [--output FILE]

Inputs are random and made beforehand: files, decoding and the input pipeline are not in these numbers. Training batches
lie on the devices; inference starts from and ends in host memory, as in `jaxmask.infer`. The first call of each, which
compiles, is timed on its own. Every rate is the median of `--runs` runs, with the slowest and the fastest beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmask.config import TrainConfig
from jaxmask.machine import versions
from jaxmask.mesh import make_mesh
from jaxmask.pixels import CHANNELS
from jaxmask.predict import predict_scene
from jaxmask.programs import make_programs
from jaxmask.unet import count_parameters, create

SCENE_SIZE = "1200x1504"  # pixels of 1 km: the common size, padded to a multiple of 8
CLOCK = time.perf_counter


def main(argv: list[str] | None = None) -> int:
    """Run both benchmarks in each precision, print what came out, and return 0."""
    options = parse(argv)
    report = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "options": vars(options), **environment()}
    say(f"{report['devices']} x {report['device_kind']} ({report['backend']}), jax {report['versions']['jax']}")
    report["results"] = [result for precision in precisions() for result in benchmark(options, precision)]
    report["not_measured"] = {"bfloat16": "the training step computes in float32"}
    print(text := json.dumps(report, indent=2, allow_nan=False))
    if options.output:
        Path(options.output).write_text(text + "\n")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags; sizes are `HEIGHTxWIDTH` in pixels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=32, help="features of the U-Net's first level")
    parser.add_argument("--batch", type=int, default=32, help="patches a step on each device")
    parser.add_argument("--patch", type=int, default=256, help="rows and columns of a patch, pixels")
    parser.add_argument("--steps", type=int, default=50, help="training steps in a run")
    parser.add_argument("--scenes", type=int, default=10, help="scenes in a run")
    parser.add_argument("--scene-size", type=size, default=SCENE_SIZE, help="rows x columns of a scene, pixels")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each")
    parser.add_argument("--output", help="also write the JSON to this file")
    options = parser.parse_args(argv)
    for name in ("features", "batch", "steps", "scenes", "runs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more; found {getattr(options, name)}")
    return options


def size(text: str) -> tuple[int, int]:
    """Rows and columns of "HEIGHTxWIDTH"; ValueError, which argparse reports, for anything else."""
    height, width = (int(part) for part in text.split("x"))
    if min(height, width) < 1:
        raise ValueError(text)
    return height, width


def precisions() -> tuple[str, ...]:
    """JAX's own choice for float32 products (TF32 on recent NVIDIA GPUs), and full float32 where that differs."""
    return ("default",) if jax.default_backend() == "cpu" else ("default", "float32")


def benchmark(options: argparse.Namespace, precision: str) -> list[dict[str, Any]]:
    """Both benchmarks with float32 arrays and products of the given precision."""
    with jax.default_matmul_precision(precision):
        results = [time_training(options), time_inference(options)]
    for result in results:
        say(
            f"{result['what']}, {precision} precision: {result['median']:.3g} {result['unit']} "
            f"({result['slowest']:.3g} to {result['fastest']:.3g}), first call {result['first_call_s']:.1f} s"
        )
    return [{"precision": precision, "dtype": "float32"} | result for result in results]


def time_training(options: argparse.Namespace) -> dict[str, Any]:
    """The step that `jaxmask.train` compiles, its batch on the devices; patches/s over all of them."""
    mesh = make_mesh()
    clip = min(15, options.patch // 2 - 1)
    config = TrainConfig(features=options.features, patch_size=options.patch, clip_offset=clip)
    count = options.batch * jax.device_count()
    programs = make_programs(config, mesh, global_batch=count, steps_per_epoch=options.steps)
    batch = programs.place(random_batch(count, options.patch))
    state = programs.init()

    def steps(number: int) -> None:
        nonlocal state
        for _ in range(number):
            state, sums = programs.train(state, batch)
        jax.block_until_ready((state, sums))

    first = timed(steps, 1)
    seconds = [timed(steps, options.steps) for _ in range(options.runs)]
    return summary("training step", "patches/s", count * options.steps, seconds, first) | {
        "global_batch": count, "parameters": count_parameters(state.params), "peak_bytes_in_use": peak_bytes()
    }  # fmt: skip


def time_inference(options: argparse.Namespace) -> dict[str, Any]:
    """Whole scenes one after the other on one device, from host memory to host memory; scenes/s."""
    height, width = options.scene_size
    graphdef, params = create(options.features, seed=0)
    image = np.random.default_rng(0).normal(size=(height, width, CHANNELS)).astype(np.float32)

    def scenes(number: int) -> None:
        for _ in range(number):
            predict_scene(graphdef, params, image)

    first = timed(scenes, 1)
    seconds = [timed(scenes, options.scenes) for _ in range(options.runs)]
    return summary("whole-scene inference", "scenes/s", options.scenes, seconds, first) | {
        "rows": height, "columns": width, "peak_bytes_in_use": peak_bytes()
    }  # fmt: skip


def random_batch(count: int, patch: int) -> dict[str, np.ndarray]:
    """A batch as the input pipeline gives it: normalised image, label and weight, float32."""
    rng = np.random.default_rng(0)
    return {
        "image": rng.normal(size=(count, patch, patch, CHANNELS)).astype(np.float32),
        "label": rng.integers(0, 2, (count, patch, patch, 1)).astype(np.float32),
        "weight": np.ones((count, patch, patch, 1), np.float32),
    }


def timed(work: Callable[[int], None], number: int) -> float:
    """Seconds that `work(number)` takes."""
    begun = CLOCK()
    work(number)
    return CLOCK() - begun


def summary(what: str, unit: str, items: int, seconds: list[float], first: float) -> dict[str, Any]:
    """Rates of all runs, `items` in each."""
    rates = [items / value for value in seconds]
    return {
        "what": what, "unit": unit, "median": statistics.median(rates), "slowest": min(rates), "fastest": max(rates),
        "runs": len(rates), "items_a_run": items, "first_call_s": first,
    }  # fmt: skip


def environment() -> dict[str, Any]:
    """The hardware and the versions behind the numbers."""
    device = jax.devices()[0]
    return {
        "backend": jax.default_backend(), "devices": jax.device_count(), "device_kind": device.device_kind,
        "processor": processor(), "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": platform.platform(), "versions": versions(), "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }  # fmt: skip


def processor() -> str:
    """The name of the CPU, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def peak_bytes() -> int | None:
    """The most memory that was in use on a device since the process began; None where the device doesn't count."""
    found = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()]
    return max((value for value in found if value is not None), default=None)


def say(line: str) -> None:
    """A line for people, on stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
