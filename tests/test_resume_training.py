"""A training that is stopped, killed, or loses its disk or another process, and is then run again: the same bits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

import jaxmask.course
from jaxmask.checkpoint import best_step, restore_params, whole_steps
from jaxmask.stopping import wish
from jaxmask.unet import structure
from tests.shards import make_shards
from tests.trainings import ROOT, arguments, assert_same_parameters, scores, train

# Seven products of six patches: three to train on in 3 steps, two to validate and two to test on in 2 steps each.
SPLIT = {"train_split": 0.75, "validation_split": 0.25, "epochs": 3}
STEPS = 3 + 2 + 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where compiled programs are kept, for this process and those it starts."""
    folder = tmp_path_factory.mktemp("compiled")
    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield folder
    jax.config.update("jax_compilation_cache_dir", before[0])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before[1])


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("hdf"), 7)


@pytest.fixture(scope="module")
def straight(cache: Path, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained without a break."""
    model = tmp_path_factory.mktemp("models") / "straight"
    assert train(shards, model, "--augment", ema=0.5, **SPLIT) == 0
    return model


def environment(cache: Path) -> dict[str, str]:
    """Of another process with the same devices, that finds the same compiled programs."""
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(ROOT),
    }


def assert_same(model: Path, straight: Path) -> None:
    """The same history, parameters and best checkpoint, and nothing left over."""
    assert scores(model) == scores(straight)
    assert_same_parameters(model, straight)
    steps = [(whole_steps(folder), best_step(folder)) for folder in (model / "checkpoints", straight / "checkpoints")]
    assert steps[0] == steps[1]
    assert not [path for path in model.rglob("*") if ".partial-" in path.name or "tmp" in path.name]


@pytest.mark.parametrize(
    ("vote", "number", "saved_at"),
    [
        (1, signal.SIGTERM, 2),  # the first step's: heard after the second, in training
        (4, signal.SIGUSR1, 5),  # validation's first of two: heard at its end
        (STEPS + 6, signal.SIGTERM, 2 * STEPS),  # the second test's first of two: heard at the epoch's end
    ],
)
def test_a_signal_saves_where_the_training_is(
    shards: Path, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    vote: int, number: signal.Signals, saved_at: int,
) -> None:  # fmt: skip
    votes = iter(range(1, 1000))

    def signalled(*given: object) -> int:
        if next(votes) == vote:
            os.kill(os.getpid(), number)
        return wish(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(jaxmask.course, "wish", signalled)
    assert train(shards, tmp_path, "--augment", ema=0.5, **SPLIT) == 75
    assert whole_steps(tmp_path / "checkpoints")[-1] == saved_at
    assert "stopped on request" in capsys.readouterr().err
    assert not (tmp_path / "results.csv").exists()
    assert train(shards, tmp_path, "--augment", ema=0.5, **SPLIT) == 0
    assert "going on after epoch" in capsys.readouterr().err
    assert_same(tmp_path, straight)


def test_early_stopping_ends_at_the_same_epoch_after_a_break(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # No float32 parameter changes at this step size: the first epoch stays the lowest.
    flags = SPLIT | {"epochs": 9, "early_stopping": 3, "learning_rate": 1e-30}
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    told = "4 epochs, {} of them from before, stopped early: 3 without a lower validation loss than epoch 1's"
    assert train(shards, straight, **flags) == 0
    assert told.format(0) in capsys.readouterr().err
    assert train(shards, broken, **flags | {"epochs": 2}) == 0
    assert "stopped early" not in capsys.readouterr().err
    assert train(shards, broken, **flags) == 0
    assert_same(broken, straight)
    written = (broken / "history.jsonl").read_bytes()
    assert train(shards, broken, "--json", **flags) == 0  # nothing more
    assert json.loads(capsys.readouterr().out)["stopped_early"]
    assert (broken / "history.jsonl").read_bytes() == written


def test_saves_within_epochs_change_nothing(shards: Path, straight: Path, tmp_path: Path) -> None:
    assert train(shards, tmp_path, "--augment", ema=0.5, save_every_minutes=1e-9, **SPLIT) == 0
    assert_same(tmp_path, straight)


def test_a_checkpoint_of_the_first_versions_is_gone_on_with(cache: Path, shards: Path, tmp_path: Path) -> None:
    """They were numbered by steps of training alone, had another position, and no validation in history or record."""
    new, old = tmp_path / "new", tmp_path / "old"
    assert train(shards, new, epochs=1) == 0
    shutil.copytree(new, old)
    checkpoints, (number,) = old / "checkpoints", whole_steps(old / "checkpoints")
    (checkpoints / str(number)).rename(checkpoints / "4")
    (checkpoints / "4" / "position" / "metadata").write_text('{"epoch": 1, "batch": 0}')
    for name, nested in (("history.jsonl", ()), ("config.json", ("split",))):
        found = json.loads((old / name).read_text())
        for inner in (found, *(found[key] for key in nested)):
            for key in [key for key in inner if key.startswith("validation")]:
                del inner[key]
        (old / name).write_text(json.dumps(found))
    for model in (new, old):
        assert train(shards, model, epochs=2) == 0
    assert_same_parameters(new, old)
    assert scores(new)[1] == scores(old)[1]


def test_a_position_that_the_shards_do_not_have_is_refused(
    shards: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(straight, model)
    found = model / "checkpoints" / str(whole_steps(model / "checkpoints")[-1]) / "position" / "metadata"
    position = json.loads(found.read_text())
    for change, message in (
        ({"step": 3}, "saved at step 3 of its train part, which now has 3: the shards have changed"),
        ({"part": "dev"}, "expected the position of a training, found otherwise (no part of an epoch: dev"),
    ):
        found.write_text(json.dumps(position | change))
        assert train(shards, model, "--augment", ema=0.5, **SPLIT) == 2
        assert message in capsys.readouterr().err


# Runs the command with one function replaced: at its n-th call the process is killed, before or in the midst of it, or
# finds that files can't grow any more.
DISTURBED = """
import os, resource, shutil, signal, sys
from pathlib import Path

from jaxmask import course, train
from preprocess.command import run

what, count, *argv = sys.argv[1:]
left = [int(count)]

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def fill_disk():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

def at(function, disturb, counts=lambda *args: True):
    def disturbed(*args, **flags):
        if counts(*args):
            left[0] -= 1
            if left[0] == 0:
                disturb(*args)
        return function(*args, **flags)
    return disturbed

def half_removed(folder, *args):
    for path in sorted(Path(folder).rglob("*"))[::2]:
        if path.is_file():
            path.unlink()
    kill()

def of_checkpoint(path, *args):
    return Path(str(args[0] if args and isinstance(args[0], (str, os.PathLike)) else path)).name.isdecimal()

if what == "step":
    course.wish = at(course.wish, lambda *args: kill())
elif what == "full":
    course.wish = at(course.wish, lambda *args: fill_disk())
elif what == "history":
    course.to_json = at(course.to_json, lambda *args: kill())  # the history is written, its checkpoint isn't
elif what == "rename":
    os.rename = at(os.rename, lambda *args: kill(), of_checkpoint)
    os.replace = at(os.replace, lambda *args: kill(), of_checkpoint)
elif what == "remove":
    shutil.rmtree = at(shutil.rmtree, half_removed, of_checkpoint)
sys.exit(run("jaxmask.train", train.TrainCommand, train.main, argv))
"""


def test_killed_anywhere_it_ends_as_if_it_had_not_been(
    cache: Path, shards: Path, straight: Path, tmp_path: Path
) -> None:
    """Killed in a step, in a save, between history and save, in the removal of a save; and with a full disk."""
    flags = {"ema": 0.5, "save_every_minutes": 1e-9, **SPLIT}
    saved = []
    for what, count, code in (
        ("step", 6, -signal.SIGKILL),
        ("rename", 2, -signal.SIGKILL),
        ("history", 2, -signal.SIGKILL),
        ("remove", 3, -signal.SIGKILL),
        ("full", 2, 2),
    ):
        words = [what, str(count), *arguments(shards, tmp_path, "--augment", **flags)]
        done = subprocess.run(
            [sys.executable, "-c", DISTURBED, *words],
            cwd=ROOT, env=environment(cache), capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, (what, done.stderr)
        saved.append(whole_steps(tmp_path / "checkpoints")[-1])
        restore_params(tmp_path / "checkpoints", structure(2)[1])  # the latest is whole
    assert saved == sorted(saved)
    assert "could not be written" in done.stderr
    assert "the one before it is whole: make room" in done.stderr
    assert train(shards, tmp_path, "--augment", **flags) == 0  # type: ignore[arg-type]
    assert_same(tmp_path, straight)
