"""Edge: the stages of the truth test, each a command of preprocess or jaxmask in a process of its own.

A stage that has ended leaves a mark with its command; the same stage is then left out, another one of its name is
refused. Commands go on where they were killed, so the whole does.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from truth_labels import control_target, relabel, truth_target

from preprocess.files import writable_folder, write_json

HERE = Path(__file__).resolve().parent
SUBSTITUTE = HERE / "truth_pixelwise.py"
DONE, SOME_FAILED = 0, 3
BY_PIXEL = "pixelwise"
TRUTH, CONTROL = "truth", "control"


@dataclass(frozen=True)
class Study:
    """What is made and where: all that decides the result."""

    folder: Path
    products: int = 68
    archive_seed: int = 20
    held_out_seed: int = 21
    labels: tuple[str, ...] = ("single_moderate",)
    seeds: tuple[int, ...] = (1, 2, 3)
    epochs: int = 12
    features: int = 8
    patch_size: int = 64  # small patches and batches: many steps, which is what so small a network lacks
    clip_offset: int = 4
    batch_size: int = 1
    learning_rate: float = 0.002

    @property
    def archive(self) -> Path:
        """The simulated archive to train on."""
        return self.folder / "archive"

    @property
    def held_out(self) -> Path:
        """The simulated archive to judge on."""
        return self.folder / "held_out"

    def shards(self, target: str) -> Path:
        """Shards to train on, labelled by a rule of convert, by truth or by the control."""
        return self.folder / "shards" / target

    def held_out_shards(self, label: str) -> Path:
        """Shards to judge on."""
        return self.folder / "held_out_shards" / label


@dataclass(frozen=True, order=True)
class Run:
    """One training and the masks of its model."""

    network: str  # "unet" or "pixelwise"
    target: str  # a label's rule, "truth" or "control"
    seed: int

    @property
    def name(self) -> str:
        """Of its folders."""
        return f"{self.network}-{self.target}-{self.seed}"

    def model(self, study: Study) -> Path:
        """The model folder."""
        return study.folder / "models" / self.name

    def masks(self, study: Study) -> Path:
        """The folder of the held-out archive's masks."""
        return study.folder / "masks" / self.name


def runs(study: Study) -> Iterator[Run]:
    """All trainings: label by label, seed by seed; what belongs to no label (ceiling, control) with the first one."""
    for label in study.labels:
        for seed in study.seeds:
            yield from (Run("unet", label, seed), Run(BY_PIXEL, label, seed))
            if label == study.labels[0]:
                yield from (Run("unet", TRUTH, seed), Run("unet", CONTROL, seed))


def archives(study: Study) -> Iterator[tuple[str, list[str]]]:
    """Names and commands (after `python`) of simulating and converting."""
    kinds = ((study.archive, study.archive_seed, []), (study.held_out, study.held_out_seed, ["--held-out"]))
    for folder, seed, flags in kinds:
        words = ["--products", str(study.products), "--size", "small", "--seed", str(seed), *flags]
        yield f"simulate {folder.name}", ["-m", "preprocess.simulate", str(folder), *words]
    for label in study.labels:
        for archive, shards in ((study.archive, study.shards(label)), (study.held_out, study.held_out_shards(label))):
            flags = ["--shape", "native", "--label", label]
            yield (
                f"convert {archive.name} {label}",
                ["-m", "preprocess.convert", f"{archive}/file_list.txt", str(shards), *flags],
            )


def training(study: Study, run: Run) -> list[str]:
    """The words after `train`: everything of the archive is trained on, as what judges is another archive."""
    flags = {
        "epochs": study.epochs,
        "features": study.features,
        "patch-size": study.patch_size,
        "clip-offset": study.clip_offset,
        "batch-size": study.batch_size,
        "learning-rate": study.learning_rate,
        "schedule": "cosine",
        "seed": run.seed,
        "train-split": 1,
        "mix": "baselines",
    }
    given = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return [str(study.shards(run.target)), str(run.model(study)), *given]


def inference(study: Study, run: Run) -> list[str]:
    """The words after `infer`."""
    return [str(run.model(study)), str(study.held_out_shards(study.labels[0])), str(run.masks(study))]


def make_archives(study: Study) -> None:
    """Simulate, convert, and write the copies of shards whose label is truth, or the control's."""
    for name, command in archives(study):
        once(study.folder, name, command, partial(execute, command))
    for target, cloud in ((TRUTH, truth_target(study.archive / "truth")), (CONTROL, control_target)):
        work = partial(relabel, study.shards(study.labels[0]), study.shards(target), target, cloud)
        once(study.folder, f"relabel {target}", ["relabel", str(study.shards(target))], work)


def make_masks(study: Study, run: Run) -> None:
    """Train a run and predict the held-out archive."""
    for what, words in (("train", training(study, run)), ("infer", inference(study, run))):
        script = [SUBSTITUTE.name, what] if run.network == BY_PIXEL else ["-m", f"jaxmask.{what}"]
        command = [*script, *words]
        once(study.folder, f"{what} {run.name}", command, partial(execute, command))


def once(folder: Path, name: str, command: list[str], work: Callable[[], Any]) -> None:
    """Do `work` unless its mark says that it is done; ValueError if that was another command."""
    mark = writable_folder(folder / "done") / f"{name}.json"
    if mark.exists():
        done = json.loads(mark.read_text())
        if done["command"] != command:
            raise ValueError(
                f"{mark}: expected {shlex.join(command)}, found {shlex.join(done['command'])}: "
                "choose another --folder or the flags that it was begun with"
            )
        return
    print(f"[{time.strftime('%H:%M:%S')}] {name}: {shlex.join(command)}", file=sys.stderr, flush=True)
    begun, cpu = time.monotonic(), sum(os.times()[:4])
    work()
    seconds = {"wall_s": round(time.monotonic() - begun, 1), "cpu_s": round(sum(os.times()[:4]) - cpu, 1)}
    write_json(mark, {"command": command, **seconds})


def seconds(study: Study) -> dict[str, dict[str, float]]:
    """Wall and processor seconds of each of the study's stages that is done."""
    names = [name for name, _ in archives(study)] + [f"relabel {target}" for target in (TRUTH, CONTROL)]
    names += [f"{what} {run.name}" for run in runs(study) for what in ("train", "infer")]
    marks = {name: study.folder / "done" / f"{name}.json" for name in names}
    done = {name: json.loads(mark.read_text()) for name, mark in marks.items() if mark.exists()}
    return {name: {key: found[key] for key in ("wall_s", "cpu_s")} for name, found in done.items()}


def execute(words: list[str]) -> None:
    """Run Python with these words, on the library that lies beside the benchmarks; RuntimeError if it fails."""
    path = os.pathsep.join(part for part in (str(HERE.parent), os.environ.get("PYTHONPATH", "")) if part)
    first = str(SUBSTITUTE) if words[0] == SUBSTITUTE.name else words[0]  # marks don't say where the benchmarks lie
    command = [sys.executable, first, *words[1:], "--quiet"]
    code = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, stdout=sys.stderr, check=False).returncode
    if code not in (DONE, SOME_FAILED):
        raise RuntimeError(f"{shlex.join(command)} ended with exit code {code}; its message is above")
