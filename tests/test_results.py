"""History, results row and parameters against values written by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from jaxmask.config import TrainConfig
from jaxmask.history import read_history, write_history
from jaxmask.machine import Machine, versions
from jaxmask.results import ResultsConfig, main
from jaxmask.results_row import COLUMNS, published_units, results_row, write_parameters, write_results
from preprocess.errors import UserError

MACHINE = Machine(system="node7", processes=2, devices=4, gpus=4, kind="TPU v9")
SCORES = {"loss": 0.5, "accuracy": 0.75}


def epoch(number: int, test: bool = True) -> dict[str, object]:
    return {
        "epoch": number,
        "train": SCORES,
        "test": {"loss": 0.6, "accuracy": 0.7} if test else None,
        "train_seconds": 10.0 / number,
        "test_seconds": 2.0 if test else None,
        "train_patches": 40,
        "test_patches": 10 if test else 0,
        "patches_per_second": 4.0 * number,
        "wait_share": 0.1,
    }


@pytest.mark.quick
def test_the_row_has_the_benchmarks_columns_and_values() -> None:
    row = results_row(TrainConfig(no_cache=True, clip_offset=9), 64, MACHINE, [epoch(1), epoch(2)])
    assert tuple(row) == COLUMNS
    assert ",".join(COLUMNS) == (
        "index,system,num_ranks,num_gpus,total_time,first_epoch_time,second_epoch_time,first_epoch_train_time,"
        "second_epoch_train_time,first_epoch_test_time,second_epoch_test_time,imgs_per_s_second_epoch,"
        "imgs_per_s_first_epoch,train_accuracy,test_accuracy,train_loss,test_loss,batch_size,epochs,learning_rate,"
        "clip_offset,cpu_only,no_cache,train_split,wbce,ntasks_per_node"
    )
    assert (row["num_ranks"], row["num_gpus"], row["batch_size"]) == (4, 4, 16)
    assert (row["first_epoch_time"], row["second_epoch_time"], row["total_time"]) == (12.0, 7.0, 19.0)
    assert (row["imgs_per_s_first_epoch"], row["imgs_per_s_second_epoch"]) == (4.0, 8.0)
    assert (row["train_accuracy"], row["test_accuracy"], row["train_loss"], row["test_loss"]) == (0.75, 0.7, 0.5, 0.6)
    assert (row["no_cache"], row["clip_offset"], row["epochs"]) == (True, 9, 2)


def test_what_there_is_not_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
    write_results(tmp_path, results_row(TrainConfig(), 64, MACHINE, [epoch(1, test=False)]))
    (row,) = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    empty = {name for name, value in row.items() if value == ""}
    assert empty == {
        "second_epoch_time", "second_epoch_train_time", "second_epoch_test_time", "imgs_per_s_second_epoch",
        "first_epoch_test_time", "test_accuracy", "test_loss", "ntasks_per_node",
    }  # fmt: skip
    assert row["first_epoch_time"] == "10.0"


def test_published_units_count_test_patches_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    epochs = [epoch(1), epoch(2), epoch(3)]
    write_history(tmp_path, epochs)
    write_results(tmp_path, results_row(TrainConfig(), 64, MACHINE, epochs))
    assert main(ResultsConfig((tmp_path,), json=True)) == 0
    assert json.loads(capsys.readouterr().out)["imgs_per_s_second_epoch"] == "8.0"
    assert main(ResultsConfig((tmp_path,), published_units=True, json=True)) == 0
    row = json.loads(capsys.readouterr().out)
    # 40 + 10 patches in 10 s, and in 5 s
    assert (row["imgs_per_s_first_epoch"], row["imgs_per_s_second_epoch"], row["system"]) == (5.0, 10.0, "node7")


def test_the_step_size_that_was_used_is_told(tmp_path: Path) -> None:
    config = TrainConfig(scale_learning_rate=True)
    write_parameters(tmp_path, config, 64, MACHINE)
    held = json.loads((tmp_path / "train_params.json").read_text())
    used = results_row(config, 64, MACHINE, [epoch(1)])["learning_rate"]
    assert (held["learning_rate"], held["learning_rate_used"], used) == (0.001, 0.002, 0.002)  # twice 32 patches


def test_validation_counts_to_an_epochs_time(tmp_path: Path) -> None:
    epochs = [epoch(1) | {"validation": SCORES, "validation_seconds": 3.0, "validation_patches": 20}, epoch(2)]
    row = results_row(TrainConfig(), 64, MACHINE, epochs)
    assert (row["first_epoch_time"], row["first_epoch_train_time"], row["total_time"]) == (15.0, 10.0, 22.0)
    assert published_units(row, epochs)["imgs_per_s_first_epoch"] == 7.0  # (40 + 20 + 10) / 10 s


def test_no_results_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"results.csv: no such file; expected the results row of a finished"):
        main(ResultsConfig((tmp_path,)))


def test_parameters_hold_flags_machine_and_versions(tmp_path: Path) -> None:
    write_parameters(tmp_path, TrainConfig(seed=7), 64, MACHINE)
    held = json.loads((tmp_path / "train_params.json").read_text())
    assert (held["seed"], held["learning_rate"], held["global_batch_size"], held["device_kind"]) == (
        7,
        0.001,
        64,
        "TPU v9",
    )
    assert (held["learning_rate_used"], held["versions"]) == (0.001, versions())
    assert {"python", "jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy"} <= held["versions"].keys()


def test_history_and_back(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []
    write_history(tmp_path, [epoch(1), epoch(2)])
    assert read_history(tmp_path) == [epoch(1), epoch(2)]
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("text", ['{"epoch": 1}\n{"epoch": 3}\n', '{"epoch": 1}\n{"epo', '{"epoch": 1}\n7\n'])
def test_a_history_with_a_gap_or_damage_is_refused_by_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"history.jsonl, line 2: expected the JSON object of epoch 2"):
        read_history(tmp_path)
