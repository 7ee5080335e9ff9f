"""Edge: what model folders tell of their trainings, as rows of one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxmask.config import DEFAULTS
from jaxmask.history import Epoch, read_history
from jaxmask.record import RECORD_NAME, read_record
from jaxmask.results_row import PARAMETERS_NAME, RESULTS_NAME, published_rate, published_units, read_results
from jaxmask.results_table import Row, patches_of
from preprocess.command import Failure
from preprocess.errors import UserError

RUN_MODEL = "model"  # where the demo and the README put the model folder of a run
COMPUTED = ("precision", "accumulate", "features", "patch_size", "deterministic")


def read_runs(folders: Sequence[Path], *, published: bool) -> tuple[list[Row], list[Failure]]:
    """Return a row for each finished training, and what is wrong with the others.

    published: imgs_per_s in published units.
    """
    rows, failures = list[Row](), list[Failure]()
    for folder in folders:
        try:
            rows.append(read_run(folder, published=published))
        except UserError as error:
            failures.append(Failure(str(folder), str(error)))
    return rows, failures


def read_run(folder: Path, *, published: bool) -> Row:
    """Return the row of a model folder, or of a run's folder that has one; UserError unless its training is finished.

    The columns are the benchmark's and EXTRA_COLUMNS but those relative to other runs.
    """
    model = model_folder(folder)
    record = read_record(model)
    if record is None:
        raise UserError(f"{folder}: expected a model folder of jaxmask.train, which holds {RECORD_NAME}; found none")
    flags = DEFAULTS | record["flags"]
    epochs = read_history(model)
    finished = read_row(model) if (model / RESULTS_NAME).is_file() else {}
    if not epochs or finished.get("epochs") != len(epochs):
        done = f"{len(epochs)} of {flags['epochs']} epochs"
        raise UserError(f"{folder}: its training is not finished, {done} are; run its command again to go on")
    row = published_units(finished, epochs) if published else finished
    return row | _beside(str(folder), record, flags, epochs) | _machine(model, record, finished)


def model_folder(folder: Path) -> Path:
    """The folder itself, or the model folder in the folder of a run."""
    inner = folder / RUN_MODEL
    return inner if not (folder / RECORD_NAME).exists() and (inner / RECORD_NAME).exists() else folder


def read_row(folder: Path) -> Row:
    """Return the row of `results.csv` with numbers as numbers, None where it is empty."""
    return {name: _value(text) for name, text in read_results(folder).items()}


def _beside(run: str, record: Mapping[str, Any], flags: Mapping[str, Any], epochs: Sequence[Epoch]) -> Row:
    first, second, last = epochs[0], epochs[1] if len(epochs) > 1 else None, epochs[-1]
    validation = last.get("validation") or {}
    return {
        "run": run,
        **{name: flags[name] for name in COMPUTED},
        "cache": "none" if flags["no_cache"] else flags["cache"],
        **patches_of(last),
        "epochs_asked": flags["epochs"],
        "stopped_early": len(epochs) < flags["epochs"],
        "wait_share": (second or first)["wait_share"],
        "validation_loss": validation.get("loss"),
        "validation_accuracy": validation.get("accuracy"),
        "published_imgs_per_s_first_epoch": published_rate(first),
        "published_imgs_per_s_second_epoch": published_rate(second) if second else None,
        "global_batch_size": record["global_batch_size"],
    }


def _machine(model: Path, record: Mapping[str, Any], row: Row) -> Row:
    """What trained it; unknown where train_params.json is gone."""
    path = model / PARAMETERS_NAME
    try:
        held = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise UserError(f"{path}: expected JSON as jaxmask.train writes it, found otherwise ({error})") from error
    devices = row.get("num_ranks")
    if not isinstance(devices, int) or devices < 1:
        raise UserError(f"{model / RESULTS_NAME}: num_ranks must be the number of devices, 1 or more; found {devices}")
    return {"device_kind": str(held.get("device_kind", "unknown")), "processes": held.get("processes", "unknown")}


def _value(text: str) -> Any:
    if text in ("", "True", "False"):
        return {"True": True, "False": False}.get(text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
