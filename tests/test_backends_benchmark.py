"""The benchmark of backends: its differences by hand, its table, and that it runs at a tiny size."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from jaxmask.keras_weights import write_keras_model
from tests.shards import make_shards
from tests.test_infer import small_model

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("backends")


def test_differences_are_the_largest_of_all_scenes_and_counts_their_sum(backends: ModuleType) -> None:
    def network(values: list[float]) -> Any:
        return lambda scene: np.array([[values]], np.float32) * scene[..., 0]

    scene = np.ones((1, 1, 4, 9), np.float32)
    found = backends.differences(
        {backends.REFERENCE: network([0.0, 1.0, -0.1, 9.0]), "other": network([0.0, 1.5, 0.1, 0.0])},
        iter([(scene, np.array([[True, True, True, False]])), (0.5 * scene, np.array([[True, True, False, False]]))]),
    )
    assert found["other"] == pytest.approx(
        {"logit": 0.5, "q": 1 / (1 + np.exp(-1.5)) - 1 / (1 + np.exp(-1)), "changed": 1, "pixels": 5, "scenes": 2}
    )
    assert found[backends.REFERENCE]["logit"] == found[backends.REFERENCE]["changed"] == 0


def test_all_ways_are_timed_by_turns(
    backends: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "in_fresh_process", lambda *arguments, **settings: 123.4)
    write_keras_model(tmp_path / "model.h5", 2, small_model().params)
    shards = make_shards(tmp_path / "hdf", 1, 16, 20)
    flags = ["--model", str(tmp_path / "model.h5"), "--shards", str(shards), "--scene", "16x24", "--rounds", "1"]
    assert backends.main([*flags, "--output", str(tmp_path / "out.json")]) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert json.loads((tmp_path / "out.json").read_text()) == report
    rows = {(row["backend"], row["precision"]): row for row in report["results"]}
    assert list(rows) == list(backends.WAYS)
    assert report["model"] == {"digest": report["model"]["digest"], "features": 2, "trained": True}
    for row in rows.values():
        assert (row["pixels"], row["scenes"], row["peak_mb"]) == (320, 1, 123.4)
        assert min(row["median_s"], row["first_s"]) > 0
    assert rows["openvino", "float32"]["logit"] < 1e-4 < rows["jax", "bfloat16"]["logit"]
    assert "| openvino | bfloat16 |" in told.err
    assert "differences over 320 pixels of 1 scenes, trained parameters" in told.err


def test_a_model_needs_its_shards(backends: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        backends.parse(["--model", "model"])
    assert "--model and --shards go together" in capsys.readouterr().err
