"""Training's scale on paper against hand-worked numbers and a ring played through; its harness at a tiny size."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
CONVERSION = {"shard_mb": {"native": 50.0}, "stages": {"write the shard, fsync included": {"median_s": 0.1}}}


def script(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A script of benchmarks/ as a module; it imports its neighbours as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)


def ring_seconds(count: int, size: float, latency: float, rate: float) -> float:
    """Play a ring through: all send a share at once, until each holds the sum of all shares."""
    held = np.eye(count, dtype=bool)[:, None, :].repeat(count, axis=1)  # [who, share] -> whose numbers are summed in it
    seconds = 0.0
    for phase in (0, 1):
        for turn in range(count - 1):
            before = held.copy()
            for who in range(count):
                share = (who - turn + phase) % count
                held[(who + 1) % count, share] |= before[who, share]
            seconds += latency + size / count / rate
    assert held.all()
    return seconds


@pytest.mark.quick
def test_an_exchange_is_rings_within_and_between_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = script(monkeypatch, "training_scale")
    network = scale.Network("a net", 80e9)
    size = scale.gradient_bytes()
    assert size == 4 * 1_948_609
    assert scale.exchange_s(1, network) == 0.0
    assert scale.exchange_s(4, network) == pytest.approx(8.4e-6 + ring_seconds(4, size, 3.4e-6, 450e9))
    # Three nodes: a ring of 8 within each, and eight rings of 3 at once, each of an eighth over an eighth of the net.
    within, between = ring_seconds(8, size, 3.4e-6, 450e9), ring_seconds(3, size / 8, 14e-6, 10e9)
    assert scale.exchange_s(24, network) == pytest.approx(2 * 8.4e-6 + within + between)


@pytest.mark.quick
def test_an_epoch_is_steps_of_computing_and_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 1,000 patches/s: 15,520 patches are 485 steps of 32 ms, 3,900 to test are 122 steps of a third of that."""
    scale = script(monkeypatch, "training_scale")
    assert (scale.TRAINED, scale.TESTED, scale.PATCH_BYTES) == (15_520, 3_900, 1_310_720)
    network = scale.NETWORKS[0]
    one = scale.epoch(1, 1000.0, network, write_s=1.0)
    copied = 3 * 4 * 1_948_609 / 64e9
    assert one.ideal_s == pytest.approx(15.52 + 1.3)
    assert one.padding_s == pytest.approx((122 * 32 - 3900) / 3000)
    assert one.seconds == pytest.approx(15.52 + 122 * 0.032 / 3 + copied)
    assert (one.steps, one.limit) == (485, "computing")
    # 512: one step to train and one to test, 43 ms, of the second that the checkpoint is written in.
    most = scale.epoch(512, 1000.0, network, write_s=1.0)
    assert most.steps == 1
    assert most.seconds == pytest.approx(1.0)
    assert (most.limit, most.efficiency < 0.04) == ("checkpoint each epoch", True)
    assert scale.epoch(512, 1000.0, network, write_s=0.0).limit == "too few patches"
    assert scale.epoch(128, 1e6, network, write_s=0.0).limit == "exchange"
    # 23.4 MB at 50 MB in 0.1 s
    assert scale.write_seconds(CONVERSION) == pytest.approx(0.0468, rel=1e-3)


def test_tables_say_what_is_assumed_and_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = script(monkeypatch, "training_scale")
    nothing = {"gpu": None, "input": None, "training_scaling": None, "conversion": CONVERSION}
    text = scale.text(nothing)
    assert "2,500 (**an assumption" in text
    assert text.count("not measured") == 3  # cores of two caches, and the harness
    gpu = {
        "pieces": {"train, bfloat16, batch 32": {"contenders": {"jax": {"rate": 3000.0}}}},
        "frameworks": {"jax": {"device": "a chip"}},
        "when": "2026-12-01T00:00:00",
    }
    cores = {"patches_per_core_second": {"host, prepared": 1500.0, "none": 30.0}}
    row = {"processes": 1, "patches_per_second": 2.0, "efficiency": 1.0, "of_the_cores": 1.0, "exchange_s": 0.005}
    sizes = {"features": 32, "patch_size": 256, "batch": 2}
    local = {"processor": "P", "when": "2026-12-01", "cores": 2, "load": 0.1, "sizes": sizes, "rows": [row]}
    told = scale.text({"gpu": gpu, "input": cores, "training_scaling": local, "conversion": CONVERSION})
    assert "3,000 (measured: a chip, 2026-12-01)" in told
    assert "| host | 20 GB over all hosts | 2.0 | 3.9 GB/s to each GPU, of PCIe's 64 |" in told
    assert "| none | none | 100.0 | 7.5 GB/s from the disk for each GPU: 3.8 TB/s for 512 |" in told
    assert "| 1 | 2 | 100% | 100% | 5.0 |" in told
    assert "a step of 32 patches takes 16 s" in told


@pytest.mark.quick
def test_efficiency_counts_processes_or_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """On two cores: 10 patches/s alone, 16 in two, 18 in four that share them."""
    scaling = script(monkeypatch, "scaling")
    each = {
        count: {"rates": [rate, rate], "exchange_s": [0.1, 0.2, 0.3]} for count, rate in ((1, 10), (2, 16), (4, 18))
    }
    rows = scaling.rows(each, cores=2)
    assert [row["efficiency"] for row in rows] == [1.0, 0.8, 0.45]
    assert [row["of_the_cores"] for row in rows] == [1.0, 0.8, 0.9]
    assert (rows[0]["exchange_s"], rows[0]["fastest_exchange_s"]) == (0.2, 0.1)


def test_the_harness_trains_and_exchanges_by_the_launcher(tmp_path: Path) -> None:
    flags = ["--processes", "1", "--products", "1", "--batch", "2", "--epochs", "2", "--rounds", "1", "--features", "2"]
    flags += ["--patch-size", "16", "--scratch", str(tmp_path), "--output", str(tmp_path / "out.json")]
    command = [sys.executable, str(FOLDER / "scaling.py"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert json.loads(done.stdout) == report
    (row,) = report["rows"]
    assert row["processes"] == 1
    assert 0 < row["slowest"] <= row["patches_per_second"] <= row["fastest"]
    assert row["exchange_s"] > 0
    assert "1 processes" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epochs", "1"], "--epochs must be 2 or more, as the first doesn't count; found 1"),
        (["--batch", "0"], "--batch must be 1 or more; found 0"),
        (["--processes", "2", "2"], "--processes must be different counts of 1 or more; found"),
    ],
)
def test_impossible_sizes_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        script(monkeypatch, "scaling").parse(flags)
    assert message in capsys.readouterr().err
