"""The benchmark runs at tiny sizes and says what it measured on; its rates are only checked for sense."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.products import write_product

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
SCRIPT = FOLDER / "gpu.py"
TINY = ["--features", "2", "--batch", "1", "--patch", "16", "--steps", "2", "--scenes", "2", "--scene-size", "24x32",
        "--runs", "3"]  # fmt: skip


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("benchmarks_gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_reports_rates_hardware_and_versions(
    gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main([*TINY, "--output", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert json.loads((tmp_path / "out.json").read_text()) == report
    assert (report["backend"], report["devices"]) == ("cpu", 8)
    assert report["versions"]["jax"]
    assert report["processor"]
    training, inference = report["results"]
    assert (training["what"], training["unit"], training["global_batch"]) == ("training step", "patches/s", 8)
    assert (inference["what"], inference["unit"], inference["rows"]) == ("whole-scene inference", "scenes/s", 24)
    for result in report["results"]:
        assert result["runs"] == 3
        assert 0 < result["slowest"] <= result["median"] <= result["fastest"]
    assert "patches/s" in printed.err


WITHOUT = """
import sys
for name in ("grain", "netCDF4", "tyro", "orbax", "matplotlib"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
import runpy
runpy.run_path(sys.argv[0])
"""


def test_it_needs_neither_files_nor_flags_libraries() -> None:
    # Machines lent for their GPU often have jax, flax and optax alone.
    command = [sys.executable, "-c", WITHOUT, str(SCRIPT)]
    done = subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


def test_rates_are_items_over_seconds(gpu: ModuleType) -> None:
    """10 items in 1, 2 and 4 s: 10, 5 and 2.5 a second, exact in binary."""
    found = gpu.summary("x", "items/s", 10, [1.0, 2.0, 4.0], 0.5)
    assert (found["median"], found["slowest"], found["fastest"], found["first_call_s"]) == (5.0, 2.5, 10.0, 0.5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--steps", "0"], "--steps must be 1 or more; found 0"),
        (["--scene-size", "1200"], "--scene-size: invalid size value: '1200'"),
        (["--scene-size", "0x8"], "--scene-size: invalid size value: '0x8'"),
    ],
)
def test_impossible_sizes_are_refused(
    gpu: ModuleType, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        gpu.main(flags)
    assert message in capsys.readouterr().err


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
