"""How large a shard is, what writing it costs, and how fast training patches are read from it.

    python benchmarks/patches.py PRODUCT [--runs 7] [--patches 200] [--rads] [--scratch FOLDER] [--output FILE]

PRODUCT is a .SEN3 folder or a zip; the figures are of what ../shared/tools/complete_product.py OUT --seed 0 --labels
cloud makes. Its native shard is written, and read again from the system's cache, in one process and one thread: medians
over the runs, the first not counted. "write" ends when the disk has the shard; "fsync", measured apart on a copy, is
the wait for the disk in it. A patch is what training gets: 256 x 256 pixels, unpacked, normalised and rounded to
counts. Random patches lie anywhere; the 20 lie where training's lie. "plain h5py" reads the same five datasets without
our reader, and neither joins nor normalises them. A table on stderr, JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import measure
import numpy as np

from jaxmask.patch_index import PatchIndex
from jaxmask.shard_patches import DATASETS, ShardPatches
from jaxmask.tiles import PATCH_SIZE, patch_origins
from preprocess.compose import make_scene
from preprocess.product import read_product
from preprocess.shard import read_shard, write_shard

SEED = 0


def main(argv: list[str] | None = None) -> int:
    """Time it all, print the figures, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("product", type=Path, help=".SEN3 folder or zip")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each thing")
    parser.add_argument("--patches", type=int, default=200, help="random patches")
    parser.add_argument("--patch-size", type=int, default=PATCH_SIZE, help="pixels a side")
    parser.add_argument("--rads", action="store_true", help="with the radiances in the shard")
    parser.add_argument("--scratch", type=Path, help="folder on the disk to write to")
    parser.add_argument("--output", type=Path, help="file for the JSON too")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        found = figures(options, Path(scratch) / "shard.hdf")
    report = json.dumps({**measure.machine(), **found}, indent=2)
    print(report)
    if options.output:
        options.output.write_text(report + "\n")
    return 0


def figures(options: argparse.Namespace, path: Path) -> dict[str, Any]:
    """All sizes and times of the product's shard, written to `path`; a table of them on stderr."""
    scene = make_scene(read_product(options.product), rads=options.rads)
    height, width = scene.refs.shape[:2]
    write_shard(path, scene)
    size = path.stat().st_size
    grid = index(path, patch_origins(height, width, options.patch_size), options.patch_size)
    generator = np.random.default_rng(SEED)
    corners = [generator.integers(0, side - options.patch_size + 1, options.patches) for side in (height, width)]
    anywhere = index(path, np.stack(corners, axis=-1), options.patch_size)
    work: dict[str, Callable[[], object]] = {
        "write": partial(write_shard, path, scene),
        "read whole": partial(read_shard, path),
        f"{len(grid.row)} patches": partial(read_all, ShardPatches(grid)),
        f"{len(grid.row)} patches, plain h5py": partial(read_plainly, grid),
    }
    times = {"fsync": wait_for_disk(path, options.runs), **measure.in_turn(work, options.runs)}
    found = {
        "shape": [height, width],
        "shard_bytes": size,
        "dataset_bytes": dataset_bytes(path),
        "times": times,
        "one_patch": one_by_one(ShardPatches(anywhere)),
    }
    show(found)
    return found


def index(path: Path, corners: np.ndarray, size: int) -> PatchIndex:
    """The patches of one shard at `corners` (N, 2)."""
    rows, columns = corners.astype(np.int32).T
    return PatchIndex((path,), (path.stem,), np.zeros(len(corners), np.int32), rows, columns, size)


def wait_for_disk(path: Path, runs: int) -> dict[str, float]:
    """What fsync takes of a file like `path` that has just been written."""
    copy, content, clocks = path.with_suffix(".copy"), path.read_bytes(), []
    for _ in range(runs):
        with copy.open("wb", buffering=0) as file:
            file.write(content)
            clocks.append(measure.clocked(partial(os.fsync, file.fileno())))
    return measure.summary(clocks)


def read_all(source: ShardPatches) -> None:
    """Read every patch once."""
    for number in range(len(source)):
        source[number]


def read_plainly(patches: PatchIndex) -> None:
    """Read the windows of the same patches as any program would."""
    size = patches.patch_size
    with h5py.File(patches.paths[0]) as file:
        for row, column in zip(patches.row, patches.column, strict=True):
            for name in DATASETS:
                file[name][row : row + size, column : column + size]


def one_by_one(source: ShardPatches) -> dict[str, float]:
    """Each patch's own time, s, after one that opens the file; `cpu_s` is the median of the processor's time."""
    source[0]
    clocks = [measure.clocked(partial(source.__getitem__, number)) for number in range(len(source))]
    walls = sorted(clock.wall_s for clock in clocks)
    return {
        "patches": len(walls),
        "median_s": statistics.median(walls),
        "p95_s": walls[int(0.95 * (len(walls) - 1))],
        "slowest_s": walls[-1],
        "cpu_s": statistics.median(clock.cpu_s for clock in clocks),
    }


def dataset_bytes(path: Path) -> dict[str, int]:
    """What each dataset takes in the file."""
    with h5py.File(path) as file:
        return {name: file[name].id.get_storage_size() for name in file}


def show(found: dict[str, Any]) -> None:
    """The figures as a table for people."""
    lines = [f"{'shard, MB':34}{found['shard_bytes'] / 1e6:9.2f}"]
    lines += [f"  {name:32}{size / 1e6:9.2f}" for name, size in found["dataset_bytes"].items()]
    lines.append(f"{'':34}{'wall ms':>9}{'CPU ms':>9}")
    rows = {**found["times"], "one patch": found["one_patch"]}
    lines += [f"{name:34}{1e3 * row['median_s']:9.1f}{1e3 * row['cpu_s']:9.1f}" for name, row in rows.items()]
    lines.append(f"{'one patch, 95 of 100 within':34}{1e3 * found['one_patch']['p95_s']:9.1f}")
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
