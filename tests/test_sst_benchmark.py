"""The benchmark of match-up statistics at tiny sizes: its set, its peer, its report."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_the_set_is_judged_alike_by_the_textbook_and_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sst = importlib.import_module("sst")
    flags = [
        "--masks",
        "6",
        "--rows",
        "600",
        "--size",
        "240x320",
        "--different",
        "2",
        "--bootstrap",
        "0",
        "--rounds",
        "1",
    ]
    assert sst.main([*flags, "--scratch", str(tmp_path), "--output", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert json.loads((tmp_path / "out.json").read_text()) == report
    assert report["located"] == {"position": 6, "index": 0}
    assert set(report["eligible"]) == {"N2 day", "N3 night", "D2 day", "D3 night"}
    assert sum(report["eligible"].values()) > 300
    assert "| these three: point estimates after start-up |" in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_the_textbook_way_gives_the_originals_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sst = importlib.import_module("sst")
    sst.make_masks(tmp_path, 4, 2, (240, 320))
    sst.make_table(tmp_path / "t.h5", tmp_path, 400)
    config = sst.SstConfig(tmp_path / "t.h5", tmp_path, bootstrap=0)
    table = sst.read_table(tmp_path / "t.h5")
    (tmp_path / "t.h5").rename(tmp_path / "table.hdf")
    found = sst.judge(table, sst.sample_masks(table, sst.find_masks(tmp_path)), config.settings)
    textbook = sst.textbook(tmp_path / "table.hdf", tmp_path)
    assert {name: found["reference"][name] for name in textbook} == pytest.approx(textbook, abs=1e-9)
    frame = pd.DataFrame(pd.read_hdf(tmp_path / "table.hdf"))
    assert len(frame) == 400
    assert np.isfinite(frame.select_dtypes("number")).all(axis=None)
