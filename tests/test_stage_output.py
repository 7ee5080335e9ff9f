"""What stages print into pipes: JSON alone, nothing when quiet, no escape byte, no carriage return."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from jaxmask.stages import stage_named
from preprocess.command import run
from tests.products import write_product, zip_product
from tests.run_folder import write_run

# What each is asked for in a run's folder. Stages that train, infer or draw have tests of their own, and print by the
# same functions.
ASKED = {
    "simulate": ["new", "--products", "1", "--workers", "0"],
    "extract": ["zips", "extracted", "--workers", "0"],
    "convert": ["zips", "converted", "--workers", "0", "--shape", "native"],
    "describe": ["hdf"],
    "evaluate": ["hdf", "predictions", "--part", "all", "--workers", "0"],
    "completion": ["bash"],
}
PRINTS_ITS_RESULT = {"completion"}  # quiet or not


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("run")
    write_run(made)
    zip_product(write_product(made / "products"), made / "zips" / "one.zip")
    return made


@pytest.mark.parametrize("stage", ASKED)
def test_a_stage_prints_for_pipes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stage: str
) -> None:
    monkeypatch.chdir(folder)
    known = stage_named(stage)
    assert known is not None
    config = known.flags()
    main = import_module(known.module).main
    told = {}
    for flag in ([], ["--quiet"], ["--json"], ["--json", "--quiet"]):
        assert run(known.module, config, main, [*ASKED[stage], *flag]) == 0
        captured = capsys.readouterr()
        told[" ".join(flag)] = captured
        assert not {"\x1b", "\r"} & set(captured.out + captured.err)
    assert told[""].out + told[""].err
    assert all("warning: " in line or ": S" in line for line in told["--quiet"].err.splitlines())
    assert (told["--quiet"].out == "") == (stage not in PRINTS_ITS_RESULT)
    for flags in ("--json", "--json --quiet"):
        assert told[flags].out.count("\n") == 1
        assert isinstance(json.loads(told[flags].out), dict)
