"""Edge: `results.csv`, the benchmark's row of one training, and `train_params.json`, what is needed to repeat it."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxmask.config import TrainConfig, peak_rate, to_json
from jaxmask.history import Epoch
from jaxmask.machine import Machine, versions
from jaxmask.split import PARTS
from preprocess.errors import UserError
from preprocess.files import whole_file, write_json

RESULTS_NAME = "results.csv"
PARAMETERS_NAME = "train_params.json"
COLUMNS = (
    "index",
    "system",
    "num_ranks",
    "num_gpus",
    "total_time",
    "first_epoch_time",
    "second_epoch_time",
    "first_epoch_train_time",
    "second_epoch_train_time",
    "first_epoch_test_time",
    "second_epoch_test_time",
    "imgs_per_s_second_epoch",
    "imgs_per_s_first_epoch",
    "train_accuracy",
    "test_accuracy",
    "train_loss",
    "test_loss",
    "batch_size",
    "epochs",
    "learning_rate",
    "clip_offset",
    "cpu_only",
    "no_cache",
    "train_split",
    "wbce",
    "ntasks_per_node",
)
# What `train_params.json` holds beside the flags.
DERIVED_NAMES = ("learning_rate_used", "system", "processes", "devices", "device_kind", "versions")


def results_row(config: TrainConfig, global_batch: int, machine: Machine, epochs: Sequence[Epoch]) -> dict[str, Any]:
    """Return the values of COLUMNS for the `epochs` of a history; None where there is none.

    Times in s, an epoch's with its validation. imgs_per_s counts the patches that were trained on over the time of the
    training part (`published_units` gives the other count). A rank is a device, as each of the original's had one;
    batch_size is per rank.
    """
    first, second = ((epochs[i] if len(epochs) > i else {}) for i in (0, 1))
    last = epochs[-1] if epochs else {}
    return {
        "index": 0,
        "system": machine.system,
        "num_ranks": machine.devices,
        "num_gpus": machine.gpus,
        "total_time": sum(_seconds(epoch) or 0 for epoch in epochs),
        "first_epoch_time": _seconds(first),
        "second_epoch_time": _seconds(second),
        "first_epoch_train_time": first.get("train_seconds"),
        "second_epoch_train_time": second.get("train_seconds"),
        "first_epoch_test_time": first.get("test_seconds"),
        "second_epoch_test_time": second.get("test_seconds"),
        "imgs_per_s_second_epoch": second.get("patches_per_second"),
        "imgs_per_s_first_epoch": first.get("patches_per_second"),
        "train_accuracy": _score(last, "train", "accuracy"),
        "test_accuracy": _score(last, "test", "accuracy"),
        "train_loss": _score(last, "train", "loss"),
        "test_loss": _score(last, "test", "loss"),
        "batch_size": global_batch // machine.devices,
        "epochs": len(epochs),
        "learning_rate": peak_rate(config, global_batch),
        "clip_offset": config.clip_offset,
        "cpu_only": config.cpu_only,
        "no_cache": config.cache_mode == "none",
        "train_split": config.train_split,
        "wbce": config.wbce,
        "ntasks_per_node": _tasks_per_node(machine.processes),
    }


def published_units(row: dict[str, Any], epochs: Sequence[Epoch]) -> dict[str, Any]:
    """Return `row` with imgs_per_s as the published figures have it: test patches too over the time of training."""
    names = ("imgs_per_s_first_epoch", "imgs_per_s_second_epoch")
    return row | dict(zip(names, map(published_rate, epochs[:2]), strict=False))


def published_rate(epoch: Epoch) -> float:
    """All patches of an epoch, whatever they are for, over the seconds of training alone."""
    patches = sum(epoch.get(f"{part}_patches", 0) for part in PARTS)
    return float(patches / epoch["train_seconds"])


def read_results(folder: Path) -> dict[str, Any]:
    """Return the row of a model folder as text by column; raises UserError if no training has been finished there."""
    path = folder / RESULTS_NAME
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the results row of a finished jaxmask.train")
    with path.open(newline="") as file:
        return dict(next(csv.DictReader(file), {}))


def write_results(folder: Path, row: dict[str, Any]) -> None:
    """Write the one row with its header."""
    with whole_file(folder / RESULTS_NAME) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(row)


def write_parameters(folder: Path, config: TrainConfig, global_batch: int, machine: Machine) -> None:
    """Write the flags with what they became on this machine, and the versions of everything that computed."""
    derived = {
        "global_batch_size": global_batch,
        "learning_rate_used": peak_rate(config, global_batch),
        "system": machine.system,
        "processes": machine.processes,
        "devices": machine.devices,
        "device_kind": machine.kind,
        "versions": versions(),
    }
    write_json(folder / PARAMETERS_NAME, to_json(config) | derived)


def _seconds(epoch: Epoch) -> float | None:
    return sum(epoch.get(f"{part}_seconds") or 0.0 for part in PARTS) if epoch else None


def _score(epoch: Epoch, part: str, name: str) -> float | None:
    scores = epoch.get(part)
    return scores[name] if scores else None


def _tasks_per_node(processes: int) -> str | int | None:
    """What SLURM was asked for; else 1 for a single process, unknown for several."""
    return os.environ.get("SLURM_NTASKS_PER_NODE") or (1 if processes == 1 else None)
