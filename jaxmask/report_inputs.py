"""Edge: reads what the stages of a run left in its folder; what is missing or damaged is noted, not fatal."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jaxmask.evaluate import FAILURES_NAME as EVALUATION_FAILURES_NAME
from jaxmask.evaluate import RESULT_NAME as EVALUATION_NAME
from jaxmask.history import HISTORY_NAME, read_history
from jaxmask.inference_record import INFERENCE_NAMES, latest_run
from jaxmask.maskfile import PREDICTIONS_NAME, find_masks, read_attributes
from jaxmask.matchup_table import read_table
from jaxmask.matchups import REQUIRED_COLUMNS
from jaxmask.record import RECORD_NAME
from jaxmask.report_forms import (
    check_history,
    check_inference,
    check_match_up_curves,
    check_match_ups,
    check_scores,
)
from jaxmask.results_row import RESULTS_NAME
from jaxmask.run_record import FOLDERS, Places, Record, Run, StageFailure
from jaxmask.shares import PROCESSES_FAILURES
from jaxmask.split import recorded_split
from jaxmask.sst import FAILURES_NAME as SST_FAILURES_NAME
from jaxmask.sst import STATISTICS_NAME
from preprocess.command import FAILURES_NAME
from preprocess.errors import UserError
from preprocess.shard import find_shards, read_info

T = TypeVar("T")
STATISTIC_KEYS = {"mask", "algorithm", "time_of_day", "count", "coverage", "median", "rsd"}
RECORD_KEYS = {"mask", "against", "part", "stratum", "count"}
EPOCH_KEYS = {"train", "test", "train_seconds", "test_seconds", "patches_per_second"}
PRODUCT_KEYS = {"product", "part", "day", "disagreement"}


# What was read of a file, by which function, and when it had last changed; filled by read_run.
Known = dict[tuple[Callable[..., Any], Path], tuple[tuple[int, int], Any]]


def read_run(places: Places, known: Known | None = None) -> Run:
    """Read everything but the pixels; of what is `known`, only files that have changed since."""
    unread: list[StageFailure] = []
    remembered = {} if known is None else known

    def attempt(read: Callable[[Path], T], path: Path) -> T | None:
        if not path.exists():
            return None
        try:
            return _read_if_new(read, path, remembered)
        except (UserError, OSError, ValueError, KeyError, TypeError) as error:
            text = " ".join(str(error).split())
            unread.append(StageFailure("report", str(path), text if isinstance(error, UserError) else _damaged(error)))
            return None

    shards = {path.stem: path for path in attempt(find_shards, places.hdf) or ()}
    infos = {name: info for name, path in shards.items() if (info := attempt(read_info, path)) is not None}
    found = attempt(find_masks, places.predictions) or ()
    masks = {path: attributes for path in found if (attributes := attempt(read_attributes, path)) is not None}
    inferences = [attempt(_read_inference, path) for path in sorted(places.predictions.glob(INFERENCE_NAMES))]
    archived, extracted = _names(places.archive, "*.zip"), _names(places.extracted, "*.SEN3")
    return Run(
        places=places,
        archived=None if archived is None else len(archived),
        extracted=None if extracted is None else len(extracted),
        shards=shards,
        infos=infos,
        masks={path.stem: path for path in masks},
        mask_attributes=next(iter(masks.values()), {}),
        config=attempt(_read_config, places.model / RECORD_NAME),
        history=tuple(attempt(_read_history, places.model / HISTORY_NAME) or ()),
        results=attempt(_read_results, places.model / RESULTS_NAME),
        sst=attempt(_read_statistics, places.predictions / STATISTICS_NAME),
        evaluation=attempt(_read_evaluation, places.predictions / EVALUATION_NAME),
        matchups=attempt(_read_matchups, places.predictions / PREDICTIONS_NAME),
        failures=tuple(_stage_failures(places, attempt)),
        unread=tuple(unread),
        inference=latest_run(record for record in inferences if record is not None),
        products=(archived or frozenset()) | (extracted or frozenset()),
    )


def _read_if_new(read: Callable[[Path], T], path: Path, known: Known) -> T:
    if not path.is_file():
        return read(path)
    state = path.stat()
    changed = (state.st_mtime_ns, state.st_size)
    before = known.get((read, path))
    if before is None or before[0] != changed:
        known[read, path] = before = (changed, read(path))
    value: T = before[1]
    return value


def check_folder(places: Places) -> None:
    """Raise UserError if the run's folder is missing."""
    if not places.run.is_dir():
        raise UserError(f"{places.run}: no such folder; expected a run's, with {', '.join(FOLDERS)} in it")


