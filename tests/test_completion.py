"""Completion of `jaxmask` in shells: each shell reads the script and is asked what it would offer."""

from __future__ import annotations

import ast
import inspect
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from jaxmask.completion import SCRIPTS, CompletionConfig, main
from jaxmask.flag_table import stage_flags
from jaxmask.infer_config import InferConfig
from jaxmask.stages import STAGES, Stage, no_such_stage, stage_map, stage_named
from preprocess.command import run

NAMES = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("scripts")

    def written(shell: str) -> Path:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        path = folder / f"jaxmask.{shell}"
        path.write_text(SCRIPTS[shell]({stage: stage_flags(stage) for stage in STAGES}))
        return path

    return written


def ask(argv: list[str], folder: Path) -> list[str]:
    environment = {name: os.environ[name] for name in ("PATH",)} | {"HOME": str(folder), "TERM": "dumb"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def in_bash(script: Path, folder: Path, *words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    asked = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jaxmask; printf "%s\\n" "${COMPREPLY[@]}"'
    return ask(["bash", "--norc", "-c", f"complete -p jaxmask >/dev/null 2>&1; {asked}", str(script), *words], folder)


OFFERED = [
    (["tra"], ["train"]),
    (["--v"], ["--version"]),
    (["train", "--learn"], ["--learning-rate"]),
    (["train", "--schedule", ""], ["constant", "cosine"]),
    (["train", "--schedule", "co"], ["constant", "cosine"]),
    (["train", "hdf", "--epochs", ""], [""]),
    (["infer", "model", "h"], ["hdf", "holiday.txt"]),
    (["infer", "--tiling", "ref"], ["reference"]),
    (["describe", "--png", "ho"], ["holiday.txt"]),
    (["completion", "f"], ["fish"]),
    (["nonsense", "--x"], [""]),
]


@pytest.mark.parametrize(("words", "offered"), OFFERED)
def test_bash_offers(script: Callable[[str], Path], tmp_path: Path, words: list[str], offered: list[str]) -> None:
    path = script("bash")
    (tmp_path / "hdf").mkdir()
    (tmp_path / "holiday.txt").touch()
    assert sorted(in_bash(path, tmp_path, "jaxmask", *words)) == offered


def test_bash_offers_every_stage_and_every_flag(script: Callable[[str], Path], tmp_path: Path) -> None:
    path = script("bash")
    assert in_bash(path, tmp_path, "jaxmask", "") == [*NAMES, "--help", "--version"]
    for stage in STAGES[:2]:
        wanted = [flag.name for flag in stage_flags(stage) if not flag.positional]
        assert in_bash(path, tmp_path, "jaxmask", stage.name, "--") == [*wanted, "--help"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_read_its_script(script: Callable[[str], Path], tmp_path: Path, shell: str) -> None:
    assert ask([shell, "-n", str(script(shell))], tmp_path) == []


def test_zsh_takes_the_script_as_a_completion(script: Callable[[str], Path], tmp_path: Path) -> None:
    asked = f"autoload -U compinit && compinit -u -d {tmp_path}/dump; source {script('zsh')}; print $_comps[jaxmask]"
    assert ask(["zsh", "-f", "-c", asked], tmp_path) == ["_jaxmask"]


def test_fish_offers(script: Callable[[str], Path], tmp_path: Path) -> None:
    asked = "; ".join(
        f"complete -C 'jaxmask {words}'"
        for words in ("tra", "train --learn", "train --schedule co", "completion f", "infer --tiling ref")
    )
    offered = ask(["fish", "--no-config", "-c", f"source {script('fish')}; {asked}"], tmp_path)
    found = [line.split("\t")[0] for line in offered]
    assert found == ["train", "--learning-rate", "constant", "cosine", "fish", "reference"]


@pytest.mark.quick
def test_flags_are_those_of_the_dataclass() -> None:
    stage = stage_named("infer")
    assert stage is not None
    flags = {flag.name: flag for flag in stage_flags(stage)}
    assert [name for name, flag in flags.items() if flag.positional] == ["model", "scenes", "predictions"]
    assert {name.lstrip("-").replace("-", "_") for name in flags} == set(InferConfig.__dataclass_fields__)
    assert flags["--netcdf"].switch
    assert flags["--backend"].choices == ("jax", "openvino")
    assert not flags["--threshold"].switch
    assert not flags["--threshold"].path
    assert flags["--quiet"].purpose == "Print nothing but warnings and errors"


def test_the_command_prints_the_script_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("x", CompletionConfig, main, ["bash", "--quiet"]) == 0
    script = capsys.readouterr()
    assert script.out.endswith("complete -F _jaxmask jaxmask\n")
    assert script.err == ""
    assert run("x", CompletionConfig, main, ["bash", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"shell": "bash", "script": script.out}


@pytest.mark.quick
def test_the_map_shows_every_stage_in_a_terminal() -> None:
    lines = stage_map().splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    for stage in STAGES:
        assert sum(stage.purpose in line for line in lines) == 1
        assert any(stage.name in line.split("  ")[0:2] or f" {stage.name} " in line for line in lines)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_runs_with_the_flags_that_it_is_said_to_have(stage: Stage) -> None:
    """Its module hands that class to `run`: run("MODULE", Config, main, ...)."""
    tree = ast.parse(inspect.getsource(import_module(stage.module)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "run"]
    handed = [[ast.unparse(word) for word in call.args[:2]] for call in calls]
    assert [repr(stage.module), stage.flags().__name__] in handed


def test_a_mistyped_stage_is_told_the_nearest() -> None:
    assert no_such_stage("trian") == (
        "there is no stage 'trian'; did you mean train? jaxmask alone shows what they are for"
    )
    assert no_such_stage("Convert").startswith("there is no stage 'Convert'; did you mean convert?")
    assert "there are simulate, extract," in no_such_stage("xyz")
