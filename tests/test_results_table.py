"""Tables of many trainings against speed-ups computed by hand; what can't be shown is named."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from jaxmask.config import TrainConfig, to_json
from jaxmask.history import write_history
from jaxmask.machine import Machine
from jaxmask.results import ResultsConfig, main
from jaxmask.results_row import COLUMNS, results_row, write_parameters, write_results
from jaxmask.results_table import EXTRA_COLUMNS
from preprocess.command import run
from preprocess.errors import UserError


def epoch(number: int, rate: float, validation: bool = False) -> dict[str, Any]:
    """360 patches trained on, 90 of test, 45 of validation; the first epoch at half the rate."""
    rate = rate / 2 if number == 1 else rate
    scores = {"loss": 0.5 / number, "accuracy": 0.75}
    line = {
        "epoch": number, "train": scores, "test": scores, "train_seconds": 360 / rate, "test_seconds": 1.0,
        "train_patches": 360, "test_patches": 90, "patches_per_second": rate, "wait_share": 0.25,
    }  # fmt: skip
    seen = {"validation": scores, "validation_seconds": 1.0, "validation_patches": 45}
    return line | (seen if validation else {})


def make_run(folder: Path, devices: int, rate: float, done: int = 2, finished: bool = True, **flags: Any) -> Path:
    """The model folder of a training on `devices` at `rate` patches/s."""
    config = TrainConfig(**{"epochs": 2, "batch_size": 8} | flags)
    machine = Machine("node7", processes=1, devices=devices, gpus=devices, kind="V9")
    history = [epoch(number, rate, config.validation_split > 0) for number in range(1, done + 1)]
    folder.mkdir(parents=True)
    write_history(folder, history)
    record = {"flags": to_json(config), "global_batch_size": 8 * devices, "split": {"train": ["a"], "test": ["b"]}}
    kinds = dict.fromkeys(("convention", "calibration", "regridding", "label_rule"), "native")
    (folder / "config.json").write_text(json.dumps(record | kinds))
    if finished:
        write_results(folder, results_row(config, 8 * devices, machine, history))
        write_parameters(folder, config, 8 * devices, machine)
    return folder


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {Path(row["run"]).name: row for row in csv.DictReader(file)}


@pytest.mark.quick
def test_speed_up_and_efficiency_by_hand(tmp_path: Path) -> None:
    folders = [
        make_run(tmp_path / "four", 4, 300.0),
        make_run(tmp_path / "one", 1, 100.0),
        make_run(tmp_path / "two", 2, 180.0),
        make_run(tmp_path / "half", 2, 240.0, precision="bfloat16"),  # another task, so of itself
    ]
    table, text = tmp_path / "runs.csv", tmp_path / "runs.md"
    assert main(ResultsConfig(tuple(folders), csv=table, output=text)) == 0
    rows = rows_of(table)
    assert list(rows) == ["one", "two", "four", "half"]
    found = {
        name: (Path(row["relative_to"]).name, float(row["speed_up"]), float(row["efficiency"]))
        for name, row in rows.items()
    }
    assert found == {
        "one": ("one", 1.0, 1.0),
        "two": ("one", pytest.approx(1.8), pytest.approx(0.9)),
        "four": ("one", pytest.approx(3.0), pytest.approx(0.75)),
        "half": ("half", 1.0, 1.0),
    }
    four = rows["four"]
    assert (four["num_ranks"], four["global_batch_size"], four["batch_size"], four["index"]) == ("4", "32", "8", "2")
    assert float(four["imgs_per_s_second_epoch"]) == 300.0
    # (360 + 90) patches in 360 / 300 s
    assert float(four["published_imgs_per_s_second_epoch"]) == pytest.approx(375.0)
    lines = text.read_text().splitlines()
    speed = next(line for line in lines if "four" in line)
    assert [cell.strip() for cell in speed.split("|")[1:-1]] == [
        str(folders[0]), "V9", "4", "1", "32", "1", "float32", "host", "150.0", "300.0", "375.0", "25", "2.2", "5.6",
        "3.00", "75", str(folders[1]),
    ]  # fmt: skip
    assert len({len(line) for line in lines[:6]}) == 1  # a table to be read as plain text too


def test_the_csv_file_has_the_benchmarks_columns_first(tmp_path: Path) -> None:
    table = tmp_path / "runs.csv"
    main(ResultsConfig((make_run(tmp_path / "one", 1, 100.0),), csv=table))
    assert table.read_text().splitlines()[0] == ",".join((*COLUMNS, *EXTRA_COLUMNS))
    main(ResultsConfig((tmp_path / "one",), csv=table, published_units=True))
    assert float(rows_of(table)["one"]["imgs_per_s_second_epoch"]) == 125.0


def test_where_a_run_has_but_one_epoch_all_of_its_task_are_compared_by_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = (make_run(tmp_path / "one", 1, 100.0), make_run(tmp_path / "two", 2, 160.0, done=1))
    assert main(ResultsConfig(folders, json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runs"][1]["speed_up"] == pytest.approx(1.6)  # 80 over 50
    assert "Of epoch 1, which compiles too" in told["message"]


def test_runs_that_are_not_finished_are_named_and_the_rest_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing").mkdir()
    good = make_run(tmp_path / "run" / "model", 1, 100.0)
    begun = make_run(tmp_path / "begun", 2, 100.0, done=1, finished=False)
    words = [str(path) for path in (good.parent, begun, tmp_path / "nothing")]
    assert run("jaxmask.results", ResultsConfig, main, [*words, "--output", str(tmp_path / "runs.md")]) == 3
    told = capsys.readouterr().err
    assert f"{begun}: its training is not finished, 1 of 2 epochs are; run its command again to go on" in told
    assert "nothing: expected a model folder of jaxmask.train, which holds config.json; found none" in told
    assert f"...{str(good.parent)[-14:]} " in told, "its name is shortened"
    assert max(len(line) for line in told.splitlines() if str(tmp_path) not in line) <= 80
    assert "Not shown:\n\n- " in (tmp_path / "runs.md").read_text()
    with pytest.raises(UserError, match="none of the 2 runs can be shown"):
        main(ResultsConfig((begun, tmp_path / "nothing")))


def test_a_run_that_goes_on_is_not_finished(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "one", 1, 100.0)
    write_history(folder, [epoch(number, 100.0) for number in (1, 2, 3)])
    with pytest.raises(UserError, match="3 of 2 epochs are"):
        main(ResultsConfig((folder,), csv=tmp_path / "runs.csv"))


def test_early_stops_and_validation_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {"epochs": 9, "early_stopping": 2, "validation_split": 0.1, "accumulate": 4, "no_cache": True}
    make_run(tmp_path / "early", 1, 100.0, done=3, **flags)
    assert main(ResultsConfig((tmp_path / "early",), json=True, csv=tmp_path / "runs.csv")) == 0
    told = json.loads(capsys.readouterr().out)
    (row,) = told["runs"]
    assert (row["epochs"], row["epochs_asked"], row["stopped_early"]) == (3, 9, True)
    assert (row["validation_loss"], row["validation_patches"]) == (pytest.approx(0.5 / 3), 45)
    assert (row["accumulate"], row["cache"]) == (4, "none")
    assert "early, of 9" in told["message"]
    assert row["published_imgs_per_s_second_epoch"] == pytest.approx(495 / 3.6)  # all parts, in training's time


def test_a_folder_of_an_older_version_is_shown(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "old", 1, 100.0)
    record = json.loads((folder / "config.json").read_text())
    for name in ("precision", "accumulate", "deterministic", "validation_split", "ema"):
        del record["flags"][name]
    (folder / "config.json").write_text(json.dumps(record))
    (folder / "train_params.json").unlink()
    assert main(ResultsConfig((folder,), csv=tmp_path / "runs.csv")) == 0
    row = rows_of(tmp_path / "runs.csv")["old"]
    assert (row["precision"], row["accumulate"], row["device_kind"]) == ("float32", "1", "unknown")


def test_no_run_is_refused() -> None:
    with pytest.raises(UserError, match="RUN must be one model folder or more; found none"):
        ResultsConfig(())
