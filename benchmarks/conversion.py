"""What it costs to turn one product into one shard, beside the textbook way and beside reading the bytes alone.

    python benchmarks/conversion.py PRODUCT.SEN3 [--runs 5] [--copies 8] [--scratch FOLDER] [--output FILE]

The figures are of what ../shared/tools/complete_product.py OUT --seed 0 --labels cloud makes. All is timed in one run,
in turn: every round does each thing once, the first round is not counted, and the median over the rounds is told. One
process, on one core, files warm in the system's cache. "times" is how often a way goes into the peer's time (peer.py;
`bands` is the same peer, tightened). Memory that one way gives back the next must fault in again: so each is also timed
alone, product after product in a process of its own, as workers do. Then: the peak memory of a worker, each in a fresh
process; and the command itself over copies of the product, with one worker and with two. A table on stderr, JSON on
stdout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import floor
import measure
import peer

from preprocess.compose import make_scene
from preprocess.convert import ConvertConfig, convert_product
from preprocess.convert_settings import settle
from preprocess.product import read_product
from preprocess.scene import REFERENCE_HEIGHT, REFERENCE_WIDTH, fit
from preprocess.shard import write_shard

PEER, BANDS = "peer", "peer, band by band"
NATIVE = "native"
WAYS: dict[str, dict[str, Any]] = {
    NATIVE: {},
    "native, from a zip": {},
    "native, from a zip, MD5 too": {"verify": "md5"},
    "native, MD5 unchecked": {"verify": "none"},
    "native, neighbours": {"regrid": "neighbours"},
    "reference": {"convention": "reference"},
}
ZIPPED = ("native, from a zip", "native, from a zip, MD5 too")
ALONE = (PEER, NATIVE, "reference")


def main(argv: list[str] | None = None) -> int:
    """Measure everything, print it, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("product", type=Path, help=".SEN3 folder")
    parser.add_argument("--runs", type=int, default=5, help="counted rounds")
    parser.add_argument("--copies", type=int, default=8, help="copies of the product for one worker and two; 0: none")
    parser.add_argument("--scratch", type=Path, help="folder to write in (default: the system's for temporary files)")
    parser.add_argument("--output", type=Path, help="write the JSON here too")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        report = measure.machine() | report_of(options.product, Path(scratch), options.runs, options.copies)
    measure.tell(report, table(report), options.output)
    return 0


def report_of(product: Path, scratch: Path, runs: int, copies: int) -> dict[str, Any]:
    """Every figure of one product."""
    zipped = Path(
        shutil.make_archive(str(scratch / "zipped" / product.name), "zip", product.resolve().parent, product.name)
    )
    times = measure.in_fresh_process(timed_ways, product, zipped, scratch / "timed", runs)
    ways = {name: found | {"times": times[PEER]["median_s"] / found["median_s"]} for name, found in times.items()}
    return {
        "needed_mb": floor.needed_bytes(product) / 1e6,
        "runs": runs,
        "ways": ways,
        "alone": {
            name: measure.in_fresh_process(timed_alone, product, scratch / "alone", name, runs, worker=name != PEER)
            for name in ALONE
        },
        "stages": measure.in_fresh_process(timed_stages, product, scratch / "stages", runs),
        "floors": measure.in_fresh_process(timed_floors, product, runs),
        "shard_mb": shard_sizes(scratch / "timed"),
        "peak_memory_mb": peak_memories(product, zipped, scratch / "memory"),
        "command": measure.command_throughput(product, scratch / "command", copies, min(runs, 3)) if copies else None,
    }


def timed_ways(product: Path, zipped: Path, scratch: Path, runs: int) -> dict[str, dict[str, float]]:
    """The peers and ours, from product to finished shard."""
    work: dict[str, Callable[[], object]] = {
        PEER: partial(peer.convert, product, scratch / PEER),
        BANDS: partial(peer.convert, product, scratch / BANDS, bands=True),
    }
    for name in WAYS:
        work[name] = partial(convert, zipped if name in ZIPPED else product, scratch / name, name)
    return measure.in_turn(work, runs)


def timed_alone(product: Path, scratch: Path, way: str, runs: int) -> dict[str, float]:
    """One way again and again: its memory and caches are its own, as in a worker that has many products to do."""
    work = partial(peer.convert if way == PEER else partial(convert, way=way), product, scratch / way)
    return measure.in_turn({way: work}, runs)[way]


def convert(product: Path, folder: Path, way: str) -> Path:
    """One product to one shard, as the command does it; an old shard there is replaced."""
    return convert_product(product, settle(ConvertConfig(product, folder, overwrite=True, **WAYS[way]))).path


