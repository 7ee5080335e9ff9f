"""docs/science.md: its figures are those measured, by counts made by hand, and the tests that it names are there."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from preprocess.compose import make_scene
from preprocess.level1 import Product
from preprocess.product import read_product
from preprocess.simulation.product import write_folder
from tests.simulated import random_scene, small_plan

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "science.md"
MOST_PICTURE_BYTES = 200_000


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script of benchmarks/ as a module, by name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    return read_product(write_folder(random_scene(small_plan(0)), tmp_path_factory.mktemp("product")))


def test_the_page_holds_what_was_measured(script: Any, tmp_path: Path) -> None:
    copy = tmp_path / PAGE.name
    copy.write_text(PAGE.read_text())
    assert script("pages").main(["--update", str(copy)]) == 0
    assert copy.read_text() == PAGE.read_text(), "run benchmarks/pages.py --update docs/science.md"
    assert "Not measured" not in copy.read_text()
    assert script("science_page").texts(None)["science sun"] == "**Not measured yet.**"


@pytest.mark.quick
def test_every_test_that_the_page_names_is_there() -> None:
    text = PAGE.read_text()
    functions = set(re.findall(r"^def (test_\w+)", "\n".join(p.read_text() for p in ROOT.glob("tests/*.py")), re.M))
    files = re.findall(r"`(tests/test_\w+\.py)`", text)
    assert files
    assert all((ROOT / name).exists() for name in files)
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named
    assert named <= functions, named - functions


def test_pictures_are_modest_and_told_whose_data_they_show() -> None:
    pictures = re.findall(r"\]\((science_\w+\.png)\)", PAGE.read_text())
    assert len(pictures) == 4
    for name in pictures:
        assert (PAGE.parent / name).stat().st_size < MOST_PICTURE_BYTES
        with Image.open(PAGE.parent / name) as picture:
            assert picture.width > 500
    assert "Contains modified Copernicus Sentinel data 2017" in PAGE.read_text()


def test_rows_move_as_a_stretch_moves_them(script: Any) -> None:
    """Three rows on 1200: their middles at 1/6, 3/6 and 5/6 of the image, that is rows 199.5, 599.5 and 999.5."""
    moved = script("science_product").moved
    np.testing.assert_allclose(moved(3), [199.5, 598.5, 997.5])
    assert not moved(1200).any()


def test_a_suns_fault_is_that_of_a_formula(script: Any, product: Product) -> None:
    """The sun sinks by rows alone: the original's reflectance is cos(right) / cos(last row) of the right one."""
    rows = product.solar_zenith.shape[0]
    angles = np.linspace(20.0, 70.0, rows)
    ties = np.broadcast_to(angles[:, None], product.solar_zenith.shape).copy()
    offset = replace(product.grid_tie, start_offset=4081)
    found = script("science_product").sun(replace(product, solar_zenith=ties, grid_tie=offset))
    # Both angles pass an arccos; the spline of a straight line is exact to 1e-9 degrees.
    assert found["track_first_row_deg"] == pytest.approx([20.0, 70.0], abs=1e-5)
    assert found["mean_difference_deg"] == pytest.approx(25.0, abs=0.01)
    ratios = np.cos(np.radians(np.linspace(20.0, 70.0, product.bt.shape[1]))) / np.cos(np.radians(70.0))
    assert found["median_ratio"] == pytest.approx(np.median(ratios), rel=1e-5)
    assert (found["up_share"], found["down_share"], found["missing_tie_columns"]) == (1.0, 0.0, 0)


def test_copies_fill_and_labels_are_counted_pixel_by_pixel(script: Any, product: Product) -> None:
    measures: ModuleType = script("science_product")
    native, original = make_scene(product), make_scene(product, convention="reference")
    found = measures.cosmetic(product, native)
    copies, s8 = product.flag("confidence", "cosmetic"), product.bt[1]
    equal = counted = 0
    for row, column in zip(*np.nonzero(copies & np.isfinite(s8)), strict=True):
        around = s8[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        equal += int((around == s8[row, column]).sum() > 1)
        counted += 1
    assert counted > 0
    assert found["equal_to_a_neighbour_share"] == equal / counted
    assert found["cosmetic_share"] == copies.mean()
    assert measures.fill(product, original)["filled_share"] == np.isnan(s8).mean()
    assert measures.labels(original, native)["original_cloud_share"] == (original.bayes > 0).mean()
    loss = measures.loss(original, native)
    # 20 patches of 256, less 15 on every side, of 1200 x 1500
    assert loss["counted_share"] == 20 * 226**2 / (1200 * 1500)


def test_outputs_and_decisions_by_hand(script: Any) -> None:
    """Four pixels: q 0.5 three times, of which two are cloud, and q 0.9, cloud; a fifth doesn't count."""
    run: ModuleType = script("science_run")
    seen = run.Seen(
        "one",
        np.array([[0.5], [0.5], [0.5], [0.9], [0.1]], np.float32),
        np.array([[True], [True], [False], [True], [True]]),
        np.array([[True], [True], [True], [True], [False]]),
    )
    found = run.outputs([seen], 0.5)
    assert (found["count"], found["cloud_share"]) == ([3, 1], [pytest.approx(2 / 3), 1.0])
    assert found["q_error"] == pytest.approx((3 * (2 / 3 - 0.5) + (1 - 0.9)) / 4)
    # P = q / (q + (1 - q) / 2): 2/3 and 0.9 / 0.95
    assert found["p_error"] == pytest.approx((1 - 0.9 / 0.95) / 4)
    assert found["cloud_where_q_near_half"] == pytest.approx(2 / 3)
    # Of pairs of pixels that both count, none has another decision at 0.5; at 0.6 the last of three.
    assert run.decisions_moved([seen])["1 rows"] == 0
    assert run.decisions_moved([seen], threshold=0.6) == {"1 rows": 1 / 3, "2 rows": 1 / 2}
    names = [f"S3{p}_SL_1_RBT____{s}_{s}_{s}_x_002" for p, s in (("A", "20180101T000000"), ("B", "20180101T000000"))]
    assert run.granules([*names, names[0].replace("_002", "_004")]) == {"products": 3, "not_s3a": 1, "copies": 1}


def test_the_command_writes_report_and_pictures(
    script: Any, product: Product, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With what was measured of a run, as no tiny run has enough match-ups for every figure."""
    science = script("science")
    measured = json.loads((ROOT / "benchmarks" / "measured" / "science.json").read_text())
    monkeypatch.setattr(science, "read_product", lambda folder: product)
    monkeypatch.setattr(science, "of_run", lambda folder: measured["run"])
    output = tmp_path / "science.json"
    assert science.main(["PRODUCT", "RUN", "--output", str(output), "--figures", str(tmp_path)]) == 0
    report = json.loads(output.read_text())
    assert report.keys() == measured.keys()
    assert report["product"].keys() == measured["product"].keys()
    assert len(list(tmp_path.glob("science_*.png"))) == 4
    assert len(script("science_page").texts(report)) == len(re.findall("<!-- science .*: begin -->", PAGE.read_text()))
