"""Weak scaling of training on this machine: 1, 2, 4 processes, each with as much to do; JSON.

    python benchmarks/scaling.py [--processes 1 2 4] [--output benchmarks/measured/training_scaling.json]

Each count is a training by `launch.local` and `jaxmask.train`, joined by gloo, over so many times the shards of one
process; process i is held to core i, modulo the cores there are, so that up to as many processes as cores take nothing
from each other. Of each training the epochs after the first count, which compiles. Beside it, what one exchange of
gradients costs the same processes when they do nothing else (scaling_exchange.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import measure
import numpy as np

from jaxmask.machine import versions

HERE = Path(__file__).resolve().parent
PATCHES_A_SIDE = 2  # of a product's patches
HELD_BACK = 15  # pixels left out on every side of a patch, unless it is tiny


def main(argv: list[str] | None = None) -> int:
    """Train with each count in turn, some rounds of that, and return 0."""
    options = parse(argv)
    report: dict[str, Any] = {
        **measure.machine(),
        "versions": versions(),
        "command": " ".join(["python", "benchmarks/scaling.py", *sys.argv[1:]]),
    }
    names = ("patch_size", "features", "batch", "products", "epochs", "rounds")
    report["sizes"] = {name: getattr(options, name) for name in names}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        found = measured(options, Path(scratch))
    report["rows"] = rows(found, report["cores"])
    measure.tell(report, lines(report), options.output)
    return 0


def measured(options: argparse.Namespace, scratch: Path) -> dict[int, dict[str, list[float]]]:
    """By count of processes: patches/s of each epoch, and seconds of each exchange."""
    counts = options.processes
    for count in counts:
        write_shards(scratch / f"shards {count}", count * options.products, options.patch_size)
    found: dict[int, dict[str, list[float]]] = {count: {"rates": [], "exchange_s": []} for count in counts}
    for turn in range(options.rounds):
        for count in counts:
            model = scratch / f"model {count} {turn}"
            launch(count, "jaxmask.train", *training(options, scratch / f"shards {count}", model))
            history = [json.loads(line) for line in (model / "history.jsonl").read_text().splitlines()]
            found[count]["rates"] += [line["patches_per_second"] for line in history[1:]]
            told = launch(count, "scaling_exchange", "--features", str(options.features))
            found[count]["exchange_s"] += json.loads(told.splitlines()[-1])["seconds"]
    return found


def training(options: argparse.Namespace, shards: Path, model: Path) -> list[str]:
    """The flags of jaxmask.train: everything is trained on, from memory, with as many patches a process a step."""
    flags = {
        "epochs": options.epochs,
        "batch-size": options.batch,
        "features": options.features,
        "patch-size": options.patch_size,
        "clip-offset": min(HELD_BACK, options.patch_size // 2 - 1),
        "train-split": 1,
        "cache": "host",
    }
    given = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    return [str(shards), str(model), "--cpu-only", "--quiet", *given]


def launch(count: int, module: str, *arguments: str) -> str:
    """Run a module in so many processes, each on its core; what the first one prints. RuntimeError if one fails."""
    pinned = [sys.executable, str(HERE / "scaling_process.py"), module, *arguments]
    command = [sys.executable, "-m", "launch.local", "--processes", str(count), "--", *pinned]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def write_shards(folder: Path, products: int, patch_size: int) -> None:
    """So many shards of 2 x 2 patches in the original's format, of random numbers and labels."""
    rng, side = np.random.default_rng(0), PATCHES_A_SIDE * patch_size
    (folder / "day").mkdir(parents=True)
    for number in range(products):
        start = f"20180531T{10 + number // 60 % 14:02d}{number % 60:02d}38"
        name = f"S3A_SL_1_RBT____{start}_{start}_20180601T151044_0179_031_{number % 386:03d}_2160_LN2_O_NT_002.hdf"
        with h5py.File(folder / "day" / name, "w") as file:
            file["refs"] = rng.random((side, side, 6))
            file["rads"] = np.zeros((side, side, 6))
            file["bts"] = rng.uniform(240, 290, (side, side, 3))
            for label in ("bayes", "summary"):
                file[label] = 255.0 * rng.integers(0, 2, (side, side, 1))


def rows(found: dict[int, dict[str, list[float]]], cores: int) -> list[dict[str, Any]]:
    """A row a count: patches/s of all together, and what share each does of what a process alone on a core does.

    "efficiency": rate / (processes x rate of one); "of_the_cores": rate / (cores in use x rate of one), which is the
    fairer where processes share cores.
    """
    alone = statistics.median(found[min(found)]["rates"]) / min(min(found), cores)
    made = []
    for count, each in found.items():
        rate = statistics.median(each["rates"])
        made.append({
            "processes": count,
            "patches_per_second": rate,
            "slowest": min(each["rates"]),
            "fastest": max(each["rates"]),
            "efficiency": rate / (count * alone),
            "of_the_cores": rate / (min(count, cores) * alone),
            "exchange_s": statistics.median(each["exchange_s"]),
            "fastest_exchange_s": min(each["exchange_s"]),
        })  # fmt: skip
    return made


def lines(report: dict[str, Any]) -> list[str]:
    """The rows for people."""
    told = [f"{measure.on_what(report)}; {report['cores']} cores"]
    for row in report["rows"]:
        shared = ", which share cores" if row["processes"] > report["cores"] else ""
        told.append(
            f"{row['processes']} processes{shared}: {row['patches_per_second']:.3g} patches/s, "
            f"{row['of_the_cores']:.0%} of the cores' own; an exchange of gradients {1000 * row['exchange_s']:.1f} ms"
        )
    return told


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--processes", type=int, nargs="+", default=[1, 2, 4])
    add("--products", type=int, default=4, help="for each process: shards of 4 patches")
    add("--batch", type=int, default=2, help="patches of each process in a step")
    add("--epochs", type=int, default=3, help="of each training; the first doesn't count")
    add("--rounds", type=int, default=2, help="trainings with each count")
    add("--features", type=int, default=32, help="of the U-Net's first level")
    add("--patch-size", type=int, default=256, help="rows and columns of a patch")
    add("--scratch", type=Path, help="folder for shards and models, removed at the end")
    add("--output", type=Path, help="also write the JSON there")
    options = parser.parse_args(argv)
    for name in ("products", "batch", "rounds", "features", "patch_size"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be 1 or more; found {getattr(options, name)}")
    if options.epochs < 2:
        parser.error(f"--epochs must be 2 or more, as the first doesn't count; found {options.epochs}")
    if min(options.processes) < 1 or len(set(options.processes)) < len(options.processes):
        parser.error(f"--processes must be different counts of 1 or more; found {options.processes}")
    options.processes.sort()
    return options


if __name__ == "__main__":
    sys.exit(main())
