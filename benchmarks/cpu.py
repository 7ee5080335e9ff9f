"""Time the U-Net on a CPU beside a Keras/TensorFlow peer: forward pass and training step; JSON on stdout.

    python benchmarks/cpu.py [--peer-python OTHER/bin/python] [--features 32 --batch 8 --patch 256 --scene 1200x1504
        --calls 2 --rounds 7] [--output FILE]

float32, random inputs made beforehand. Ours is what `jaxmask.train` and `jaxmask.infer` compile, in this process, with
the memory settings of jaxmask.train; "XLA's own" is the same network with XLA's own convolutions and gradients. The
peer (benchmarks/keras_peer.py) runs in a process of its own, in this interpreter or, where TensorFlow is elsewhere, in
that of `--peer-python`; without TensorFlow it is left out, and the report says why. All use the same cores, by turns:
in every round each piece of work is done `--calls` times. Rates are medians over the rounds, ratios medians of the
rounds' ratios, which what else the machine does disturbs less; "by CPU time" compares processor seconds, which it
hardly disturbs, but which know nothing of cores left idle.

A whole scene has no peer; the memory beside the times is what XLA takes for intermediate results.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import cpu_table
import jax
import jax.numpy as jnp
import numpy as np
from measure import processor, tell

from jaxmask import unet
from jaxmask.conv import XLA, Form
from jaxmask.kept_memory import keep_memory
from jaxmask.losses import CLIP_OFFSET, POSITIVE_WEIGHT
from jaxmask.machine import versions
from jaxmask.optimiser import LEARNING_RATE, keras_adam
from jaxmask.pixels import CHANNELS
from jaxmask.step import Objective, init_state, train_step

PEER = Path(__file__).with_name("keras_peer.py")
OURS, PLAIN, KERAS = "jaxmask", "jaxmask, XLA's own", "Keras/TensorFlow"
Work = Callable[[int], dict[str, float]]  # does itself so many times; seconds of the wall clock and the processor


def main(argv: list[str] | None = None) -> int:
    """Measure, tell, and return 0."""
    options = parse(argv)
    keep_memory()
    begun = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "load": os.getloadavg()[0]}
    works, memory = our_works(options)
    with peer_works(options) as (peers, about):
        clocks = by_turns(works | peers, options.rounds, options.calls)
    report = {
        **begun,
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": versions(),
        "peer": about,
        "options": {name: value for name, value in vars(options).items() if name not in ("output", "peer_python")},
        "results": summary(clocks, options),
        "temporary_mb": memory,
    }
    tell(report, cpu_table.text(report).splitlines(), options.output)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has TensorFlow")
    parser.add_argument("--features", type=int, default=32, help="features of the U-Net's first level")
    parser.add_argument("--batch", type=int, default=8, help="patches a step")
    parser.add_argument("--patch", type=int, default=256, help="rows and columns of a patch, pixels")
    parser.add_argument("--scene", default="1200x1504", help="rows x columns of a whole scene, pixels")
    parser.add_argument("--calls", type=int, default=2, help="times that each piece of work is done in a round")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count, after one that does not")
    parser.add_argument("--output", type=Path, help="also write the JSON to this file")
    options = parser.parse_args(argv)
    for name in ("features", "batch", "patch", "calls", "rounds"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more; found {getattr(options, name)}")
    return options


def our_works(options: argparse.Namespace) -> tuple[dict[tuple[str, str], Work], dict[str, dict[str, float]]]:
    """Our pieces of work, by (what, who), compiled; and the MB of intermediate results of each."""
    graphdef, params = unet.create(options.features, seed=0)
    batch = random_batch(options.batch, options.patch)
    height, width = (int(part) for part in options.scene.split("x"))
    scene = jnp.asarray(np.random.default_rng(1).normal(size=(1, height, width, CHANNELS)), jnp.float32)
    works: dict[tuple[str, str], Work] = {}
    memory: dict[str, dict[str, float]] = {"forward": {}, "train": {}, "scene": {}}
    for who, form in ((OURS, None), (PLAIN, XLA)):
        predict = jax.jit(
            lambda params, images, form=form: jax.nn.sigmoid(unet.apply(graphdef, params, images, form=form))
        )
        train, state = training(graphdef, params, form, clip_of(options.patch))
        calls = {
            "forward": (predict, params, batch["image"]),
            "train": (train, state, batch),
            "scene": (predict, params, scene),
        }
        for what, (function, first, second) in calls.items():
            compiled = function.lower(first, second).compile()
            memory[what][who] = compiled.memory_analysis().temp_size_in_bytes / 1e6
            once = stepping(compiled, first, second) if what == "train" else partial(compiled, first, second)
            works[what, who] = partial(clocked, once)
    return works, memory


def training(graphdef: Any, params: unet.Params, form: Form | None, clip: int) -> tuple[Any, Any]:
    """The step that jaxmask.train compiles for one device, and the state that it begins with."""
    optimiser = keras_adam(LEARNING_RATE)
    objective = Objective(graphdef, POSITIVE_WEIGHT, clip, form=form)
    step = jax.jit(partial(train_step, objective=objective, optimiser=optimiser), donate_argnums=0)
    return step, init_state(jax.tree.map(jnp.copy, params), optimiser)


def stepping(step: Any, state: Any, batch: Any) -> Callable[[], Any]:
    """One step after the other, each from the state that the last one left."""

    def once() -> Any:
        nonlocal state
        state, sums = step(state, batch)
        return sums

    return once


def random_batch(count: int, patch: int) -> dict[str, jax.Array]:
    """A decoded batch: normalised image, label and weight, float32."""
    rng = np.random.default_rng(0)
    shape = (count, patch, patch)
    return {
        "image": jnp.asarray(rng.normal(size=(*shape, CHANNELS)), jnp.float32),
        "label": jnp.asarray(rng.integers(0, 2, (*shape, 1)), jnp.float32),
        "weight": jnp.ones((*shape, 1), jnp.float32),
    }


def clip_of(patch: int) -> int:
    """The original's clip, or less where a patch is too small for it."""
    return min(CLIP_OFFSET, patch // 2 - 1)


def clocked(once: Callable[[], Any], times: int) -> dict[str, float]:
    """Seconds that `times` calls take, each waited for, as each of the peer's is."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        jax.block_until_ready(once())
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


@contextmanager
def peer_works(options: argparse.Namespace) -> Iterator[tuple[dict[tuple[str, str], Work], dict[str, Any]]]:
    """The peer's pieces of work while its process runs, and what it is; none, and why, where there is no TensorFlow."""
    has = [options.peer_python, "-c", "import importlib.util as i, sys; sys.exit(i.find_spec('tensorflow') is None)"]
    if subprocess.run(has, check=False).returncode:
        yield (
            {},
            {"skipped": f"{options.peer_python} has no tensorflow: install the extra `peer`, or give --peer-python"},
        )
        return
    flags = {
        "features": options.features,
        "batch": options.batch,
        "patch": options.patch,
        "clip": clip_of(options.patch),
    }
    command = [options.peer_python, str(PEER), *(f"--{name}={value}" for name, value in flags.items())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        about = answer(process)
        yield {(what, KERAS): partial(ask, process, what) for what in ("forward", "train")}, about
        process.communicate()


def ask(process: subprocess.Popen[str], what: str, times: int) -> dict[str, float]:
    """The seconds that the peer took."""
    print(what, times, file=process.stdin, flush=True)
    return answer(process)


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The peer's next line. Raises RuntimeError if it ended instead."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"the peer ended with {process.wait()}: its error is above")
    found: dict[str, Any] = json.loads(line)
    return found


def by_turns(
    works: dict[tuple[str, str], Work], rounds: int, calls: int
) -> dict[tuple[str, str], list[dict[str, float]]]:
    """What each piece of work took in each round, after a round that is not counted; what is alike, side by side."""
    order = sorted(works)
    clocks: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in order}
    for _ in range(rounds + 1):
        for key in order:
            clocks[key].append(works[key](calls))
    return {key: found[1:] for key, found in clocks.items()}


def summary(
    clocks: dict[tuple[str, str], list[dict[str, float]]], options: argparse.Namespace
) -> dict[str, dict[str, dict[str, float]]]:
    """{what: {who: medians and, where the peer ran, ratios to it}}; "a_second": patches, or whole scenes."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (what, who), rounds in clocks.items():
        items = options.calls * (1 if what == "scene" else options.batch)
        row = {
            "a_second": statistics.median(items / one["wall_s"] for one in rounds),
            "cpu_s_each": statistics.median(one["cpu_s"] for one in rounds) / items,
            "cores_used": statistics.median(one["cpu_s"] / one["wall_s"] for one in rounds),
        }
        if peers := clocks.get((what, KERAS)):
            pairs = list(zip(rounds, peers, strict=True))
            row["times_peer"] = statistics.median(peer["wall_s"] / one["wall_s"] for one, peer in pairs)
            row["times_peer_by_cpu_time"] = statistics.median(peer["cpu_s"] / one["cpu_s"] for one, peer in pairs)
        found.setdefault(what, {})[who] = row
    return found


if __name__ == "__main__":
    sys.exit(main())
