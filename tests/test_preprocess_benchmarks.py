"""The benchmarks of preprocessing: the peer's numbers are ours and the original's, arithmetic by hand, tiny runs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from preprocess.compose import make_scene
from preprocess.product import read_product
from preprocess.simulation.product import write_folder
from tests.products import write_product
from tests.real import complete_product
from tests.simulated import random_scene, small_plan

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"


def script(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A script of benchmarks/ as a module; it imports its neighbours as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)


def run(name: str, *flags: str) -> tuple[dict[str, Any], str]:
    """The JSON and the table that a script prints."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


# Float32 of radiances below 60 and temperatures below 310 K; labels as `reference` rounds them, up.
@pytest.mark.parametrize("bands", [False, True])
def test_the_peer_is_the_reference_convention(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bands: bool) -> None:
    product = write_folder(random_scene(small_plan(0)), tmp_path)
    path = script(monkeypatch, "peer").convert(product, tmp_path / "out", bands=bands)
    ours = make_scene(read_product(product), convention="reference", rads=True)
    assert path.parent.name == ("day" if ours.info.day else "night")
    with h5py.File(path) as file:
        assert {name: (file[name].shape, file[name].dtype) for name in file} == {
            name: ((1200, 1500, depth), np.float64)
            for name, depth in (("bts", 3), ("rads", 6), ("refs", 6), ("bayes", 1), ("summary", 1))
        }
        np.testing.assert_allclose(file["refs"], ours.refs, atol=1e-6, rtol=1e-6)
        np.testing.assert_allclose(file["rads"], ours.rads, atol=1e-5, rtol=1e-6)  # type: ignore[arg-type]
        np.testing.assert_allclose(file["bts"], ours.bts, atol=1e-4, rtol=0)
        for name in ("bayes", "summary"):
            grey = file[name][...]
            # What is 0 but for rounding may be clear to one and the least grey to the other.
            differ = np.abs(getattr(ours, name) - np.ceil(grey)) > 1e-6
            assert (np.abs(grey[differ] - np.rint(grey[differ])) < 1e-4).all()


def test_the_peer_gives_the_originals_numbers(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    complete_product_tool: Path,
    reference: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The original's own windows of the completed product: it is timed for doing the same."""
    product = complete_product(complete_product_tool, tmp_path_factory, "--seed", "0", "--labels", "cloud")
    path = script(monkeypatch, "peer").convert(product, tmp_path, bands=True)
    expected = np.load(reference / "convert_A.npz")
    size = int(expected["window_size"])
    with h5py.File(path) as file:
        # The windows are stored as float32.
        for name, tolerance in (("refs", 1e-6), ("rads", 1e-4), ("bts", 1e-4), ("bayes", 1e-4), ("summary", 1e-4)):
            for index, (row, column) in enumerate(expected["windows_yx"]):
                window = file[name][row : row + size, column : column + size]
                np.testing.assert_allclose(window, expected[f"{name}_windows"][index], atol=tolerance, rtol=0)
    assert path.stat().st_size > 244e6


def test_conversion_measures_every_part(tmp_path: Path) -> None:
    product = write_folder(random_scene(small_plan(0)), tmp_path)
    report, told = run("conversion", str(product), "--runs", "1", "--copies", "1")
    ways = report["ways"]
    assert ways["peer"]["times"] == 1
    assert ways["native"]["times"] == pytest.approx(ways["peer"]["median_s"] / ways["native"]["median_s"])
    assert set(report["shard_mb"]) == set(ways)
    assert report["peak_memory_mb"].keys() == {"imports alone", *ways} - {"peer", "peer, band by band"}
    assert report["alone"].keys() == {"peer", "native", "reference"}
    for part in (ways, report["alone"], report["stages"], report["floors"]):
        for found in part.values():
            assert 0 < found["fastest_s"] <= found["median_s"] <= found["slowest_s"]
    assert report["command"]["wall_s"].keys() == {
        f"{workers} workers, {count} products" for workers in (1, 2) for count in (1, 2)
    }
    for name in (*ways, *report["stages"], *report["floors"], "two workers do, as one does 1"):
        assert name in told


def test_growth_tells_time_and_memory_of_each_count(tmp_path: Path) -> None:
    product = write_product(tmp_path)
    report, told = run("growth", str(product), "--counts", "1", "2", "--runs", "1", "--workers", "1")
    first, second = report["rows"]
    assert (first["products"], second["products"]) == (1, 2)
    assert second["one_more_wall_s"] == pytest.approx(second["wall_s"] - first["wall_s"])
    for row in report["rows"]:
        assert row["cpu_s"] > 0
        assert 10 < row["parent_mb"] < 1000
        assert 10 < row["worker_mb"] < 1000
    assert len(told.splitlines()) == 4


def test_what_one_more_product_costs_is_the_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 s for one, 5 s for four: 1 s each; then 29 s for sixteen: 2 s each."""
    growth = script(monkeypatch, "growth")
    rows: list[dict[str, float]] = []
    for count, seconds in ((1, 2.0), (4, 5.0), (16, 29.0)):
        median = {"wall_s": seconds, "cpu_s": 2 * seconds}
        rows.append({"products": count} | median | growth.per_product(median, count, rows))
    assert [row["one_more_wall_s"] for row in rows] == [2.0, 1.0, 2.0]
    assert [row["one_more_cpu_s"] for row in rows] == [4.0, 2.0, 4.0]


def test_copies_have_names_of_their_own_and_the_same_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measure = script(monkeypatch, "measure")
    product = write_product(tmp_path)
    copies = [measure.copy_product(product, tmp_path / "copies", number) for number in (0, 1, 20)]
    assert [copy.name[16:31] for copy in copies] == ["20180531T102338", "20180531T102638", "20180531T112338"]
    read = [read_product(copy) for copy in copies]
    assert [found.name for found in read] == [copy.name.removesuffix(".SEN3") for copy in copies]
    assert read[2].manifest_md5 == read[0].manifest_md5


@pytest.mark.quick
def test_archives_are_products_of_counts_and_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """3,600,000 products at 0.5 s and 80 % of a core each: 625 core hours; 50 MB each: 180 TB; by hand."""
    pages = script(monkeypatch, "pages")
    one = pages.Cost(0.5, 10.0, 3.0, 0.8, 59.0, 50.0, 480.0)
    found = pages.derived(one, 3_600_000)
    assert (found["core hours"], found["on 64 cores"], found["on 1,024 cores"]) == ("620", "9.8 hours", "37 minutes")
    assert (found["core hours, the textbook way"], found["shards, TB"]) == ("10,000", "180")
    # 3.6e6 * 466 MB * 8 bits / 1 Gbit/s = 1.34e7 s
    assert found["download at 1 Gbit/s"] == "160 days"
    assert (pages.duration(0.001), pages.quantity(9.96), pages.quantity(1234)) == ("3.6 seconds", "10", "1,200")


def test_the_pages_hold_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pages = script(monkeypatch, "pages")
    for page in (ROOT / "docs" / "scaling.md", FOLDER / "README.md"):
        copy = tmp_path / page.name
        copy.write_text(page.read_text())
        assert pages.main(["--update", str(copy)]) == 0
        assert copy.read_text() == page.read_text(), "run benchmarks/pages.py --update with both pages"
    with pytest.raises(ValueError, match="the page must hold the marks of growth: <!-- NAME: begin -->"):
        pages.updated("nothing", {"growth": ""})
    assert pages.updated("<!-- a: begin -->\nold\n<!-- a: end -->", {"a": "new", "b": "other"}) == (
        "<!-- a: begin -->\nnew\n<!-- a: end -->"
    )
