"""The completed real product from zip to mask and through training, by the README's commands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from jaxmask.maskfile import read_mask
from tests.real import complete_product


def command(module: str, *arguments: object) -> str:
    """Run a stage as a user does, in a process of its own; its stdout."""
    line = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(complete_product_tool: Path, reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real product's zip, extracted, converted, masked by the original's model, and trained on."""
    folder = tmp_path_factory.mktemp("run")
    product = complete_product(complete_product_tool, tmp_path_factory, "--seed", "0", "--labels", "cloud")
    archive = shutil.make_archive(str(folder / "zips" / product.name), "zip", product.parent, product.name)
    (folder / "file_list.txt").write_text(f"{archive}\n")
    command("preprocess.extract", folder / "file_list.txt", folder / "extracted")
    command("preprocess.convert", folder / "extracted", folder / "hdf")
    command("jaxmask.infer", reference / "keras_model_A.h5", folder / "zips", folder / "masks", "--png")
    smallest = ("--features", 4, "--epochs", 1, "--global-batch-size", 8, "--train-split", 1)
    command("jaxmask.train", folder / "hdf", folder / "model", *smallest)
    command("jaxmask.infer", folder / "model", folder / "hdf", folder / "predictions")
    return folder


def test_the_shard_holds_the_product_unstretched(run: Path) -> None:
    [shard] = (run / "hdf" / "night").glob("*.hdf")  # 83 % day: not wholly
    with h5py.File(shard) as file:
        assert file["refs"].shape == (1200, 1500, 6)
        assert not file["valid"][1198:].any()
        assert file["valid"][:1198].mean() == pytest.approx(1 - 0.027, abs=0.01)  # 2.7 % is unfilled
    assert shard.stat().st_size < 70e6


def test_the_originals_model_masks_the_raw_product(run: Path) -> None:
    [path] = (run / "masks").glob("*.h5")
    mask = read_mask(path)
    assert mask.attributes["convention"] == "reference"
    assert mask.probability.shape == (1200, 1500)
    assert np.isfinite(mask.probability).all()
    [picture] = (run / "masks").glob("*.png")
    assert np.asarray(Image.open(picture)).std() > 10


def test_one_epoch_of_training_sees_every_patch(run: Path) -> None:
    [line] = (run / "model" / "history.jsonl").read_text().splitlines()
    epoch = json.loads(line)
    assert epoch["train_patches"] == 20
    assert epoch["test"] is None
    assert 0 < epoch["train"]["loss"] < 2
    split = json.loads((run / "model" / "config.json").read_text())["split"]
    assert (len(split["train"]), split["test"]) == (1, [])


def test_the_trained_model_masks_its_shard(run: Path) -> None:
    [path] = (run / "predictions").glob("*.h5")
    assert read_mask(path).attributes["convention"] == "native"
