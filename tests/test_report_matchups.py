"""Charts of match-ups: oracles are numbers worked out by hand from the tests' run folder."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxmask.figures_matchups import MapPoints, difference_map
from jaxmask.matchups import PUBLISHED
from jaxmask.report_inputs import read_run
from jaxmask.report_matchups import HALF_OF_RSD, coverage_curves, matchup_charts, seen_note
from jaxmask.report_numbers import Chart, statistics_of
from jaxmask.run_record import Places, Run
from preprocess.map_lines import degrees_label, wrapped
from tests.run_folder import write_statistics

NAMES = {"mask": "unet", "algorithm": "D2", "time_of_day": "day"}
DEPENDENCE = {**NAMES, "by": "latitude", "from": 0, "to": 10, "count": 3, "median": 0.1, "rsd": 0.2}
CURVE = {**NAMES, "eligible": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    write_statistics(folder, ["a"], ["b"])
    return read(folder)


def read(folder: Path) -> Run:
    return read_run(Places(folder, *(folder / "none" for _ in range(4)), folder))


def charts(run: Run) -> dict[str, Chart]:
    made = matchup_charts(run, statistics_of(run.sst, None))
    return {re.findall(r'aria-labelledby="(.*?)-title"', chart.svg)[0]: chart for chart in made}


@pytest.mark.quick
def test_every_kind_of_chart_is_there_and_says_what_it_counts(run: Run) -> None:
    found = charts(run)
    names = ["matchups", "matchup-map", "coverage", "paired", "dependence-latitude", "dependence-zenith-angle"]
    assert list(found) == names
    minus = "\N{MINUS SIGN}"
    assert "A tail to the left is missed cloud" in found["matchups"].caption
    rows = run.matchups
    assert rows is not None
    passed = int((rows["sat_sst_2"] > 273.15).sum())  # the filter that not all of these rows pass
    assert f"{passed} match-ups" in found["matchup-map"].caption
    assert "N = 240: RSD 0.270 K (0.250 to 0.290)" in found["coverage"].caption
    assert "D2 day, N = 400" in found["paired"].caption
    assert f"400 match-ups in 12 scenes: RSD {minus}0.010 K ({minus}0.025 to 0.005)" in found["paired"].svg
    assert "Bayes, N = 125; U-Net, N = 125" in found["dependence-latitude"].caption
    for name, label in (
        ("coverage", "RSD, K"),
        ("dependence-latitude", "latitude, degrees north"),
        ("paired", "RSD, K"),
    ):
        assert f">{label}</text>" in found[name].svg


def test_a_mask_has_its_own_point_on_its_curve(run: Run) -> None:
    assert run.sst is not None
    bayes, unet = coverage_curves(run.sst, statistics_of(run.sst, None), PUBLISHED)
    assert bayes.native == pytest.approx((60, 0.25, 8)), "per cent, K, per cent"
    assert unet.native == pytest.approx((63, 0.24, 8))
    assert list(unet.coverage) == pytest.approx([25, 50, 75, 100])
    assert list(unet.cold_tail) == pytest.approx([2.5, 5, 7.5, 10])
    assert list(unet.rsd_k) == [0.27] * 4
    (curve, _) = coverage_curves(run.sst, (), PUBLISHED)
    assert curve.native is None


def test_masks_of_products_seen_in_training_are_told() -> None:
    masks = [{"part": part, "masks": count} for part, count in (("train", 16), ("test", 5), ("none", 2))]
    assert seen_note({"masks": masks}).startswith("Of 23 masks that are judged here 16 are of products that the model")
    assert "here 1 is of a product" in seen_note({"masks": [{"part": "validation", "masks": 1}]})
    assert seen_note({"masks": masks[1:]}) == seen_note({}) == ""


def test_half_an_interval_is_of_the_median() -> None:
    # 1.96 sqrt(pi / 2) = 2.4565: of RSD 0.25 K and 100 match-ups 0.0614 K
    assert pytest.approx(0.0614, abs=5e-5) == HALF_OF_RSD * 0.25 / np.sqrt(100)


def test_an_older_file_gives_the_charts_that_it_suffices_for(run: Run, tmp_path: Path) -> None:
    assert run.sst is not None
    older = replace(run, sst={"statistics": run.sst["statistics"], "reference": run.sst["reference"]})
    assert list(charts(older)) == ["matchups", "matchup-map"]
    assert list(charts(replace(older, matchups=None))) == []
    assert charts(replace(run, sst={**run.sst, "statistics": []})) == {}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"dependence": [{"mask": "unet"}]}, r"dependence\[0\]: expected 'algorithm' to be text; found None"),
        ({"coverage_curves": 3}, "expected 'coverage_curves' to be a list; found 3"),
        ({"equal_coverage": [3]}, r"equal_coverage\[0\]: expected it to be an object; found 3"),
        ({"paired": None}, "expected 'paired' to be a list; found None"),
        ({"dependence": [DEPENDENCE | {"rsd": "wide"}]}, "expected 'rsd' to be a number; found wide"),
        ({"coverage_curves": [CURVE | {"points": [{"count": 3, "coverage": 0.5}]}]}, "expected 'rsd' to be a number"),
    ],
)
def test_damage_is_named(damage: dict, words: str, tmp_path: Path) -> None:
    write_statistics(tmp_path, ["a"], ["b"])
    path = tmp_path / "sst.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    run = read(tmp_path)
    assert run.sst is None
    (failure,) = (failure for failure in run.unread if failure.item == str(path))
    assert re.search(words, failure.reason)


def test_many_match_ups_cost_a_picture_and_not_a_path_each() -> None:
    rng = np.random.default_rng(0)
    count = 20_000
    points = MapPoints(
        rng.uniform(-80, 80, count), rng.uniform(-180, 180, count), rng.normal(size=count), rng.random(count) < 0.9
    )
    svg = difference_map("map", "title", points, 2.0, "")
    assert len(svg) < 1_500_000, "markers are one picture of 4.5 inches at 200 dots each"
    assert base64.b64decode(re.findall(r"data:image/png;base64,([^\"]+)", svg)[0])[1:4] == b"PNG"
    assert f"N = {int(points.kept.sum()):,}" in svg


def test_degrees_and_longitudes() -> None:
    assert [degrees_label(value, "NS") for value in (0, -12.5, 60)] == ["0°", "12.5°S", "60°N"]
    assert wrapped(np.array([190.0, -180.0, 180.0, 5.0])).tolist() == [-170, -180, -180, 5]
