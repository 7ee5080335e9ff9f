"""Training as a user runs it: what it leaves, how it goes on, what it refuses, and that devices do not matter."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import jax
import pytest

from jaxmask.checkpoint import whole_steps
from jaxmask.stopping import StopRequest
from jaxmask.train import TrainCommand, main
from preprocess.command import run
from tests.shards import make_published_shard, make_shard, make_shards, product_name
from tests.trainings import BATCH, ROOT, assert_same_parameters, command, history, one_device, scores, train


def results(model: Path) -> dict[str, str]:
    (row,) = csv.DictReader((model / "results.csv").read_text().splitlines())
    return row


@pytest.fixture(scope="module", autouse=True)
def _compile_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield
    jax.config.update("jax_compilation_cache_dir", before[0])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before[1])


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five products of six patches: four to train on in 3 steps, one to test on in a padded one."""
    return make_shards(tmp_path_factory.mktemp("hdf"), 5)


@pytest.fixture(scope="module")
def straight(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for two epochs without a break."""
    model = tmp_path_factory.mktemp("models") / "straight"
    assert train(shards, model) == 0
    return model


@pytest.mark.quick
def test_a_run_leaves_what_the_design_says(shards: Path, straight: Path) -> None:
    record = json.loads((straight / "config.json").read_text())
    names = [product_name(number) for number in range(5)]
    assert sorted(record["split"]["train"] + record["split"]["test"]) == names
    assert len(record["split"]["test"]) == 1
    kinds = ("convention", "calibration", "regridding", "label_rule", "features", "patch_size", "positive_weight")
    assert [record[kind] for kind in kinds] == ["native", "none", "mean", "any", 2, 32, 0.5]
    assert record["flags"]["learning_rate"] == 0.01
    first, second = history(straight)
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert first["train_patches"] == 24
    # Every patch counts once: 24 and 6 patches less a border of 4 pixels, all valid; the padding counts nothing.
    assert first["train"]["weight"] == 24 * 24 * 24
    assert first["test"]["weight"] == 6 * 24 * 24
    assert second["train"]["loss"] < first["train"]["loss"]
    assert 0 <= first["wait_share"] <= 1
    row = results(straight)
    assert (row["epochs"], row["batch_size"], row["num_gpus"]) == ("2", "1", "0")
    assert float(row["test_loss"]) == second["test"]["loss"]
    assert json.loads((straight / "train_params.json").read_text())["global_batch_size"] == BATCH
    assert whole_steps(straight / "checkpoints")[-1] == 8  # steps of training and of testing
    assert not list(straight.rglob("*.partial-*"))


def test_a_resumed_run_ends_as_an_undisturbed_one_in_either_cache(
    shards: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Bit-identical on CPU: order, parameters, moments and step count all come from (seed, epoch) and the checkpoint.
    assert train(shards, tmp_path, "--no-cache", epochs=1) == 0
    assert scores(tmp_path) == scores(straight)[:1]
    assert train(shards, tmp_path, epochs=2) == 0
    assert scores(tmp_path) == scores(straight)
    assert_same_parameters(tmp_path, straight)
    assert "going on after epoch 1" in capsys.readouterr().err


def test_history_beyond_the_checkpoint_is_cut_back(shards: Path, straight: Path, tmp_path: Path) -> None:
    # As if killed between writing the third epoch's line and its checkpoint.
    shutil.copytree(straight, tmp_path / "model")
    lines = (straight / "history.jsonl").read_text()
    (tmp_path / "model" / "history.jsonl").write_text(lines + '{"epoch": 3, "train": "lost"}\n')
    assert train(shards, tmp_path / "model", epochs=3) == 0
    third = history(tmp_path / "model")[2]
    assert third["train"] != "lost"
    assert len(history(tmp_path / "model")) == 3


def test_history_beyond_the_checkpoint_is_cut_back_even_if_nothing_is_left_to_train(
    shards: Path, straight: Path, tmp_path: Path
) -> None:
    shutil.copytree(straight, tmp_path / "model")
    lines = (straight / "history.jsonl").read_text()
    (tmp_path / "model" / "history.jsonl").write_text(lines + '{"epoch": 3, "train": "lost"}\n')
    assert train(shards, tmp_path / "model", epochs=2) == 0
    assert (tmp_path / "model" / "history.jsonl").read_text() == lines


def test_a_finished_run_is_left_as_it_is(
    shards: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(straight, tmp_path / "model")
    assert train(shards, tmp_path / "model", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["epochs"], summary["epochs_from_before"]) == (2, 2)
    assert history(tmp_path / "model") == history(straight)
    assert_same_parameters(tmp_path / "model", straight)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"learning_rate": 0.02}, "begun with --learning-rate 0.01, not 0.02"),
        ({"seed": 1}, "begun with --seed 42, not 1"),
        ({"wbce": 0.7}, "begun with --wbce 0.5, not 0.7"),
        ({"features": 4}, "begun with --features 2, not 4"),
        (
            {"global_batch_size": 16},
            "begun with --global-batch-size 8, not 16: go on with as many patches a step by --global-batch-size 8",
        ),
    ],
)
def test_another_task_in_the_same_folder_is_refused(
    shards: Path, straight: Path, capsys: pytest.CaptureFixture[str], flags: dict[str, object], message: str
) -> None:
    before = scores(straight)
    assert train(shards, straight, **flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "--overwrite" in error
    assert scores(straight) == before


@pytest.mark.parametrize("edit", [{"flags": 5}, {"split": {}}, {"split": {"train": [1], "test": []}}])
def test_a_record_edited_into_another_form_is_named(
    shards: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: dict[str, object]
) -> None:
    shutil.copytree(straight, tmp_path / "model")
    record = tmp_path / "model" / "config.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | edit))
    assert train(shards, tmp_path / "model") == 2
    assert f"{record}: expected the record of a training" in capsys.readouterr().err


def test_other_products_are_refused(straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((straight / "config.json").read_text())
    fewer = make_shards(tmp_path, 5)
    (fewer / "day" / f"{record['split']['train'][0]}.hdf").unlink()
    assert train(fewer, straight) == 2
    gone = record["split"]["train"][0]
    assert f"begun with other products in the train part ({gone} is gone" in capsys.readouterr().err


def test_overwrite_starts_anew(shards: Path, straight: Path, tmp_path: Path) -> None:
    shutil.copytree(straight, tmp_path / "model")
    assert train(shards, tmp_path / "model", "--overwrite", seed=1, epochs=1) == 0
    assert [line["epoch"] for line in history(tmp_path / "model")] == [1]
    assert whole_steps(tmp_path / "model" / "checkpoints") == [4]


def test_a_folder_without_its_record_is_refused(
    shards: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(straight, tmp_path / "model")
    (tmp_path / "model" / "config.json").unlink()
    assert train(shards, tmp_path / "model") == 2
    assert "checkpoints has no config.json beside it" in capsys.readouterr().err


def test_results_without_checkpoints_are_not_lost(
    shards: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(straight, model)
    shutil.rmtree(model / "checkpoints")
    assert train(shards, model) == 2
    assert "holds the results of a training, but no checkpoint: put checkpoints back" in capsys.readouterr().err
    assert (model / "history.jsonl").read_text() == (straight / "history.jsonl").read_text()


def test_one_product_needs_train_split_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_published_shard(tmp_path / "hdf" / "night" / f"{product_name(0)}.hdf", 64, 128)
    assert train(tmp_path / "hdf", tmp_path / "model", epochs=1) == 2
    assert "needs at least 2 labelled products, found 1" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
    assert train(tmp_path / "hdf", tmp_path / "model", epochs=1, train_split=1) == 0
    assert history(tmp_path / "model")[0]["test"] is None
    row = results(tmp_path / "model")
    assert row["test_loss"] == row["first_epoch_test_time"] == ""
    assert json.loads((tmp_path / "model" / "config.json").read_text())["convention"] == "reference"


def test_an_unreadable_shard_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_shards(tmp_path / "hdf", 2)
    broken = tmp_path / "hdf" / "day" / f"{product_name(3)}.hdf"
    broken.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert train(tmp_path / "hdf", tmp_path / "model", epochs=1) == 3
    assert f"left out: {broken}" in capsys.readouterr().err
    (failure,) = json.loads((tmp_path / "model" / "failures.json").read_text())
    assert failure["item"] == str(broken)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(shards, tmp_path / "model", learning_rate=1e30) == 2
    error = capsys.readouterr().err
    assert "epoch 1/2, training, step 2: the loss, or a parameter after that step, is not finite; its batch" in error
    assert "S3A_SL_1_RBT____" in error
    assert "Traceback" not in error
    assert whole_steps(tmp_path / "model" / "checkpoints") == []


def test_nothing_to_learn_from_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_shard(tmp_path / "hdf" / f"{product_name(0)}.hdf")
    with h5py.File(path, "r+") as file:
        file["valid"][:] = 0
    assert train(tmp_path / "hdf", tmp_path / "model", train_split=1) == 2
    assert "no pixel of the training patches is valid" in capsys.readouterr().err


@pytest.mark.parametrize(("processes", "code"), [(1, 1), (2, 69)])
def test_only_among_several_is_a_failed_collective_the_fault_of_another(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    processes: int, code: int,
) -> None:  # fmt: skip
    def lose(command: TrainCommand, request: StopRequest) -> int:
        raise jax.errors.JaxRuntimeError("Gloo all-reduce failed: Connection closed by peer\nat pair.cc")

    monkeypatch.setattr("jaxmask.train._train_together", lose)
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    assert train(shards, tmp_path) == code
    assert ("process 0 lost another process of this training" in capsys.readouterr().err) == (processes > 1)


def test_underscores_and_bad_values(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("jaxmask.train", TrainCommand, main, [str(shards), str(tmp_path), "--train_split", "2"]) == 2
    assert "--train-split must be above 0 and at most 1; found 2.0" in capsys.readouterr().err


def test_two_processes_learn_what_one_does(shards: Path, straight: Path, tmp_path: Path) -> None:
    # Same batches and the same start; float32 sums in another order, amplified by three steps of Adam.
    launcher = [sys.executable, "-m", "launch.local", "--processes", "2", "--"]
    trainer = [*command(shards, tmp_path, epochs=1), "--json"]
    done = subprocess.run(
        [*launcher, *trainer], cwd=ROOT, env=one_device(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert "2 x cpu in 2 processes" in done.stderr
    expected = history(straight)[0]
    assert summary["train"]["weight"] == expected["train"]["weight"]
    for part in ("train", "test"):
        assert summary[part]["loss"] == pytest.approx(expected[part]["loss"], abs=1e-5)