def check_run(places: Places) -> None:
    """Raise UserError if the folder holds nothing of a run."""
    parts = (places.archive, places.extracted, places.hdf, places.model, places.predictions)
    if not any(part.is_dir() and any(part.iterdir()) for part in parts):
        raise UserError(
            f"{places.run}: nothing of a run in it; expected at least one of the folders {', '.join(FOLDERS)}: "
            "run a stage first (python -m jaxmask.demo shows all), or name the folders by --hdf, --model, --predictions"
        )


def _stage_failures(places: Places, attempt: Callable[..., Any]) -> Iterator[StageFailure]:
    lists = [
        ("simulate", places.archive / FAILURES_NAME),
        ("extract", places.extracted / FAILURES_NAME),
        ("convert", places.hdf / FAILURES_NAME),
        ("train", places.model / FAILURES_NAME),
        ("infer", places.predictions / FAILURES_NAME),
        *(("infer", path) for path in sorted(places.predictions.glob(PROCESSES_FAILURES))),
        ("sst", places.predictions / SST_FAILURES_NAME),
        ("evaluate", places.predictions / EVALUATION_FAILURES_NAME),
    ]
    for stage, path in lists:
        for entry in attempt(_read_list, path) or ():
            yield StageFailure(stage, str(entry.get("item", "?")), str(entry.get("error", "?")))


def _names(folder: Path, pattern: str) -> frozenset[str] | None:
    """The names of the products in a folder; None if there is none."""
    return frozenset(path.name.partition(".")[0] for path in folder.glob(pattern)) if folder.is_dir() else None


def _read_object(path: Path) -> Record:
    value = json.loads(path.read_text())
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object; found {type(value).__name__}")
    return value


def _read_config(path: Path) -> Record:
    value = _read_object(path)
    recorded_split(value.get("split"))
    if not all(isinstance(value.get(name), dict) for name in ("flags", "versions")):
        raise UserError(f"{path}: expected objects 'flags' and 'versions', as jaxmask.train writes them; train again")
    return value


def _read_history(path: Path) -> list[Record]:
    history: list[Record] = [*read_history(path.parent)]
    for epoch in history:
        if not (epoch.keys() >= EPOCH_KEYS and isinstance(epoch["train"], dict)):
            raise UserError(f"{path}: expected {', '.join(sorted(EPOCH_KEYS))} in every line; put it back as it was")
    check_history(str(path), history)
    return history


def _read_inference(path: Path) -> Record:
    value = _read_object(path)
    check_inference(str(path), value)
    return value


def _read_statistics(path: Path) -> Record:
    value = _read_object(path)
    _check_records(path, value, "statistics", STATISTIC_KEYS)
    check_match_ups(str(path), value)
    check_match_up_curves(str(path), value)
    return value


def _read_evaluation(path: Path) -> Record:
    value = _read_object(path)
    _check_records(path, value, "records", RECORD_KEYS)
    for name, keys in (("products", PRODUCT_KEYS), ("matchups", STATISTIC_KEYS)):
        if name in value:  # which evaluations of old did not write
            _check_records(path, value, name, keys)
    check_scores(str(path), value)
    check_match_ups(str(path), {"statistics": value.get("matchups", [])})
    return value


def _check_records(path: Path, value: Record, name: str, keys: set[str]) -> None:
    records = value.get(name)
    if not isinstance(records, list) or not all(isinstance(r, dict) and keys <= r.keys() for r in records):
        raise UserError(f"{path}: expected '{name}', a list of objects with {', '.join(sorted(keys))}; make it again")


def _read_matchups(path: Path) -> dict[str, np.ndarray]:
    return read_table(path, (*REQUIRED_COLUMNS, "model_mask"))


def _read_list(path: Path) -> list[Record]:
    value = json.loads(path.read_text())
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise UserError(f"{path}: expected a JSON list of objects")
    return value


def _read_results(path: Path) -> Record | None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return dict(rows[-1]) if rows else None


def _damaged(error: Exception) -> str:
    return f"damaged or of another version ({type(error).__name__}: {' '.join(str(error).split())}); make it again"
