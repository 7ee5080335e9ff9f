"""The record of a training: what it holds, what makes another task of a run, and what processes must agree on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmask import agreement
from jaxmask.agreement import agreed, check_agreement, differing, digests
from jaxmask.config import TrainConfig
from jaxmask.record import Record, best_by, check_same_task, make_record, read_record, write_record
from jaxmask.split import Split
from jaxmask.training_set import open_training_set
from preprocess.errors import UserError
from tests.shards import make_shards

CONFIG = TrainConfig(features=2, patch_size=32, clip_offset=1, validation_split=0.2)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("shards")
    make_shards(folder, 5)
    data = open_training_set(folder, 32, quiet=True)
    return make_record(CONFIG, 64, data, Split(train=data.names[:3], validation=data.names[3:4], test=data.names[4:]))


def changed(record: Record, config: TrainConfig, **values: Any) -> Record:
    return record | values | {"flags": record["flags"] | {name: getattr(config, name) for name in record["flags"]}}


@pytest.mark.quick
def test_a_record_is_read_back_as_it_was(tmp_path: Path, record: Record) -> None:
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert (record["best_by"], record["learning_rate_used"], record["flags"]["precision"]) == (
        "validation loss", 0.001, "float32",
    )  # fmt: skip
    assert [len(record["split"][part]) for part in ("train", "validation", "test")] == [3, 1, 1]
    check_same_task(tmp_path, record, CONFIG, record)


def test_by_what_the_best_checkpoint_is_the_best() -> None:
    assert best_by(Split(train=("a",), test=("b",))) == "test loss"
    assert best_by(Split(train=("a",))) == "none"


def test_a_record_of_a_version_without_validation_goes_on(tmp_path: Path, record: Record) -> None:
    config = replace(CONFIG, validation_split=0.0)
    split = {"train": record["split"]["train"], "test": record["split"]["test"]}
    now = changed(record, config, split=split | {"validation": []}, best_by="test loss")
    old = json.loads(json.dumps(now | {"split": split}))
    for name in ("validation_split", "early_stopping", "precision", "accumulate", "ema", "schedule", "deterministic"):
        del old["flags"][name]
    del old["learning_rate_used"], old["best_by"]
    (tmp_path / "config.json").write_text(json.dumps(old))
    recorded = read_record(tmp_path)
    assert recorded is not None
    check_same_task(tmp_path, recorded, config, now)


@pytest.mark.parametrize(
    ("flags", "values", "message"),
    [
        ({"precision": "bfloat16"}, {}, '--precision "float32", not "bfloat16"'),
        ({"scale_learning_rate": True}, {}, "--scale-learning-rate false, not true"),
        ({"validation_split": 0.3}, {}, "--validation-split 0.2, not 0.3"),
        ({"ema": 0.9}, {}, "--ema null, not 0.9"),
        ({}, {"global_batch_size": 32}, "--global-batch-size 64, not 32"),
        ({}, {"convention": "reference"}, "convention native, not reference"),
    ],
)
def test_another_task_is_refused_by_what_differs(
    tmp_path: Path, record: Record, flags: dict[str, Any], values: dict[str, Any], message: str
) -> None:
    config = replace(CONFIG, **flags)
    with pytest.raises(UserError, match=f"holds a training begun with {message}: (repeat|go on with) "):
        check_same_task(tmp_path, record, config, changed(record, config, **values))


def test_other_products_of_a_part_are_named(tmp_path: Path, record: Record) -> None:
    split = record["split"] | {"validation": ["soup"]}
    (gone,) = record["split"]["validation"]
    with pytest.raises(UserError, match=rf"other products in the validation part \({gone} is gone, soup is new\)"):
        check_same_task(tmp_path, record, CONFIG, record | {"split": split})


def test_what_a_run_may_change_when_it_goes_on(tmp_path: Path, record: Record) -> None:
    free = {
        "epochs": 60,
        "early_stopping": 4,
        "cache": "none",
        "accumulate": 2,
        "profile": 3,
        "save_every_minutes": 1.0,
    }
    config = replace(CONFIG, **free)  # type: ignore[arg-type]
    check_same_task(tmp_path, record, config, changed(record, config))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("flags", "values", "names"),
    [
        ({}, {}, []),
        ({"process_id": 1, "quiet": True, "compile_cache": "/local"}, {}, []),  # of one process
        ({"cache": "device", "epochs": 2}, {}, ["--epochs", "--cache"]),
        ({}, {"global_batch_size": 8, "label_rule": "other"}, ["global batch size", "label rule"]),
        ({}, {"split": {"train": [], "validation": [], "test": []}}, ["the labelled products"]),
    ],
)
def test_what_differs_among_processes_is_named(
    record: Record, flags: dict[str, Any], values: dict[str, Any], names: list[str]
) -> None:
    other = record | values | {"flags": record["flags"] | flags}
    everyones = np.stack([digests(agreed(one)) for one in (record, record, other)])
    assert differing(tuple(agreed(record)), everyones) == names


def test_processes_that_differ_all_stop(monkeypatch: pytest.MonkeyPatch, record: Record) -> None:
    other = record | {"versions": {"jax": "0.1"}}
    monkeypatch.setattr(agreement.jax, "process_count", lambda: 2)

    sizes = [("a", 64, 64)]
    of_others = "the products' rows and columns"

    def gathered(mine: np.ndarray) -> np.ndarray:
        versions = {"versions of packages": other["versions"]}
        return np.stack([mine, digests(versions if len(mine) == 1 else agreed(other) | {of_others: sizes})])

    monkeypatch.setattr(agreement.multihost_utils, "process_allgather", gathered)
    with pytest.raises(
        UserError, match=r"the processes differ in versions of packages \(shards: hdf\): give all of them"
    ):
        check_agreement(record, sizes, Path("hdf"))
    other = record
    check_agreement(record, sizes, Path("hdf"))
    with pytest.raises(UserError, match=f"the processes differ in {of_others} "):
        check_agreement(record, [("a", 64, 72)], Path("hdf"))
