"""A training killed with -9 again and again, and run again each time, against one that nobody disturbed.

    python benchmarks/kills.py [SHARDS] [--kills 20] [--epochs 12] [--seed 0] [--processes 1] [--output FILE]

Each life of the training is killed at a random moment: 1 in 6 while it starts, the others uniformly from its first step
on, so that all kills together take about as long as the undisturbed training, and fall into steps, evaluation and
saving as these take time. A life that comes to its end is compared and removed, and the next one begins anew; the last
one isn't killed. Parameters, optimiser, step count and position of the checkpoints must be the same bit for bit, the
history too but for its times, and nothing half-written may be left. Saves come every --save-every-minutes.
Without SHARDS: six small simulated products. A table on stderr, JSON on stdout; exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import measure
import numpy as np
import orbax.checkpoint as ocp

from jaxmask.checkpoint import whole_steps

FLAGS = (
    "--features", "2", "--patch-size", "64", "--global-batch-size", "8", "--learning-rate", "0.003",
    "--validation-split", "0.25", "--train-split", "0.75", "--schedule", "cosine", "--ema", "0.9", "--augment",
    "--mix", "all",
)  # fmt: skip
BEGUN = "training "  # how the line begins that is printed before the first step
KILLED_AT_START = 1 / 6


@dataclass(frozen=True)
class Trial:
    """A training to repeat: the command's words but for the model folder, and its environment."""

    shards: Path
    epochs: int
    save_every_minutes: float
    processes: int
    scratch: Path

    def command(self, model: Path) -> list[str]:
        """The words that train into `model`."""
        launcher = ["-m", "launch.local", "--processes", str(self.processes), "--"] if self.processes > 1 else []
        trainer = ["-m", "jaxmask.train", str(self.shards), str(model), "--epochs", str(self.epochs), *FLAGS]
        every = ["--save-every-minutes", str(self.save_every_minutes), "--cpu-only"]
        words = [sys.executable, *launcher]
        return [*words, sys.executable, *trainer, *every] if launcher else [*words, *trainer, *every]

    def environment(self) -> dict[str, str]:
        """Programs are compiled once for all lives."""
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(self.scratch / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        return os.environ | cache | {"PYTHONPATH": str(measure.ROOT)}


@dataclass(frozen=True)
class Life:
    """How one run of the command went."""

    code: int
    seconds_to_begin: float | None  # until the first step was about to be taken
    seconds: float
    messages: str


def main(argv: list[str] | None = None) -> int:
    """Run the campaign; return 0 if the killed training ended as the undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path, nargs="?", help="folder of labelled shards (default: simulated ones)")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--save-every-minutes", type=float, default=0.01)
    parser.add_argument("--processes", type=int, default=1, help="that train together; all of them are killed at once")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--output", type=Path, help="write the JSON here too")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        shards = options.shards or simulated_shards(scratch)
        trial = Trial(shards.absolute(), options.epochs, options.save_every_minutes, options.processes, scratch)
        report = campaign(trial, options.kills, random.Random(options.seed))
    report = measure.machine() | {"kills": options.kills, "seed": options.seed, "processes": options.processes} | report
    measure.tell(report, table(report), options.output)
    return 0 if report["same"] else 1


def simulated_shards(scratch: Path) -> Path:
    """Shards of six small simulated products."""
    archive, shards = scratch / "archive", scratch / "hdf"
    for words in (["simulate", archive, "--products", "6"], ["convert", archive, shards]):
        stage, *rest = map(str, words)
        subprocess.run([sys.executable, "-m", f"preprocess.{stage}", *rest, "--quiet"], check=True, cwd=measure.ROOT)
    return shards


def campaign(trial: Trial, kills: int, moments: random.Random) -> dict[str, Any]:
    """Train undisturbed, then with `kills` kills, and compare."""
    straight, killed = trial.scratch / "straight", trial.scratch / "killed"
    live(trial, trial.scratch / "warm-up", None)  # compiles
    undisturbed = live(trial, straight, None)
    if undisturbed.code or undisturbed.seconds_to_begin is None:
        raise RuntimeError(undisturbed.messages)
    working = undisturbed.seconds - undisturbed.seconds_to_begin
    deaths: list[dict[str, Any]] = []
    finished = 0
    while len(deaths) < kills:
        at_start = moments.random() < KILLED_AT_START
        longest = undisturbed.seconds_to_begin if at_start else 2 * working / kills
        life = live(trial, killed, moments.uniform(0.0, longest), from_start=at_start)
        if life.code == -signal.SIGKILL:
            deaths.append(death(killed, life))
            print(len(deaths), deaths[-1], file=sys.stderr)
        elif life.code == 0:
            found = differing(straight, killed)
            if found:
                return {"same": False, "differences": found, "working_s": working, "deaths": deaths}
            finished += 1
            shutil.rmtree(killed)
        else:
            raise RuntimeError(f"exit code {life.code}:\n{life.messages}")
    last = live(trial, killed, None)
    if last.code:
        raise RuntimeError(last.messages)
    differences = differing(straight, killed)
    return {
        "same": not differences,
        "differences": differences,
        "finished": finished + 1,
        "working_s": working,
        "deaths": deaths,
    }


def live(trial: Trial, model: Path, delay_s: float | None, *, from_start: bool = False) -> Life:
    """Run the command, and kill it and its children `delay_s` after its first step, or after its start."""
    begun = time.monotonic()
    begun_to_train: list[float] = []
    said: list[str] = []
    process = subprocess.Popen(
        trial.command(model), cwd=measure.ROOT, env=trial.environment(), stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    started = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if BEGUN in line and not started.is_set():
                begun_to_train.append(time.monotonic() - begun)
                started.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    if delay_s is not None:
        while not from_start and not started.wait(0.05) and process.poll() is None:
            pass
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    listener.join(timeout=10)
    return Life(code, next(iter(begun_to_train), None), time.monotonic() - begun, "".join(said))


def death(model: Path, life: Life) -> dict[str, Any]:
    """Where a life ended, as far as the model folder tells."""
    checkpoints = model / "checkpoints"
    names = [path.name for path in checkpoints.iterdir()] if checkpoints.exists() else []
    steps = whole_steps(checkpoints)
    position = json.loads((checkpoints / str(steps[-1]) / "position" / "metadata").read_text()) if steps else {}
    return {
        "seconds": round(life.seconds, 2),
        "before_the_first_step": life.seconds_to_begin is None,
        "while_saving": life.seconds_to_begin is not None and any("tmp" in name for name in names),
        "latest": steps[-1] if steps else None,
        "saved_in": position.get("part") if position.get("passes") else "between epochs" if steps else None,
    }


def differing(one: Path, other: Path) -> list[str]:
    """What is not the same in two model folders: leaves of the latest checkpoint, lines of history, leftovers."""
    found = [f"left over: {path.relative_to(other)}" for path in other.rglob("*") if is_leftover(path)]
    steps = [whole_steps(model / "checkpoints") for model in (one, other)]
    if steps[0] != steps[1]:
        return [*found, f"checkpoints {steps[0]} and {steps[1]}"]
    for step in steps[0]:
        folders = [model / "checkpoints" / str(step) for model in (one, other)]
        for item in ("params", "ema", "progress"):
            left, right = (jax.tree.leaves_with_path(arrays(folder / item)) for folder in folders)
            for (path, a), (_, b) in zip(left, right, strict=True):
                if not np.array_equal(np.asarray(a), np.asarray(b)):
                    found.append(f"checkpoint {step}, {item}{jax.tree_util.keystr(path)}")
        if len({(folder / "position" / "metadata").read_text() for folder in folders}) > 1:
            found.append(f"checkpoint {step}, position")
    left_lines, right_lines = (untimed(model / "history.jsonl") for model in (one, other))
    if left_lines != right_lines:
        found.append("history")
    return found


def is_leftover(path: Path) -> bool:
    """Whether it is of a file or checkpoint that was not written to its end."""
    return "tmp" in path.name or ".partial-" in path.name


def arrays(item: Path) -> Any:
    """The tree of arrays of one item of a checkpoint."""
    with ocp.PyTreeCheckpointer() as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the devices that it was saved from
        return reader.restore(item)


def untimed(history: Path) -> list[dict[str, Any]]:
    """The lines of a history without what the clock says."""
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    return [{name: line[name] for name in line if "second" not in name and name != "wait_share"} for line in lines]


def table(report: dict[str, Any]) -> list[str]:
    """How the kills fell, and whether all was the same in the end."""
    deaths = report["deaths"]
    counts = {
        "kills": len(deaths),
        "before the first step": sum(death["before_the_first_step"] for death in deaths),
        "while a checkpoint was being written": sum(death["while_saving"] for death in deaths),
        "latest save in training": sum(death["saved_in"] == "train" for death in deaths),
        "latest save in validation or test": sum(death["saved_in"] in ("validation", "test") for death in deaths),
        "latest save between epochs": sum(death["saved_in"] == "between epochs" for death in deaths),
        "trainings that ended": report.get("finished", 0),
    }
    rows = [f"{count:4d}  {what}" for what, count in counts.items()]
    verdict = "the same to the last bit" if report["same"] else "DIFFERENT: " + "; ".join(report["differences"])
    return [*rows, verdict]


if __name__ == "__main__":
    sys.exit(main())
