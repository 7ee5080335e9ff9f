"""All match-up statistics together, against pandas and SciPy on random tables, and resamples written out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jaxmask import matchups
from jaxmask.fair_masks import FairMask, RowSamples
from jaxmask.matchup_groups import StatisticsSettings
from jaxmask.matchup_statistics import match_up_statistics
from jaxmask.resampling import multiplicities
from tests.matchup_tables import SST_COLUMN, operational_masks, random_table, samples_of, statistics

CODES = {"N2": 1, "N3": 3, "D2": 4, "D3": 5}
TOLERANCE = 1e-6  # as asked of the point estimates; float64 sums differ by some 1e-13
REPLICATES = 40
POINTS = StatisticsSettings(replicates=0)
MASKS = ["none", "bayes", "bayes_nadir", "bayes_half", "unet"]


def frame_of(table: dict[str, np.ndarray], samples: RowSamples) -> pd.DataFrame:
    columns = {"scene": samples.scene, "decided": samples.decided, "night": samples.night}
    return pd.DataFrame(table).assign(**columns, value=samples.value, threshold=samples.threshold)


def eligible_rows(frame: pd.DataFrame, name: str, *, select: str = "type", quality: bool = True) -> pd.DataFrame:
    """The rows of an algorithm that pass every filter, with the difference `x` in K."""
    code, dual = CODES[name], name.startswith("D")
    apart = (frame.slon - frame.longitude_an).abs()
    keep = (frame.slat - frame.latitude_an).abs().lt(0.005) & (apart.lt(0.01) | apart.gt(359.99))
    keep &= (frame.isst + 273.15).gt(273.15) & frame.satzan.le(55) & frame[SST_COLUMN[code]].gt(273.15)
    keep &= frame.decided
    if dual:
        keep &= frame.satzao.le(55)
    if quality:
        keep &= frame.quality_level.eq(5)
    if select == "type":
        keep &= frame.sst_algorithm_type.eq(code)
    rows = frame[keep]
    return rows.assign(x=rows[SST_COLUMN[code]] - (rows.isst + 273.15))


def clear_rows(rows: pd.DataFrame, mask: str, dual: bool) -> pd.Series:
    def bayes(threshold: float, both: bool) -> pd.Series:
        return rows.pcloudn.lt(threshold) & (rows.pcloudo.lt(threshold) if both else True)

    unet = rows.value < rows.threshold
    return {
        "none": pd.Series(True, rows.index),
        "bayes": bayes(0.9, dual),
        "bayes_nadir": bayes(0.9, False),
        "bayes_half": bayes(0.5, dual),
        "unet": unet,
        "unet_bayes_oblique": unet & rows.pcloudo.lt(0.9),
    }[mask]


def numbers_of(x: pd.Series, eligible: int, bayes: pd.Series) -> dict[str, Any]:
    about = bayes.median()
    tails = {"cold_tail": (x < -1).mean(), "warm_tail": (x > 1).mean()}
    relative = {"cold_tail_relative": (x < about - 1).mean(), "warm_tail_relative": (x > about + 1).mean()}
    relative = {name: np.nan if bayes.empty else value for name, value in relative.items()}
    found = {"coverage": len(x) / eligible if eligible else np.nan, "median": x.median(), "mean": x.mean()}
    found |= {"rsd": stats.median_abs_deviation(x, scale=1 / 1.4826) if len(x) else np.nan, "sd": x.std()}
    return {name: None if pd.isna(value) else float(value) for name, value in (found | tails | relative).items()}


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("select", ["type", "all"])
def test_point_estimates_equal_pandas_and_scipy(seed: int, select: str) -> None:
    table = random_table([2000, 2000, 300, 12][seed], seed)
    samples = samples_of(table, seed)
    frame = frame_of(table, samples)
    found = match_up_statistics(table, samples, replace(POINTS, select=select))
    json.dumps(found, allow_nan=False)
    for quality, records in ((True, found["statistics"]), (False, found["any_quality"]["statistics"])):
        groups = list(dict.fromkeys((r["algorithm"], r["time_of_day"]) for r in records))
        expected_groups = []
        for name in CODES:
            rows = eligible_rows(frame, name, select=select, quality=quality)
            for time, own in (("day", name.endswith("2")), ("night", name.endswith("3"))):
                now = rows[rows.night == (time == "night")]
                if own or len(now):
                    expected_groups.append((name, time))
                    _compare(now, [r for r in records if (r["algorithm"], r["time_of_day"]) == (name, time)])
        assert groups == expected_groups


def _compare(rows: pd.DataFrame, records: list[dict[str, Any]]) -> None:
    dual = records[0]["algorithm"].startswith("D")
    assert [record["mask"] for record in records] == MASKS + ["unet_bayes_oblique"] * dual
    bayes = rows.x[clear_rows(rows, "bayes", dual)]
    for record in records:
        kept = rows[clear_rows(rows, record["mask"], dual)]
        counts = (record["count"], record["eligible"], record["scenes"], record["eligible_scenes"])
        assert counts == (len(kept), len(rows), kept.scene.nunique(), rows.scene.nunique())
        expected = numbers_of(kept.x, len(rows), bayes)
        assert {name: record[name] for name in expected} == pytest.approx(expected, abs=TOLERANCE)


def test_records_that_were_there_before_have_the_same_numbers() -> None:
    table = random_table(2000, 5)
    samples = samples_of(table, 5)
    clear = operational_masks(table) | {"unet": samples.value < samples.threshold}
    day = replace(samples, night=np.zeros(len(samples.night), bool))
    night = replace(samples, night=~day.night)
    before = statistics(table, samples.decided, clear)
    for record in before:
        here = day if record["time_of_day"] == "day" else night
        [found] = [
            r
            for r in match_up_statistics(table, here, POINTS)["statistics"]
            if all(r[name] == record[name] for name in ("mask", "algorithm", "time_of_day"))
        ]
        assert {name: found[name] for name in record} == pytest.approx(record, abs=1e-12)


@pytest.fixture(scope="module")
def whole() -> tuple[dict[str, np.ndarray], RowSamples, dict[str, Any]]:
    """A table with rows of 15 scenes a group, judged with resamples."""
    table = random_table(6000, 7)
    samples = samples_of(table, 7)
    others = {"truth": FairMask(np.random.default_rng(7).random(len(samples.value)) < 0.5)}
    samples = replace(samples, others=others)
    return table, samples, match_up_statistics(table, samples, StatisticsSettings(replicates=REPLICATES, seed=3))


def resampled(
    table: dict[str, np.ndarray], samples: RowSamples, name: str, time: str
) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    """Each resample of a group written out: its rows, and its numbers by mask."""
    rows = eligible_rows(frame_of(table, samples), name)
    rows = rows[rows.night == (time == "night")]
    scenes = np.sort(rows.scene.unique())
    dual, out = name.startswith("D"), []
    for times in multiplicities(len(scenes), REPLICATES, 3):
        drawn = rows.loc[np.repeat(rows.index, times[np.searchsorted(scenes, rows.scene)])]
        drawn = drawn.reset_index(drop=True)
        bayes = drawn.x[clear_rows(drawn, "bayes", dual)]
        masks = MASKS + ["unet_bayes_oblique"] * dual
        out.append((drawn, {m: numbers_of(drawn.x[clear_rows(drawn, m, dual)], len(drawn), bayes) for m in masks}))
    return out


@pytest.mark.parametrize(("name", "time"), [("N2", "day"), ("D3", "night")])
def test_intervals_are_those_of_resamples_written_out(
    whole: tuple[dict[str, np.ndarray], RowSamples, dict[str, Any]], name: str, time: str
) -> None:
    table, samples, found = whole
    written = [numbers for _, numbers in resampled(table, samples, name, time)]
    records = {r["mask"]: r for r in found["statistics"] if (r["algorithm"], r["time_of_day"]) == (name, time)}
    for mask in written[0]:
        for statistic, limits in records[mask]["intervals"].items():
            values = [numbers[mask][statistic] for numbers in written]
            assert limits == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=TOLERANCE), (mask, statistic)
    pairs = {
        (r["mask"], r["minus"]): r
        for r in found["paired"]
        if (r["algorithm"], r["time_of_day"], r["at"]) == (name, time, "native")
    }
    wanted = [("unet", "bayes"), ("unet", "bayes_nadir"), ("unet", "bayes_half")]
    assert list(pairs) == wanted + [("unet_bayes_oblique", "bayes")] * name.startswith("D")
    for (first, second), record in pairs.items():
        for statistic, limits in record["intervals"].items():
            values = [numbers[first][statistic] - numbers[second][statistic] for numbers in written]
            assert limits == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=TOLERANCE)
            difference = records[first][statistic] - records[second][statistic]
            assert record["differences"][statistic] == pytest.approx(difference, abs=1e-12)
        assert record["both"] + record["only_first"] == records[first]["count"]
        assert record["both"] + record["only_second"] == records[second]["count"]


def test_at_equal_coverage_all_keep_as_many_rows_as_bayes(
    whole: tuple[dict[str, np.ndarray], RowSamples, dict[str, Any]],
) -> None:
    table, samples, found = whole
    bayes = {(r["algorithm"], r["time_of_day"]): r for r in found["statistics"] if r["mask"] == "bayes"}
    frame = frame_of(table, samples)
    for record in found["equal_coverage"]:
        group = (record["algorithm"], record["time_of_day"])
        assert record["count"] == bayes[group]["count"]
        if record["mask"] != "unet" or not record["count"]:
            continue
        rows = eligible_rows(frame, group[0])
        rows = rows[rows.night == (group[1] == "night")]
        assert record["cut"] == rows.value.sort_values().iloc[record["count"] - 1]
        sure = rows[rows.value < record["cut"]]
        tied = rows[rows.value == record["cut"]]
        assert (record["tied"], record["tied_kept"]) == (len(tied), record["count"] - len(sure))
    # Bayes at its own coverage is Bayes itself: its rows lie below 0.9 and no others do.
    equal = {(r["algorithm"], r["time_of_day"]): r for r in found["equal_coverage"] if r["mask"] == "bayes"}
    for group, record in equal.items():
        assert record["median"] == bayes[group]["median"]
        assert record["intervals"] == bayes[group]["intervals"]
    assert {r["at"] for r in found["paired"]} == {"native", "equal_coverage"}


def test_curves_end_in_all_rows_and_grow_with_coverage(
    whole: tuple[dict[str, np.ndarray], RowSamples, dict[str, Any]],
) -> None:
    _, _, found = whole
    none = {(r["algorithm"], r["time_of_day"]): r for r in found["statistics"] if r["mask"] == "none"}
    assert {curve["mask"] for curve in found["coverage_curves"]} == {"bayes", "unet"}
    for curve in found["coverage_curves"]:
        whole_group = none[curve["algorithm"], curve["time_of_day"]]
        points = curve["points"]
        assert [point["at"] for point in points] == pytest.approx(np.arange(5, 101, 5) / 100)
        assert all(point["count"] == np.floor(point["at"] * curve["eligible"] + 0.5) for point in points)
        last = points[-1]
        for name in ("count", "coverage", "median", "rsd", "cold_tail", "cold_tail_relative"):
            assert last[name] == whole_group[name]
        if last["intervals"]:
            assert last["intervals"] == {name: whole_group["intervals"][name] for name in last["intervals"]}


def test_few_scenes_have_no_interval_and_say_so() -> None:
    table = random_table(2000, 2)
    samples = replace(samples_of(table, 2), scene=np.arange(len(table["isst"])) % 9)
    found = match_up_statistics(table, samples, StatisticsSettings(replicates=REPLICATES))
    for record in [*found["statistics"], *found["paired"], *found["equal_coverage"], *found["any_quality"]["levels"]]:
        assert record["intervals"] is None
        assert re.fullmatch(r"(1 scene|[02-9] scenes) with rows, fewer than 10", record["no_interval_because"])
    point = found["coverage_curves"][0]["points"][10]
    assert (point["intervals"], point["no_interval_because"]) == (None, "9 scenes with rows, fewer than 10")


def test_how_much_of_a_quality_level_bayes_calls_cloud(
    whole: tuple[dict[str, np.ndarray], RowSamples, dict[str, Any]],
) -> None:
    table, samples, found = whole
    frame = frame_of(table, samples)
    levels = found["any_quality"]["levels"]
    assert {record["quality_level"] for record in levels} == {4.0, 5.0}
    for record in levels:
        rows = eligible_rows(frame, record["algorithm"], quality=False)
        rows = rows[(rows.night == (record["time_of_day"] == "night")) & rows.quality_level.eq(record["quality_level"])]
        either = rows.pcloudn.ge(0.9)
        unknown = rows.pcloudn.isna()
        if record["algorithm"].startswith("D"):
            assert record["cloudy"]["oblique"] == pytest.approx(rows.pcloudo.ge(0.9).mean(), abs=1e-12)
            either, unknown = either | rows.pcloudo.ge(0.9), unknown | rows.pcloudo.isna()
        assert (record["count"], record["without_probability"]) == (len(rows), unknown.sum())
        assert record["cloudy"]["nadir"] == pytest.approx(rows.pcloudn.ge(0.9).mean(), abs=1e-12)
        assert record["cloudy"]["either"] == pytest.approx(either.mean(), abs=1e-12)
        if record["intervals"]:
            low, high = record["intervals"]["either"]
            assert low <= record["cloudy"]["either"] <= high


def test_rows_that_all_retrievals_share() -> None:
    table = random_table(3000, 4)
    samples = samples_of(table, 4)
    frame = frame_of(table, samples)
    found = match_up_statistics(table, samples, replace(POINTS, select="all"))["common_pixels"]
    together = {"day": ("N2", "D2"), "night": ("N2", "N3", "D2", "D3")}
    groups = list(dict.fromkeys((r["time_of_day"], r["algorithm"]) for r in found))
    assert groups == [(time, name) for time, names in together.items() for name in names]
    for time, names in together.items():
        each = {name: eligible_rows(frame, name, select="all") for name in names}
        index = frame.index[frame.night == (time == "night")]
        for rows in each.values():
            index = index.intersection(rows.index)
        for name, rows in each.items():
            records = [r for r in found if (r["time_of_day"], r["algorithm"]) == (time, name)]
            _compare(rows.loc[index], records)
    assert match_up_statistics(table, samples, POINTS)["common_pixels"] == []


def test_a_row_whose_temperature_is_infinite_does_not_count() -> None:
    table = random_table(400, 0)
    table["sat_sst_2"][::3] = np.inf
    samples = samples_of(table)
    found = match_up_statistics(table, samples, replace(POINTS, select="all"))
    json.dumps(found, allow_nan=False)
    finite = np.isfinite(table["sat_sst_2"])
    without = {name: values[finite] for name, values in table.items()}
    expected = matchups.reference_numbers(without, samples.value[finite], samples.threshold[finite])
    numbers = ("bayes_median", "bayes_RSD", "unet_median", "unet_RSD", "bayes_count", "unet_count")
    assert [found["reference"][name] for name in numbers] == [expected[name] for name in numbers]


def test_the_seed_decides_the_resamples() -> None:
    table = random_table(600, 0)
    samples = samples_of(table)
    first, again, other = (
        match_up_statistics(table, samples, StatisticsSettings(replicates=REPLICATES, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first["statistics"][0]["median"] == other["statistics"][0]["median"]
    assert first["statistics"][0]["intervals"] != other["statistics"][0]["intervals"]
