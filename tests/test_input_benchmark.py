"""The benchmark of training's input: a tiny run tells of every cache, and waiting is counted as by hand."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxmask.data import Feed

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"


def test_every_cache_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- input: begin -->\nold\n<!-- input: end -->\nbelow\n")
    size = ["--height", "64", "--width", "96", "--patch-size", "32", "--batch", "4"]
    counts = ["--shards", "2", "--times", "2", "--rounds", "1", "--processes", "0", "--update", str(page)]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "input.py"), *size, *counts], capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["patches"] == 2 * 2 * 6
    assert list(report["waits"]) == ["none", "host", "device"]
    assert list(report["patches_per_core_second"]) == ["none", "host", "device", "none, prepared", "host, prepared"]
    for cache in ("none", "host", "device"):
        assert report["patches_per_core_second"][cache] > 0
        assert 0 <= report["waits"][cache]["128"] <= 1
    assert f"| device |  | {report['patches_per_core_second']['device']:,.0f} |" in page.read_text()
    assert "old" not in page.read_text()


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("ready_s", "step_s", "share"),
    # Ten batches. Each 40 ms, of which 10 are computed: 9 waits of 30 ms in 9 * 40 + 10. Batches in time: none waits.
    [(0.04, 0.01, 0.27 / 0.37), (0.01, 0.02, 0.0)],
)
def test_a_device_waits_for_what_its_steps_do_not_cover(
    monkeypatch: pytest.MonkeyPatch, ready_s: float, step_s: float, share: float
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    module, clock = importlib.import_module("input"), Clock()
    monkeypatch.setattr(module, "time", clock)

    def batches(epoch: int, first_step: int) -> Iterator[dict[str, np.ndarray]]:
        for _ in range(10):
            clock.sleep(ready_s)
            yield {}

    feed = Feed(10, 10, batches, lambda batch: {}, lambda epoch, step: ())
    assert module.waited_share(feed, step_s) == pytest.approx(share)
