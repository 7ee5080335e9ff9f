"""Benchmarks of one product at tiny sizes: they say what they measured on; times are only checked for sense."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.products import write_product

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def test_stages_are_timed_in_order(tmp_path: Path) -> None:
    product = write_product(tmp_path)
    command = [sys.executable, str(FOLDER / "stages.py"), str(product), "--runs", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report["stages"]) == [
        "read product",
        "product to native shard",
        "read native shard",
        "product to reference shard",
        "read reference shard",
    ]
    for found in report["stages"].values():
        assert 0 < found["fastest_s"] <= found["median_s"] <= found["slowest_s"]
    assert done.stderr.count(" s\n") == 5


def test_patches_of_a_products_shard_are_timed(tmp_path: Path) -> None:
    product = write_product(tmp_path)
    flags = ["--runs", "2", "--patches", "5", "--patch-size", "2", "--rads", "--scratch", str(tmp_path)]
    command = [sys.executable, str(FOLDER / "patches.py"), str(product), *flags, "--output", str(tmp_path / "x.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert json.loads((tmp_path / "x.json").read_text()) == report
    assert report["processor"]
    # 4 x 6 pixels hold 2 x 3 patches of 2.
    assert list(report["times"]) == ["fsync", "write", "read whole", "6 patches", "6 patches, plain h5py"]
    assert 0 < sum(report["dataset_bytes"].values()) < report["shard_bytes"]
    assert report["dataset_bytes"]["rads"] > 0
    one = report["one_patch"]
    assert 0 < one["median_s"] <= one["p95_s"] <= one["slowest_s"]
    assert not list(tmp_path.glob("tmp*"))
    assert "95 of 100 within" in done.stderr
