"""Time training and inference on a GPU, beside PyTorch's and beside the chip's own rates; JSON, written as it goes.

    python benchmarks/gpu.py --output benchmarks/measured/gpu.json [--batches 32 64 128 256] [--seconds 540]

What is measured, and in which order, is in gpu_plan.py: rates of matrix products; the full step and inference of ours
and of PyTorch, taking turns; training end to end from a cache; attempts to make the step faster; a profile. The same
command again goes on with what is missing, as a machine may be lent for minutes only. What fails, or runs out of
memory, is written down by name, and the rest goes on. Needs jax, flax, optax, orbax and h5py; PyTorch for its part.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gpu_options
import gpu_plan
import gpu_table
from gpu_ask import Failed, Key, Workers
from gpu_plan import Contender, Piece

CLOCK = time.monotonic
SAME = ("features", "patch", "matrix", "copy_megabytes", "scene_size", "patches", "torch_mode")


OUT_OF_MEMORY = re.compile("out of memory|RESOURCE_EXHAUSTED", re.IGNORECASE)


class Bench:
    """The workers and the clock of one call."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.ends = CLOCK() + options.seconds
        self.workers = Workers(environment_of(options))
        self.frameworks = ["jax", *(["torch"] if importlib.util.find_spec("torch") else [])]

    def left(self) -> float:
        """Seconds until the time is up."""
        return self.ends - CLOCK()

    def measure(self, piece: Piece) -> dict[str, Any]:
        """Rates of the piece's contenders, in turns; what failed has an "error" instead; nothing if time is up."""
        there = {name: one for name, one in piece.contenders.items() if one.framework in self.frameworks}
        if not there or self.left() < piece.least_s:
            return {}
        if piece.group == "profile":
            return self._trace(there["jax"])
        found = self._in_turns(there)
        for name, one in there.items():
            # The device's memory may hold either framework's work but not both.
            if len({key_of(each) for each in there.values()}) > 1 and OUT_OF_MEMORY.search(
                found[name].get("error", "")
            ):
                self.workers.end_others(set())
                found[name] = self._in_turns({name: one})[name] | {"alone": True}
        missing = {name: {"error": "PyTorch is not there"} for name in piece.contenders.keys() - there.keys()}
        return found | missing

    def _in_turns(self, there: dict[str, Contender]) -> dict[str, dict[str, Any]]:
        self.workers.end_others({key_of(one) for one in there.values()})
        ready = self._prepare(there)
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
        for _ in range(self.options.rounds):
            for name in [name for name in ready if "error" not in ready[name]]:
                try:
                    told = self._ask(there[name], do="time", name=name, seconds=self.options.round_seconds)
                    seconds[name].append((told["items"], told["seconds"]))
                except Failed as error:
                    ready[name] = {"error": str(error)}
        for name in ready:
            self._drop(there[name], name)
        return {name: found if "error" in found else found | rates(seconds[name]) for name, found in ready.items()}

    def _prepare(self, there: dict[str, Contender]) -> dict[str, dict[str, Any]]:
        """Make the contenders ready; those of different processes at once."""
        ready: dict[str, dict[str, Any]] = {}
        for name, one in there.items():
            self.workers.send(key_of(one), {"do": "prepare", "name": name, "work": one.work})
        for name, one in there.items():
            try:
                ready[name] = self.workers.receive(key_of(one), min(self.left(), self.options.patience))
            except Failed as error:
                ready[name] = {"error": str(error)}
        return ready

    def _trace(self, one: Contender) -> dict[str, Any]:
        """What took the time of some steps, by the profiler."""
        self.workers.end_others({key_of(one)})
        folder, steps = str(self.options.profile.resolve()), self.options.profile_steps
        try:
            self._ask(one, do="prepare", name="profile", work=one.work)
            told = self._ask(one, do="trace", name="profile", folder=folder, steps=steps)
        except Failed as error:
            told = {"error": str(error)}
        self.workers.end(key_of(one))
        return {"jax": told}

    def _ask(self, one: Contender, **request: Any) -> dict[str, Any]:
        return self.workers.ask(key_of(one), request, self.options.patience)

    def _drop(self, one: Contender, name: str) -> None:
        try:
            self._ask(one, do="drop", name=name)
        except Failed:
            self.workers.end(key_of(one))


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing, writing the report after each piece; return 0, or 1 if nothing of ours was measured."""
    options = gpu_options.parse(argv, __doc__)
    with tempfile.TemporaryDirectory() as scratch:
        options.compile_cache = options.compile_cache or Path(scratch) / "compiled"
        options.profile = options.profile or Path(scratch) / "profile"
        return run(options)


def run(options: argparse.Namespace) -> int:
    """The same, every folder being named."""
    bench = Bench(options)
    try:
        report = begun(options, bench)
        for piece in gpu_plan.pieces(options):
            earlier = report["pieces"].get(piece.name, {}).get("contenders", {})
            failed = any("error" in found for found in earlier.values())
            if earlier and not (failed and options.again):
                continue
            found = bench.measure(piece)
            why = {} if found else {"left_out": "no time was left: run the same command again"}
            report["pieces"][piece.name] = {"group": piece.group, **piece.about, "contenders": found, **why}
            say(gpu_table.line(piece.name, report["pieces"][piece.name]))
            write(options, report)
    finally:
        bench.workers.end_others(set())
    say(gpu_table.text(report))
    print(json.dumps(report, indent=2, allow_nan=False))
    return 0 if any("rate" in piece["contenders"].get("jax", {}) for piece in report["pieces"].values()) else 1


def begun(options: argparse.Namespace, bench: Bench) -> dict[str, Any]:
    """The report to go on with: what --output holds of the same machine and sizes, or an empty one.

    Raises SystemExit where it holds another's, and --overwrite isn't given.
    """
    told = {}
    for framework in bench.frameworks:
        try:
            told[framework] = bench.workers.ask((framework, ""), {"do": "describe"}, options.patience)
        except Failed as error:
            told[framework] = {"error": str(error)}
            bench.frameworks.remove(framework)
    if told["jax"].get("backend", "cpu") != "cpu" and told.get("torch", {}).get("device") == "cpu":
        told["torch"] |= {"error": "PyTorch sees no GPU"}
        bench.frameworks.remove("torch")
    sizes = {name: getattr(options, name) for name in SAME}
    report: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]]),
        "frameworks": told,
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "sizes": json.loads(json.dumps(sizes)),
        "pieces": {},
    }
    if options.output is None or not options.output.exists() or options.overwrite:
        return report
    earlier = json.loads(options.output.read_text())
    for name in ("frameworks", "sizes"):
        before, now = (without_luck(each[name]) for each in (earlier, report))
        if before != now:
            raise SystemExit(
                f"{options.output} holds figures of other {name}: {before}, not {now}: choose another --output, or "
                "replace it by --overwrite"
            )
    return report | {"pieces": earlier["pieces"]}


def without_luck(told: dict[str, Any]) -> dict[str, Any]:
    """What says that two reports are of the same; the free memory differs from run to run."""
    return {
        name: {key: value for key, value in each.items() if key != "memory_bytes"} if isinstance(each, dict) else each
        for name, each in told.items()
    }


def rates(found: list[tuple[float, float]]) -> dict[str, Any]:
    """Items a second of each round: the median, the slowest and the fastest."""
    each = [items / seconds for items, seconds in found]
    if not each:
        return {}
    return {"rate": statistics.median(each), "slowest": min(each), "fastest": max(each), "rounds": len(each)}


def key_of(one: Contender) -> Key:
    """The process that does a contender's work."""
    return one.framework, one.xla_flags


def environment_of(options: argparse.Namespace) -> dict[str, str]:
    """What the workers find in their environment; what several pieces compile is compiled once."""
    return {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(options.compile_cache.resolve()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def write(options: argparse.Namespace, report: dict[str, Any]) -> None:
    """The report so far, whole or not at all."""
    if options.output is None:
        return
    part = options.output.with_suffix(".part")
    part.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    part.replace(options.output)


def say(line: str) -> None:
    """For people, on stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
