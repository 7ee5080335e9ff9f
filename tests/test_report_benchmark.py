"""The benchmark of the report at a tiny size: its run, its figures, its table."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_a_run_is_made_and_its_page_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    bench = importlib.import_module("report")
    folder = bench.write_run(tmp_path / "run", 6, (60, 75))
    names = [path.stem for path in (folder / "hdf" / "day").iterdir()]
    assert sorted(names) == sorted(bench.name_of(number) for number in range(6))
    assert len({bench.name_of(number) for number in range(2000)}) == 2000
    assert bench.write_report(bench.ReportConfig(folder, workers=0, scenes=0)) == 0
    opened, sorted_s = bench.open_once(browser, folder / "report.html")
    assert opened > 0
    assert sorted_s > 0
    drawn = bench.draw_one(folder, 1, full=False)
    assert drawn["kb"] == (folder / "scenes" / f"{bench.name_of(0)}.json").stat().st_size / 1000


def test_the_table_adds_opening_and_sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    table = importlib.import_module("report_table")
    found = {
        "processor": "P", "when": "2026-11-23T00:00", "load": 0.5, "browser": "Chromium 1", "rounds": 3,
        "pages": [{"products": 500, "mb": 4.25, "opened_s": 0.5, "sorted_s": 0.25}],
        "drawn": {"line": {"cpu_s": 1.0, "kb": 6.0}, "scene": {"cpu_s": 2.0, "kb": 3000.0}},
    }  # fmt: skip
    assert "| 500 | 4.2 | 0.50 | 0.25 | 0.75 |" in table.text(json.loads(json.dumps(found)))
    assert table.text(None) == "**Not measured yet.**"
