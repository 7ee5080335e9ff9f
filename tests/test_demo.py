"""The demo's commands and its closing words."""

from __future__ import annotations

import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tyro

from jaxmask.demo import DemoConfig, closing_lines, results, stages
from preprocess.command import Output
from preprocess.errors import UserError


def record(mask: str, against: str, part: str = "test", **scores: Any) -> dict[str, Any]:
    return {"mask": mask, "against": against, "part": part, "stratum": "all", "count": 1000, "majority": 0.6} | scores


def test_every_stage_is_a_module_that_takes_its_flags(tmp_path: Path) -> None:
    for module, *_ in stages(DemoConfig(tmp_path)):
        help_text = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
        assert module in help_text.stdout


def test_every_stage_accepts_the_flags_that_it_is_given(tmp_path: Path) -> None:
    for name, *arguments in stages(DemoConfig(tmp_path)):
        module = importlib.import_module(name)
        (config,) = (
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Output) and value.__module__.startswith(name)
        )
        parsed = tyro.cli(config, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
        assert isinstance(parsed, config)


def test_stages_hand_on_each_others_folders(tmp_path: Path) -> None:
    lines = {command[0]: command[1:] for command in stages(DemoConfig(tmp_path, products=5, seed=7))}
    assert lines["preprocess.convert"][:2] == [f"{tmp_path}/extracted", f"{tmp_path}/hdf"]
    assert lines["jaxmask.infer"][:3] == [f"{tmp_path}/{part}" for part in ("model", "hdf", "predictions")]
    assert shlex.join(lines["preprocess.simulate"]).endswith("--products 5 --size small --seed 7")


def test_full_size_products_get_the_common_shape(tmp_path: Path) -> None:
    commands = {command[0]: command for command in stages(DemoConfig(tmp_path, size="full"))}
    assert "--shape" not in commands["preprocess.convert"]


def test_too_few_products_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--products must be 4 or more; found 3"):
        DemoConfig(tmp_path, products=3)


@pytest.mark.quick
def test_closing_lines_show_both_judgements(tmp_path: Path) -> None:
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    truth = {"mask": "truth", "algorithm": "D2", "count": 0, "coverage": 0.0, "median": None, "rsd": None}
    evaluation = {
        "records": [
            record("unet", "label", agreement=0.876),
            record("unet", "truth", accuracy=0.9),
            record("unet", "label", part="train", agreement=0.1),
        ],
        "matchups": [truth],
    }
    sst = {"statistics": [truth | {"mask": "unet", "count": 12, "median": -0.17, "rsd": 0.31}]}
    (predictions / "evaluation.json").write_text(json.dumps(evaluation))
    (predictions / "sst.json").write_text(json.dumps(sst))
    text = closing_lines(tmp_path, results(tmp_path))
    assert "0.876 (majority 0.600, 1,000 pixels)" in text
    assert "0.100" not in text
    assert "-0.170   0.310" in text
    assert str(tmp_path / "report.html") in text
