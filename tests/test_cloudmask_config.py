"""MLCommons CloudMask's configuration file, in its published layout, is taken as flags of our training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jaxmask import config_file
from jaxmask.cloudmask_config import train_flags
from jaxmask.command_line import parse
from jaxmask.config_file import notice_of
from jaxmask.train import TrainCommand as Command
from preprocess.errors import UserError

# The layout of benchmarks/cloudmask/cloudMaskConfig.yaml of github.com/mlcommons/science.
PUBLISHED = """\
# cloudMaskConfig.yml

# General info
benchmark: CloudMask
organisation: ORGANISATION
division: DIVISION
status: research
platform: machine 2
accelerators_per_node: 16

# Submission info
submission:
      benchmark: CloudMask
      version: 1.0
      platform: machine 2

# Training data
train_dir: ~/sciml_bench/datasets/cloud_slstr_ds1/one-day

# Inference data
inference_dir: ~/sciml_bench/datasets/cloud_slstr_ds1/ssts

# Model file
model_file : ~/sciml_bench/outputs/slstr_cloud/cloudModel.h5

output_dir : ~/sciml_bench/outputs/slstr_cloud

log_file: ./cloudMask_Log

mlperf_logfile: ./mlperf_cloudmask.log

PATCH_SIZE: 256

IMAGE_H: 1200

IMAGE_W: 1500

N_CHANNELS: 9

MIN_SST: 273.15

CROP_SIZE: 80

# Hyperparameters
seed: 1234

learning_rate: 0.002

epochs: 1

batch_size: 64

train_split: 0.7

clip_offset: 12

no_cache: False

nodes: 1

gpu: 1



"""
# Of a later version, whose names are nested and whose values are text.
NESTED = """\
name: cloudmask-somewhere
run:
  mode: "parallel"
experiment:
  card_name: v100
  epoch: "50"
  seed: 1234
  learning_rate: 1e-3
  batch_size: 32
  train_split: 0.8
  clip_offset: 15
  no_cache: "False"
  early_stoppage_patience: "12"
  early_stoppage: "True"
train_dir: "/scratch/{os.USER}/data/one-day"
model_file: "{output_dir}/cloudModel-{identifier}.h5"
image:
  PATCH_SIZE: 128
  N_CHANNELS: 9
training_loss: binary_crossentropy
"""


def flags_of(path: Path, text: str, *words: str) -> Command:
    path.write_text(text)
    return parse(Command, "x", ["--config", str(path), *words])


@pytest.mark.quick
def test_the_published_file_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file.importlib.util, "find_spec", lambda name: object())
    path = tmp_path / "cloudMaskConfig.yaml"
    made, outputs = flags_of(path, PUBLISHED), Path.home() / "sciml_bench"
    assert made == Command(
        shards=outputs / "datasets/cloud_slstr_ds1/one-day", model=outputs / "outputs/slstr_cloud/cloudModel",
        learning_rate=0.002, epochs=1, global_batch_size=64, train_split=0.7, clip_offset=12, seed=1234, mlperf=True,
        wbce=1.0, config=path,
    )  # fmt: skip
    # What the program does that its file doesn't say, and what we have no use for, is told.
    notice = notice_of(path, Command)
    assert notice == (
        f"{path} is of MLCommons CloudMask: --global-batch-size 64, as its batch_size is shared by all devices; "
        "--wbce 1, as its loss weighs cloud so; the model folder is ~/sciml_bench/outputs/slstr_cloud/cloudModel, of "
        "which jaxmask.export writes a model.h5; the log is MODEL/mlperf.log; of no use to training here: CROP_SIZE, "
        "IMAGE_H, IMAGE_W, MIN_SST, accelerators_per_node, gpu, inference_dir, log_file, nodes, output_dir, submission"
    )


def test_the_command_line_wins_over_it(tmp_path: Path) -> None:
    made = flags_of(
        tmp_path / "c.yaml", PUBLISHED, "hdf", "model", "--batch-size", "8", "--wbce", "0.5", "--epochs", "3"
    )
    assert (str(made.shards), str(made.model), made.epochs, made.wbce) == ("hdf", "model", 3, 0.5)
    assert (made.batch_size, made.global_batch_size) == (8, None)


def test_without_the_extra_the_log_is_left_out_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file.importlib.util, "find_spec", lambda name: None)
    assert not flags_of(tmp_path / "c.yaml", PUBLISHED).mlperf
    assert "no MLPerf log (it needs the extra mlperf)" in notice_of(tmp_path / "c.yaml", Command)


def test_a_later_version_with_nested_names_and_open_places(tmp_path: Path) -> None:
    made = flags_of(tmp_path / "c.yaml", NESTED, "hdf", "model")
    assert (made.epochs, made.early_stopping, made.validation_split, made.patch_size) == (50, 12, 0.1, 128)
    assert (made.learning_rate, made.wbce, made.no_cache, made.global_batch_size) == (0.001, 1.0, False, 32)
    notice = notice_of(tmp_path / "c.yaml", Command)
    assert "--validation-split 0.1 to stop early by, not by the test products" in notice
    assert "train_dir is left open by a placeholder, give it on the command line" in notice
    assert notice.endswith("of no use to training here: card_name, name, run")


def test_an_error_names_the_line_of_the_file(tmp_path: Path) -> None:
    wrong = PUBLISHED.replace("epochs: 1", "epochs: many")
    with pytest.raises(UserError, match=r"c.yaml, line 49: epochs must be a whole number; found 'many'"):
        flags_of(tmp_path / "c.yaml", wrong)
    with pytest.raises(UserError, match=r"c.yaml, line 51: --global-batch-size must be 1 or more; found 0"):
        flags_of(tmp_path / "c.yaml", PUBLISHED.replace("batch_size: 64", "batch_size: 0"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"N_CHANNELS": 3}, "c.yaml: N_CHANNELS must be 9, the channels of a shard; found 3"),
        (
            {"training_loss": "dice"},
            "training_loss must be one of binary_crossentropy, weighted_cross_entropy; found dice",
        ),
    ],
)
def test_another_task_than_ours_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_flags("c.yaml", yaml.safe_load(PUBLISHED) | changes, has_mlperf=True)


def test_the_weight_of_cloud_is_the_files_where_it_says_so() -> None:
    content = yaml.safe_load(PUBLISHED)
    assert train_flags("c", content | {"wbce": 0.7}, has_mlperf=True)[0]["wbce"] == ("wbce", 0.7)
    weighted = content | {"training_loss": "weighted_cross_entropy"}
    assert train_flags("c", weighted, has_mlperf=True)[0]["wbce"] == ("training_loss", 0.5)
