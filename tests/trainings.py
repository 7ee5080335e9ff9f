"""Trainings for tests: how they are run in this process and in others, and what they leave."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmask.checkpoint import restore_params
from jaxmask.train import TrainCommand, main
from jaxmask.unet import structure
from preprocess.command import run

ROOT = Path(__file__).resolve().parents[1]
BATCH = 8  # over the 8 simulated devices
FLAGS = {
    "features": 2,
    "patch-size": 32,
    "clip-offset": 4,
    "global-batch-size": BATCH,
    "learning-rate": 0.01,
    "epochs": 2,
}


def arguments(shards: Path, model: Path, *switches: str, **flags: object) -> list[str]:
    """The command line of a small training; `flags` by their names with underscores, None takes one away."""
    named = FLAGS | {name.replace("_", "-"): value for name, value in flags.items()}
    pairs = [text for name, value in named.items() if value is not None for text in (f"--{name}", str(value))]
    return [str(shards), str(model), *pairs, *switches]


def train(shards: Path, model: Path, *switches: str, **flags: object) -> int:
    """Train in this process; returns the exit code."""
    return run("jaxmask.train", TrainCommand, main, arguments(shards, model, *switches, **flags))


def command(shards: Path, model: Path, *switches: str, **flags: object) -> list[str]:
    """The words that train in another process."""
    return [sys.executable, "-m", "jaxmask.train", *arguments(shards, model, *switches, **flags)]


def one_device() -> dict[str, str]:
    """The environment of such a process: one CPU device."""
    return os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}


def history(model: Path) -> list[dict[str, Any]]:
    """The lines of history.jsonl."""
    return [json.loads(line) for line in (model / "history.jsonl").read_text().splitlines()]


def scores(model: Path) -> list[tuple[Any, ...]]:
    """The history without its times."""
    return [tuple(line.get(part) for part in ("train", "validation", "test")) for line in history(model)]


def parameters(model: Path, features: int = 2) -> list[np.ndarray]:
    """The leaves of the latest parameters."""
    return jax.tree.leaves(restore_params(model / "checkpoints", structure(features)[1]))


def assert_same_parameters(one: Path, other: Path) -> None:
    """Bit for bit."""
    for left, right in zip(parameters(one), parameters(other), strict=True):
        np.testing.assert_array_equal(left, right)
