"""Commands killed half-way (SIGKILL, nothing can be tidied up) and run again: only whole files, and none left over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from preprocess import convert, extract, simulate
from preprocess.command import run
from preprocess.shard import validate
from tests.products import NAME, write_product, zip_product
from tests.simulated import random_scene

ROOT = Path(__file__).resolve().parents[1]
OTHER_NAME = NAME.replace("T102338", "T112338")

# Dies where the second output, whose name ends so, is complete but for its name.
KILLED = """
import os, signal, sys
from preprocess import convert, extract, simulate
from tests.simulated import random_scene

simulate.simulate_scene = lambda geometry, *rest: random_scene(geometry.plan)
stage, ending, *argv = sys.argv[1:]
rename, seen = os.replace, []

def replace(source, target):
    if str(target).endswith(ending):
        seen.append(target)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)

os.replace = replace
module = {"extract": extract, "convert": convert, "simulate": simulate}[stage]
config = {"extract": "ExtractConfig", "convert": "ConvertConfig", "simulate": "SimulateConfig"}[stage]
from preprocess.command import run
run(stage, getattr(module, config), module.main, argv)
"""


def check_extracted(output: Path) -> None:
    for folder in output.glob("*.SEN3"):
        assert len(list(folder.iterdir())) == len(list((output.parent / "products" / folder.name).iterdir()))
        for file in folder.iterdir():
            assert file.read_bytes() == (output.parent / "products" / folder.name / file.name).read_bytes()


def check_converted(output: Path) -> None:
    for shard in output.glob("*/[!.]*.hdf"):
        validate(shard)


def check_simulated(output: Path) -> None:
    for path in output.glob("[!.]*.zip"):
        with zipfile.ZipFile(path) as opened:
            assert opened.testzip() is None
            assert f"{path.stem}.SEN3/xfdumanifest.xml" in opened.namelist()


@dataclass(frozen=True)
class Stage:
    """One command: its module and config, how its outputs' names end, its arguments, and what holds of every output."""

    module: ModuleType
    config: type[Any]
    ending: str
    argv: tuple[str, ...]
    check: Callable[[Path], None]


STAGES = {
    "extract": Stage(extract, extract.ExtractConfig, ".SEN3", ("{inputs}/zips", "{inputs}/out"), check_extracted),
    "convert": Stage(
        convert,
        convert.ConvertConfig,
        ".hdf",
        ("{inputs}/products", "{inputs}/out", "--shape", "8x10"),
        check_converted,
    ),
    "simulate": Stage(simulate, simulate.SimulateConfig, ".zip", ("{inputs}/out", "--products", "2"), check_simulated),
}


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (NAME, OTHER_NAME):
        zip_product(write_product(tmp_path / "products", name=name), tmp_path / "zips" / f"{name}.zip")
    monkeypatch.setattr(simulate, "simulate_scene", lambda geometry, *_: random_scene(geometry.plan))
    return tmp_path


def arguments(stage: str, inputs: Path) -> list[str]:
    paths = (text.format(inputs=inputs) for text in STAGES[stage].argv)
    return [*paths, "--workers", "0", "--json"]


def partials(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def outputs(stage: str, folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(f"[!.]*{STAGES[stage].ending}"))


def test_a_killed_run_leaves_whole_outputs_and_the_next_one_goes_on(
    stage: str, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = STAGES[stage]
    argv = arguments(stage, inputs)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, stage, told.ending, *argv],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    first = outputs(stage, inputs / "out")
    assert len(first) == 1
    assert partials(inputs / "out")
    told.check(inputs / "out")
    assert run(stage, told.config, told.module.main, argv) == 0
    assert json.loads(capsys.readouterr().out)["reused"] == 1
    assert len(outputs(stage, inputs / "out")) == 2
    assert not partials(inputs / "out")
    told.check(inputs / "out")


def test_what_a_worker_that_died_left_is_gone_when_the_command_ends(
    stage: str, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = STAGES[stage]
    whole = told.module.map_items

    def map_items(*args: Any, **flags: Any) -> Iterator[Any]:
        yield from whole(*args, **flags)
        for folder in ([inputs / "out", inputs / "out" / "truth"], [inputs / "out" / "day"])[stage == "convert"]:
            if folder.is_dir():
                (folder / f".x{told.ending}.partial-{socket.gethostname()}-0123abcd").mkdir()

    monkeypatch.setattr(told.module, "map_items", map_items)
    assert run(stage, told.config, told.module.main, arguments(stage, inputs)) == 0
    assert not partials(inputs / "out")
