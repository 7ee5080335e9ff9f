"""A run of MLCommons' CloudMask benchmark from its own file, on the published layout of HDF files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from jaxmask.cloudmask_agreement import agreement_of
from jaxmask.cloudmask_run import Agreement, benchmark_run, inference_line, inference_result, training_line
from jaxmask.maskfile import Mask, write_mask
from jaxmask.mlcommons import MlcommonsConfig, main
from preprocess.command import run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE, UserError
from tests.pairs import environment_of_two
from tests.shards import make_published_shard, make_shard, product_name

SIZE = 256  # the benchmark's patch: smaller images have none
FLAGS = "--features 1 --cpu-only --global-batch-size 8"


def benchmark_file(folder: Path, **changes: Any) -> Path:
    """A cloudMaskConfig.yaml in its published words, its data under `folder`; None takes an entry away."""
    content = {
        "benchmark": "CloudMask",
        "organisation": "Somebody",
        "division": "closed",
        "status": "research",
        "platform": "a laptop",
        "train_dir": str(folder / "one-day"),
        "inference_dir": str(folder / "ssts"),
        "model_file": str(folder / "out" / "cloudModel.h5"),
        "output_dir": str(folder / "out"),
        "log_file": str(folder / "cloudMask_Log"),
        "mlperf_logfile": str(folder / "mlperf_cloudmask.log"),
        "PATCH_SIZE": 256,
        "N_CHANNELS": 9,
        "CROP_SIZE": 80,
        "seed": 1234,
        "learning_rate": 0.001,
        "epochs": 1,
        "batch_size": 8,
        "train_split": 0.5,
        "clip_offset": 15,
        "no_cache": False,
        "nodes": 1,
        "gpu": 1,
    }
    path = folder / "cloudMaskConfig.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in (content | changes).items() if value is not None}))
    return path


def command(path: Path, *flags: str) -> int:
    return run("jaxmask.mlcommons", MlcommonsConfig, main, ["--config", str(path), f"--train-flags={FLAGS}", *flags])


def mlperf_lines(path: Path) -> list[tuple[str, Any]]:
    lines = [json.loads(line.removeprefix(":::MLLOG ")) for line in path.read_text().splitlines()]
    return [(line["key"], line["value"]) for line in lines]


def test_the_benchmark_runs_on_its_published_layout_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        make_published_shard(tmp_path / "one-day" / f"{product_name(number)}.hdf", SIZE, SIZE, seed=number)
    for number, part in ((2, "day"), (3, "night")):
        path = tmp_path / "ssts" / part / f"{product_name(number, platform='S3B')}.hdf"
        make_published_shard(path, SIZE, SIZE, seed=number)
    file = benchmark_file(tmp_path)
    assert command(file) == EXIT_DONE, capsys.readouterr().err
    assert "agree on" in capsys.readouterr().err

    log = (tmp_path / "cloudMask_Log").read_text().splitlines()
    assert re.fullmatch(
        r"CloudMask training, samples = 2, epochs=1, bs=8, nodes=1, gpus=0, time_per_epoch=\d+\.\d\d", log[0]
    )
    assert re.fullmatch(
        r"CloudMask inference, inferences=2, bs=8, nodes=1, gpus=0, time_per_inference=\d+\.\d\d", log[1]
    )
    keys = [key for key, _ in mlperf_lines(tmp_path / "mlperf_cloudmask.log")]
    expected = (
        "submission_benchmark submission_org submission_division submission_platform init_start number_of_ranks "
        "number_of_nodes accelerators_per_node init_stop run_start eval_start eval_stop eval_start eval_stop result "
        "run_stop submission_status"
    )
    assert keys == expected.split()
    result = dict(mlperf_lines(tmp_path / "mlperf_cloudmask.log"))["result"]
    assert result == json.loads((tmp_path / "out" / "mlcommons.json").read_text())
    assert result["training"]["samples"] == 2
    assert len(result["training"]["history"]["val_accuracy"]) == 1

    # The oracle of agreement: the original's own way, all pixels of the file.
    for name, share in zip(result["inference"]["products"], result["inference"]["accuracy"], strict=True):
        with h5py.File(tmp_path / "out" / f"{name}.h5") as mask:
            cloud = mask["mask"][0, :, :, 0] > 0.5
        (shard,) = (tmp_path / "ssts").rglob(f"{name}.hdf")
        with h5py.File(shard) as hdf:
            assert share == np.mean((hdf["bayes"][..., 0] > 0) == cloud)
    assert (tmp_path / "out" / "cloudModel.h5").is_file()

    assert command(file) == EXIT_DONE, capsys.readouterr().err  # nothing is left to do, nothing is timed
    assert (tmp_path / "cloudMask_Log").read_text().splitlines() == log
    assert json.loads((tmp_path / "out" / "mlcommons.json").read_text())["inference"] == result["inference"]

    # A product that can't be read is named, and the others are judged all the same.
    broken = tmp_path / "ssts" / "day" / f"{product_name(5)}.hdf"
    broken.write_bytes(b"no HDF")
    assert command(file) == EXIT_SOME_FAILED
    assert broken.name in capsys.readouterr().err
    failures = json.loads((tmp_path / "out" / "mlcommons_failures.json").read_text())
    assert [Path(failure["item"]).name for failure in failures] == [broken.name]


def test_two_processes_share_it_and_one_tells(tmp_path: Path) -> None:
    for number in range(2):
        make_published_shard(tmp_path / "one-day" / f"{product_name(number)}.hdf", SIZE, SIZE, seed=number)
        make_published_shard(tmp_path / "ssts" / f"{product_name(2 + number)}.hdf", 64, 64, seed=number)
    words = [sys.executable, "-m", "jaxmask.mlcommons", "--config", str(benchmark_file(tmp_path))]
    environment = environment_of_two() | {"JAX_PLATFORMS": "cpu"}
    pair = [
        subprocess.Popen(
            [*words, f"--train-flags={FLAGS}"],
            env=environment | {"JAX_PROCESS_ID": str(number)}, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    try:
        told = [process.communicate(timeout=240)[1] for process in pair]
    finally:
        for process in pair:
            process.kill()
    assert [process.returncode for process in pair] == [EXIT_DONE, EXIT_DONE], told
    assert "(2 of 2 products)" in told[0]
    assert len((tmp_path / "cloudMask_Log").read_text().splitlines()) == 2
    assert (tmp_path / "out" / "cloudModel.h5").is_file()


def test_what_is_missing_is_told_before_the_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_published_shard(tmp_path / "one-day" / f"{product_name(0)}.hdf", SIZE, SIZE)
    assert command(benchmark_file(tmp_path)) == EXIT_USAGE
    assert f"{tmp_path / 'ssts'}: no such folder" in capsys.readouterr().err
    assert command(tmp_path / "nowhere.yaml") == EXIT_USAGE
    assert "nowhere.yaml: expected a YAML or JSON file" in capsys.readouterr().err
    (tmp_path / "other.yaml").write_text("learning_rate: 0.1\n")
    assert command(tmp_path / "other.yaml") == EXIT_USAGE
    assert "expected a cloudMaskConfig.yaml of MLCommons CloudMask" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_model_stays_where_the_file_has_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("one-day", "ssts"):
        make_published_shard(tmp_path / folder / f"{product_name(0)}.hdf")
    code = command(benchmark_file(tmp_path), "--train-flags", f"{tmp_path / 'one-day'} {tmp_path / 'elsewhere'}")
    assert code == EXIT_USAGE
    assert "--train-flags can't move the model" in capsys.readouterr().err


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inference_dir": None}, "inference_dir is not there: add it"),
        ({"output_dir": "{run.filesystem}/out"}, "output_dir is left open by a placeholder"),
        ({"PATCH_SIZE": 128}, "PATCH_SIZE must be 256"),
        ({"CROP_SIZE": 256}, "CROP_SIZE must be a whole number from 0 to 255; found 256"),
    ],
)
def test_a_file_that_can_not_be_run_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    content = yaml.safe_load(benchmark_file(tmp_path, **changes).read_text())
    with pytest.raises(UserError, match=re.escape(told)):
        benchmark_run("file.yaml", content)


@pytest.mark.quick
def test_later_versions_of_the_file_nest_the_task(tmp_path: Path) -> None:
    content = yaml.safe_load(benchmark_file(tmp_path, CROP_SIZE=None).read_text()) | {"image": {"CROP_SIZE": "40"}}
    wanted = benchmark_run("file.yaml", content)
    assert wanted.crop_size == 40
    assert wanted.model == tmp_path / "out" / "cloudModel"


@pytest.mark.quick
def test_lines_and_result_are_the_benchmarks() -> None:
    assert training_line(971, 30, 32, 2, 8, 300.0) == (
        "CloudMask training, samples = 971, epochs=30, bs=32, nodes=2, gpus=8, time_per_epoch=10.00"
    )
    assert inference_line(100, 32, 1, 1, 1255.0).endswith("inferences=100, bs=32, nodes=1, gpus=1, "
                                                          "time_per_inference=12.55")  # fmt: skip
    result = inference_result([Agreement("a", 4, 3), Agreement("b", 0, 0), Agreement("c", 12, 12)])
    assert result["avg_accuracy"] == (0.75 + 1.0) / 2
    assert result["agreement"] == 15 / 16
    assert result["accuracy"] == [0.75, None, 1.0]


def test_agreement_counts_what_is_valid_labelled_and_measured(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / f"{product_name(0)}.hdf", 8, 16, seed=1)
    with h5py.File(shard, "r+") as hdf:
        cloud = hdf["bayes"][..., 0] > 0
        hdf["measured"][0, :] = 0
        hdf["label_valid"][1, :] = 0
    valid = np.ones((8, 16), bool)
    valid[2] = False
    values = np.where(cloud, 0.9, 0.1)
    values[3, 0] = 0.1 if cloud[3, 0] else 0.9
    mask = tmp_path / "mask.h5"
    write_mask(mask, Mask("mask", values, valid))
    assert agreement_of(mask, shard) == Agreement(shard.stem, 5 * 16, 5 * 16 - 1)
    write_mask(mask, Mask("mask", values[:4], valid[:4]))
    with pytest.raises(UserError, match="it is of another shard; remove it and run again"):
        agreement_of(mask, shard)