def timed_stages(product: Path, scratch: Path, runs: int) -> dict[str, dict[str, float]]:
    """The way of a native shard, stage by stage; "fsync" is of a fresh copy of the shard, and part of writing too."""
    scratch.mkdir()
    held: dict[str, Any] = {}
    path, copy = scratch / "stages.hdf", scratch / "copy.hdf"

    def copied() -> None:
        shutil.copyfile(path, copy)

    stages: dict[str, Callable[[], object]] = {
        "read and check the product": lambda: held.update(product=read_product(product)),
        "make the scene": lambda: held.update(scene=make_scene(held["product"])),
        "fit to 1200 x 1500": lambda: held.update(scene=fit(held["scene"], REFERENCE_HEIGHT, REFERENCE_WIDTH)),
        "write the shard, fsync included": lambda: write_shard(path, held["scene"]),
        "copy the shard": copied,
        "fsync the copy": partial(synchronise, copy),
    }
    return measure.in_turn(stages, runs)


def timed_floors(product: Path, runs: int) -> dict[str, dict[str, float]]:
    """What cannot be left out, each alone."""
    return measure.in_turn(floor.floors(product), runs)


def synchronise(path: Path) -> None:
    """Wait until the file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shard_sizes(scratch: Path) -> dict[str, float]:
    """The size of the shard that each way left behind, MB."""
    return {
        folder.name: sum(path.stat().st_size for path in folder.glob("*/*.hdf")) / 1e6
        for folder in sorted(scratch.iterdir())
    }


def peak_memories(product: Path, zipped: Path, scratch: Path) -> dict[str, float]:
    """The most memory that a worker has had after each way, and after only importing what it needs, MB."""
    found = {"imports alone": memory_of([])}
    for name, settings in WAYS.items():
        source = zipped if name in ZIPPED else product
        flags = [text for flag, value in settings.items() for text in (f"--{flag}", value)]
        found[name] = memory_of([str(source), str(scratch / name), *flags, "--workers", "0", "--quiet"])
    return found


# A worker imports neither the peer nor this script; the command without workers is what a worker does.
WORKER = """
import pathlib, re, sys
from preprocess.command import run
from preprocess.convert import ConvertConfig, main
code = run("preprocess.convert", ConvertConfig, main, sys.argv[1:]) if sys.argv[1:] else 0
print(re.search(r"VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def memory_of(flags: list[str]) -> float:
    """The most memory that the command with these flags has in a process of its own, MB (NaN but on Linux)."""
    if not Path("/proc/self/status").exists():
        return float("nan")
    command = [sys.executable, "-c", WORKER, *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=measure.ROOT, check=True)
    return int(done.stdout) * 1024 / 1e6


def table(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    lines = [f"{measure.on_what(report)}; {report['needed_mb']:.0f} MB of needed files"]
    lines.append(f"{'one product to one shard':34}{'median s':>9}{'fastest':>9}{'CPU s':>8}{'times':>7}{'MB':>7}")
    for name, found in report["ways"].items():
        lines.append(
            f"  {name:32}{found['median_s']:9.3f}{found['fastest_s']:9.3f}{found['cpu_s']:8.3f}{found['times']:7.1f}"
            f"{report['shard_mb'][name]:7.1f}"
        )
    lines.append("each alone, in a process of its own")
    lines += [
        f"  {name:32}{found['median_s']:9.3f}{found['fastest_s']:9.3f}{found['cpu_s']:8.3f}"
        f"{report['alone'][PEER]['median_s'] / found['median_s']:7.1f}"
        for name, found in report["alone"].items()
    ]
    lines.append("native, stage by stage")
    lines += [
        f"  {name:32}{found['median_s']:9.3f}{found['fastest_s']:9.3f}{found['cpu_s']:8.3f}"
        for name, found in report["stages"].items()
    ]
    lines.append(f"{'each alone, and how often it goes into native':60}{'times':>7}")
    native = report["ways"][NATIVE]["median_s"]
    lines += [
        f"  {name:32}{found['median_s']:9.3f}{found['fastest_s']:9.3f}{found['cpu_s']:8.3f}"
        f"{native / found['median_s']:7.1f}"
        for name, found in report["floors"].items()
    ]
    lines.append("peak memory of a worker, MB")
    lines += [f"  {name:32}{megabytes:9.0f}" for name, megabytes in report["peak_memory_mb"].items()]
    return lines + measure.throughput_lines(report["command"])


if __name__ == "__main__":
    sys.exit(main())
