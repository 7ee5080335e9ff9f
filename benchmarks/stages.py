"""Time reading, converting and masking one product, each run in this process; JSON on stdout.

    python benchmarks/stages.py PRODUCT [--model model.h5] [--runs 5]

PRODUCT is a .SEN3 folder or a zip; the figures are of what ../shared/tools/complete_product.py OUT --seed 0 makes.
Every time is the median of `--runs` runs after one that is not counted (the compiler, the file cache), with the fastest
and the slowest beside it. "product to mask" is the whole way from the product on disk to the mask in memory.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxmask.machine import versions
from jaxmask.model import load_model
from jaxmask.network import open_network
from jaxmask.pixels import image
from jaxmask.predict import scene_logits
from jaxmask.scene_source import Wanted, load_scene
from preprocess.compose import CONVENTIONS
from preprocess.convert import ConvertConfig, convert_product
from preprocess.pool import available_cores
from preprocess.product import read_product
from preprocess.shard import read_shard


def main(argv: list[str] | None = None) -> int:
    """Time every stage, print the times, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("product", type=Path, help=".SEN3 folder or zip")
    parser.add_argument("--model", type=Path, help="model folder or model.h5; without one, masks are not timed")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each stage")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        times = {name: timed(work, options.runs) for name, work in stages(options, Path(scratch)).items()}
    for name, found in times.items():
        print(f"{name:32} {found['median_s']:7.2f} s", file=sys.stderr)
    machine = {"processor": processor(), "cores": available_cores(), "versions": versions()}
    print(json.dumps({"when": datetime.now(UTC).isoformat(timespec="seconds"), **machine, "stages": times}, indent=2))
    return 0


def stages(options: argparse.Namespace, scratch: Path) -> dict[str, Callable[[], Any]]:
    """What is timed, by name, in the order in which it must run."""
    work: dict[str, Callable[[], Any]] = {"read product": partial(read_product, options.product)}
    for convention in CONVENTIONS:
        folder = scratch / convention
        config = ConvertConfig(options.product, folder, convention=convention, overwrite=True)
        work[f"product to {convention} shard"] = partial(convert_product, options.product, config)
        work[f"read {convention} shard"] = lambda folder=folder: read_shard(next(folder.glob("*/*.hdf")))
    if options.model:
        model = load_model(options.model)
        logits = open_network(model).logits
        wanted = Wanted(model.convention, model.calibration, model.regridding)

        def masked() -> None:
            scene = load_scene(options.product, wanted)
            np.asarray(scene_logits(logits, image(scene.refs, scene.bts)[None]))

        work[f"product to mask, {model.convention}"] = masked
    return work


def timed(work: Callable[[], Any], runs: int) -> dict[str, float]:
    """Median, fastest and slowest of `runs` runs, s, after one that is not counted."""
    seconds = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    counted = seconds[1:]
    return {"median_s": statistics.median(counted), "fastest_s": min(counted), "slowest_s": max(counted)}


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    sys.exit(main())
