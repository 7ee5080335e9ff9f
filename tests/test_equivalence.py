"""One training, whatever devices and processes share it: in float64, through the commands that users run.

Float32 parameters are not compared after many steps, as Adam makes a rounding error of a small gradient into a whole
step; float32's loss and gradient of one step are, in test_step.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxmask.checkpoint import whole_steps
from jaxmask.model import load_model
from jaxmask.unet import structure
from tests.shards import make_shards

ROOT = Path(__file__).resolve().parents[1]
FEATURES = 2
STEPS = 3 * (8 + 2)  # 3 epochs of 60 patches to train and 15 to test on, 8 a step, the last ones padded
FLAGS = (
    "--precision=float64", f"--features={FEATURES}", "--patch-size=16", "--clip-offset=2", "--global-batch-size=8",
    "--epochs=3", "--learning-rate=0.01", "--schedule=cosine", "--warmup-epochs=0.5", "--clip-norm=1", "--ema=0.9",
    "--augment",
)  # fmt: skip
QUICKLY_COMPILED = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false"
)
# 1e-9 of parameters of about 1: 24 training steps of float64's 1e-16, which Adam amplifies.
SAME = {"rtol": 0.0, "atol": 1e-9}
TIMES = ("seconds", "per_second", "share")


class Runs:
    """Trainings of one set of shards, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = make_shards(folder / "hdf", 5, 48, 80)  # 15 patches each: 60 to train on, 15 to test on
        self.cache = folder / "compiled"

    def train(self, name: str, *switches: str, processes: int = 1, devices: int = 1) -> Path:
        """Run one in `processes` of `devices` each; all but the quality of machine code is as users have it."""
        launcher = ["-m", "launch.local", f"--processes={processes}", "--", sys.executable] if processes > 1 else []
        model = self.folder / name
        command = [sys.executable, *launcher, "-m", "jaxmask.train", str(self.shards), str(model), *FLAGS, *switches]
        environ = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {QUICKLY_COMPILED}",
            "JAX_COMPILATION_CACHE_DIR": str(self.cache),
            "JAX_LOG_COMPILES": "1",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        for step in ("train_step", "eval_step"):  # 3 epochs, padded batches and turns: one compilation a process
            assert done.stderr.count(f"Compiling jit({step}) with global shapes") == processes
        return model


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("equivalence"))


@pytest.fixture(scope="module")
def alone(runs: Runs) -> Path:
    """On one device, each step in two parts; it learns, or being the same would mean little."""
    model = runs.train("alone", "--accumulate=2")
    first, *_, last = timeless_history(model)
    assert last["train"]["loss"] < 0.8 * first["train"]["loss"]
    return model


def saved(model: Path, item: str) -> list[np.ndarray]:
    """The arrays of the last checkpoint's `item`, as float64."""
    (last,) = whole_steps(model / "checkpoints")[-1:]
    assert last == STEPS
    shapes = jax.tree.map(lambda leaf: np.empty(leaf.shape, np.float64), structure(FEATURES)[1])
    with ocp.StandardCheckpointer() as reader:
        metadata = reader.metadata(model / "checkpoints" / str(last) / item).item_metadata
        assert {leaf.dtype for leaf in jax.tree.leaves(metadata.tree)} == {np.dtype(np.float64)}
        return jax.tree.leaves(reader.restore(model / "checkpoints" / str(last) / item, shapes))


def timeless_history(model: Path) -> list[Any]:
    lines = [json.loads(line) for line in (model / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith(TIMES)} for line in lines]


def assert_same(one: Path, other: Path) -> None:
    largest = 0.0
    for item in ("params", "ema"):
        for left, right in zip(saved(one, item), saved(other, item), strict=True):
            np.testing.assert_allclose(left, right, **SAME)
            largest = max(largest, float(abs(left - right).max()))
    print(f"{other.name}: parameters differ from those of {one.name} by at most {largest:.1e}")
    for left, right in zip(timeless_history(one), timeless_history(other), strict=True):
        losses = [line[part].pop("loss") for line in (left, right) for part in ("train", "test")]
        assert losses[2:] == pytest.approx(losses[:2], abs=1e-9)
        assert left == right  # every count, over all devices and processes


def test_eight_devices_train_as_one_and_twice_alike(runs: Runs, alone: Path) -> None:
    eight = runs.train("eight", devices=8)
    assert_same(alone, eight)
    again = runs.train("again", devices=8)
    assert timeless_history(again) == timeless_history(eight)
    for item in ("params", "ema"):
        for left, right in zip(saved(eight, item), saved(again, item), strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_train_as_one(runs: Runs, alone: Path, processes: int) -> None:
    assert_same(alone, runs.train(f"{processes} processes", processes=processes))


def test_a_model_in_float64_is_read_in_float32(alone: Path) -> None:
    model = load_model(alone)
    for read, kept in zip(jax.tree.leaves(model.params), saved(alone, "ema"), strict=True):
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, kept.astype(np.float32))
