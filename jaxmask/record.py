"""Edge: `config.json` of a model folder: what a model learnt from, and whether another run would learn the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from jaxmask.config import TrainConfig, changed_flag, peak_rate, to_json
from jaxmask.machine import versions
from jaxmask.split import PARTS, Split, recorded_split
from jaxmask.split import to_json as split_json
from jaxmask.training_set import TrainingSet
from preprocess.errors import UserError
from preprocess.files import write_json

RECORD_NAME = "config.json"
INPUT_KINDS = ("convention", "calibration", "regridding", "label_rule")
NAMED_AT_MOST = 3

Record = dict[str, Any]


def make_record(config: TrainConfig, global_batch: int, data: TrainingSet, split: Split) -> Record:
    """Return what `config.json` holds, as a JSON object."""
    return {
        "flags": to_json(config),
        "global_batch_size": global_batch,
        "learning_rate_used": peak_rate(config, global_batch),
        "best_by": best_by(split),
        **{kind: data.kind(kind) for kind in INPUT_KINDS},
        "collections": data.kind("collection"),
        "features": config.features,
        "patch_size": config.patch_size,
        "positive_weight": config.wbce,
        "split": split_json(split),
        "left_out": {"unlabelled": list(data.unlabelled), "unreadable": [failure.item for failure in data.failures]},
        "versions": versions(),
    }


def best_by(split: Split) -> Literal["validation loss", "test loss", "none"]:
    """By what the best checkpoint is the best."""
    if split.validation:
        return "validation loss"
    return "test loss" if split.test else "none"


def write_record(folder: Path, record: Record) -> None:
    """Write `config.json`, whole or not at all."""
    write_json(folder / RECORD_NAME, record)


def read_record(folder: Path) -> Record | None:
    """Return what `config.json` holds; None if there is none; UserError if it is not a record of training."""
    path = folder / RECORD_NAME
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        complete = {"flags", "global_batch_size", "split", *INPUT_KINDS} <= record.keys()
        complete = complete and isinstance(record["flags"], dict) and bool(recorded_split(record["split"]))
    except (ValueError, AttributeError):
        complete = False
    if not complete:
        raise UserError(f"{path}: expected the record of a training; put it back as it was, or start anew: --overwrite")
    return record


def check_same_task(folder: Path, recorded: Record, config: TrainConfig, record: Record) -> None:
    """Raise UserError, naming what differs, unless the run of `record` would go on with what `folder` began."""
    differs = changed_flag(recorded["flags"], config) or _changed_input(recorded, record)
    remedy = "repeat the command with what it began with"
    before, now = recorded["global_batch_size"], record["global_batch_size"]
    if before != now and differs is None:
        # Not taken over unasked: fewer devices may lack the memory for as many patches a step.
        differs = f"--global-batch-size {before}, not {now}"
        remedy = (
            f"go on with as many patches a step by --global-batch-size {before}, whatever the number of devices "
            "(--accumulate saves memory if they are fewer)"
        )
    if differs:
        raise UserError(
            f"{folder} holds a training begun with {differs}: {remedy}, choose another folder, or remove that training "
            "and start anew by --overwrite"
        )


def _changed_input(recorded: Record, record: Record) -> str | None:
    for kind in INPUT_KINDS:
        if recorded[kind] != record[kind]:
            return f"{kind.replace('_', ' ')} {recorded[kind]}, not {record[kind]}"
    earlier, current = recorded_split(recorded["split"]), recorded_split(record["split"])
    for part in PARTS:
        before, now = set(getattr(earlier, part)), set(getattr(current, part))
        changes = [f"{name} is gone" for name in sorted(before - now)] + [
            f"{name} is new" for name in sorted(now - before)
        ]
        if changes:
            return f"other products in the {part} part ({', '.join(changes[:NAMED_AT_MOST])})"
    return None
