"""Observers, a trace and the cache of compiled programs in a real training: they follow it and change nothing."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from jaxmask import observing
from jaxmask.compile_cache import SETTINGS, use_compile_cache
from jaxmask.config import TrainConfig
from jaxmask.observing import open_observers
from preprocess.errors import UserError
from tests.shards import make_shards
from tests.test_event_files import points
from tests.test_mlperf_log import found
from tests.trainings import assert_same_parameters, scores, train

OBSERVED = ("--mlperf", "--tensorboard", "--profile", "1")


@pytest.fixture(autouse=True)
def _no_cache_before_or_after() -> Iterator[None]:
    names = ("jax_compilation_cache_dir", *SETTINGS)
    before = {name: getattr(jax.config, name) for name in names}
    compilation_cache.reset_cache()
    yield
    compilation_cache.reset_cache()
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five products of six patches: four to train on in 3 steps, one to test on."""
    return make_shards(tmp_path_factory.mktemp("hdf"), 5)


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder of compiled programs, with what they hold."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_followed_and_interrupted_training_is_the_undisturbed_one(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, plain, cache = tmp_path / "watched", tmp_path / "plain", tmp_path / "compiled"
    assert train(shards, watched, *OBSERVED, epochs=1, compile_cache=cache) == 0
    said = capsys.readouterr().err
    assert said.startswith("on 8 x cpu in one process\ntraining 7,849 parameters: ")
    assert f"steps 3 to 3 of this run are traced in {watched / 'profile'}: " in said
    compiled = contents(cache)
    assert {name.partition("-")[0] for name in compiled} >= {"jit_train_step", "jit_eval_step"}

    assert train(shards, watched, *OBSERVED, epochs=2, compile_cache=cache) == 0
    assert train(shards, plain, epochs=2, compile_cache=cache) == 0
    # Every program of the later runs came from the cache: none was added, and none written again.
    assert contents(cache) == compiled
    assert scores(watched) == scores(plain)
    assert_same_parameters(watched, plain)

    assert found(watched / "mlperf.log", "train_samples") == [24, 24]
    assert found(watched / "mlperf.log", "eval_accuracy") == [test["accuracy"] for _, _, test in scores(plain)]
    losses = [(epoch, pytest.approx(of["loss"], rel=1e-6)) for epoch, (of, _, _) in enumerate(scores(plain), start=1)]
    assert points(watched / "tensorboard" / "train")["loss"] == losses
    assert [step for step, _ in points(watched / "tensorboard" / "steps")["step_loss"]] == [1, 2, 3, 4, 5, 6]
    assert len(list(watched.rglob("*.trace.json.gz"))) == 2
    assert not {"mlperf.log", "tensorboard", "profile"} & {path.name for path in plain.iterdir()}

    # A finished training stays as it is, and one begun anew leaves nothing of what followed the old one.
    log = (watched / "mlperf.log").read_bytes()
    assert train(shards, watched, *OBSERVED, epochs=2, compile_cache=cache) == 0
    assert (watched / "mlperf.log").read_bytes() == log
    assert train(shards, watched, "--overwrite", epochs=1, compile_cache=cache) == 0
    assert not {"mlperf.log", "tensorboard", "profile"} & {path.name for path in watched.iterdir()}


@pytest.mark.parametrize(("flag", "package"), [("mlperf", "mlperf_logging"), ("tensorboard", "tensorboardX")])
def test_a_missing_extra_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str, package: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(observing.importlib.util, "find_spec", lambda name: None if name == package else find(name))
    assert train(tmp_path / "none", tmp_path / "model", f"--{flag}") == 2
    assert capsys.readouterr().err == (
        f"jaxmask.train: error: --{flag} needs the package {package}, which isn't installed: pip install "
        f"'jaxmask[{flag}]', or leave --{flag} out\n"
    )
    assert not (tmp_path / "model").exists()


@pytest.mark.quick
def test_a_cache_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^--compile-cache: .*file/cache: the output folder can't be written \(Not a"):
        use_compile_cache(str(tmp_path / "file" / "cache"))
    assert jax.config.jax_compilation_cache_dir != str(tmp_path / "file" / "cache")


def test_without_the_flag_jax_keeps_its_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    before = jax.config.jax_compilation_cache_dir
    use_compile_cache("")
    assert jax.config.jax_compilation_cache_dir == before


def test_only_the_first_process_observes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(mlperf=True, tensorboard=True)
    names = [type(observer).__name__ for observer in open_observers(config, tmp_path, None)]
    assert names == ["MlperfLog", "EventFiles"]
    assert open_observers(TrainConfig(), tmp_path, None) == ()
    monkeypatch.setattr(observing, "is_first", lambda: False)
    assert open_observers(config, tmp_path, None) == ()
