"""The report's numbers: oracles are formatted by hand, or counted with a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jaxmask import report_numbers as numbers
from jaxmask.matchups import ALGORITHMS, PUBLISHED
from jaxmask.report_scenes import choose_scenes
from tests.run_folder import matchup_rows


@pytest.mark.quick
def test_a_number_or_the_reason_for_none() -> None:
    assert numbers.number(1234.5, 1).text == "1,234.5"
    assert numbers.number(-0.15, 2).text == "\N{MINUS SIGN}0.15"
    assert numbers.number(0, 0).text == "0", "zero is a number"
    for missing in (None, float("nan"), float("inf")):
        cell = numbers.number(missing, 1, "no rows")
        assert (cell.text, cell.reason, cell.number) == ("", "no rows", True)
    assert numbers.share(0.8764).text == "87.6"
    assert numbers.spoken(numbers.number(2, 1), " K") == "2.0 K"
    assert numbers.spoken(numbers.number(None, 1, "no rows"), " K") == "\N{EN DASH} (no rows)"


def _record(mask: str, against: str, part: str, stratum: str, count: int = 10, **scores: float) -> dict[str, Any]:
    return {"mask": mask, "against": against, "part": part, "stratum": stratum, "count": count, **scores}


def test_evaluation_shows_the_test_part_label_before_truth_and_overall_first() -> None:
    records = [
        _record("bayes", "truth", "test", "all", accuracy=0.8),
        _record("unet", "label", "test", "land", count=0),
        _record("unet", "label", "test", "all", agreement=0.9, majority=0.6, precision=0.5),
        _record("unet", "label", "train", "all", agreement=0.99),
    ]
    label, truth = numbers.evaluation_tables({"records": records})
    assert [[cell.text for cell in row[:6]] for row in label.rows] == [
        ["U-Net", "test", "all", "10", "90.0", "60.0"],
        ["U-Net", "test", "land", "0", "", ""],
    ]
    assert {cell.reason for cell in label.rows[1][4:]} == {"no pixels"}
    assert label.headings[4] == "agreement, %"
    assert truth.headings[4] == "accuracy, %"
    assert [cell.text for cell in truth.rows[0][:5]] == ["Bayes", "test", "all", "10", "80.0"]
    assert truth.rows[0][6].reason == "undefined", "pixels, but no precision"
    assert len(label.headings) == len(label.rows[0])


def test_all_parts_are_shown_where_nothing_was_held_out() -> None:
    (table,) = numbers.evaluation_tables({"records": [_record("unet", "label", "all", "all", agreement=0.9)]})
    assert table.rows[0][1].text == "all"


def test_headline_takes_held_out_pixels_before_all_pixels() -> None:
    everything = _record("unet", "label", "all", "all", agreement=0.5)
    held_out = _record("unet", "label", "test", "all", agreement=0.9)
    assert numbers.find_record({"records": [everything, held_out]}, "unet", "label") is held_out
    assert numbers.find_record({"records": [everything]}, "unet", "label") is everything
    assert numbers.find_record(None, "unet", "label") is None


def _statistic(mask: str, algorithm: str, count: int) -> dict[str, Any]:
    value = 0.5 if count else None
    return {"mask": mask, "algorithm": algorithm, "time_of_day": "day", "count": count, "coverage": value,
            "median": value, "rsd": value}  # fmt: skip


def test_statistics_are_ordered_and_empty_ones_say_why() -> None:
    records = [_statistic("none", "N2", 4), _statistic("unet", "D2", 0), _statistic("bayes", "D2", 3)]
    table = numbers.statistics_table(records)
    assert [(row[0].text, row[2].text, row[3].text) for row in table.rows] == [
        ("N2", "no mask", "4"), ("D2", "Bayes", "3"), ("D2", "U-Net", "0")
    ]  # fmt: skip
    assert [cell.reason for cell in table.rows[2][4:]] == [
        "none eligible", "none kept", "none kept", "not recorded", "none kept", "none kept"
    ]  # fmt: skip


def test_statistics_tell_the_interval_and_the_tails() -> None:
    record = _statistic("unet", "D2", 9) | {"intervals": {"rsd": [0.2341, 0.3]}, "cold_tail": 0.08, "warm_tail": 0.005}
    few = _statistic("truth", "D2", 9) | {"intervals": None, "no_interval_because": "1 scene with rows, fewer than 10"}
    table = numbers.statistics_table([record, few])
    assert [cell.text for cell in table.rows[0][7:]] == ["0.234 to 0.300", "8.0", "0.5"]
    assert table.rows[1][7].reason == "1 scene with rows, fewer than 10"
    assert len(table.headings) == len(table.rows[0])


def test_the_histogram_is_of_d2_or_of_the_commonest() -> None:
    few, many = _statistic("bayes", "D2", 1), _statistic("bayes", "N3", 9)
    assert numbers.histogram_algorithm([few, many]) is PUBLISHED
    assert numbers.histogram_algorithm([_statistic("bayes", "D2", 0), many]) is ALGORITHMS[1]
    assert numbers.histogram_algorithm([_statistic("bayes", "D2", 0)]) is None
    assert numbers.histogram_algorithm([]) is None


def test_histogram_samples_hold_what_each_mask_calls_clear() -> None:
    """Against a loop over the rows; differences in float64, exact."""
    frame = matchup_rows(60)
    frame.loc[:9, "in_statistics"] = False
    frame["time_of_day"] = ["night" if row % 7 == 0 else "day" for row in range(len(frame))]
    table = {name: frame[name].to_numpy() for name in frame}
    bayes, unet = numbers.histogram_samples(table, PUBLISHED, 0.5)
    rows = [row for row in frame.itertuples() if row.in_statistics and row.time_of_day == "day"]
    by_hand = [row.sat_sst_2 - (row.isst + 273.15) for row in rows if row.pcloudn < 0.9 and row.pcloudo < 0.9]
    np.testing.assert_array_equal(bayes.differences_k, by_hand)
    assert len(unet.differences_k) == sum(row.model_mask < 0.5 for row in rows)
    assert bayes.name.startswith(f"clear by Bayes, N = {len(by_hand)}: median ")


def _product(name: str, disagreement: float | None, day: bool = True) -> dict[str, Any]:
    return {"product": name, "part": "test", "day": day, "disagreement": disagreement}


@pytest.mark.quick
def test_scenes_are_the_median_the_worst_and_the_darkest() -> None:
    products = [_product(name, i / 10, name not in "bd") for i, name in enumerate("abcde")]
    assert choose_scenes(products, {"b": 0.4, "d": 0.0}) == (
        ("c", "the median disagreement"),
        ("e", "the largest disagreement"),
        ("d", "the darkest, at night"),
    )
    assert choose_scenes(products, {"b": 0.4, "d": 0.6})[2] == ("b", "the darkest")
    assert choose_scenes(products, {"e": 0.0, "b": 0.4})[1:] == (
        ("e", "the largest disagreement, at night"),
        ("a", "the smallest disagreement"),
    )
    assert choose_scenes(products, {})[2] == ("a", "the smallest disagreement")


def test_few_products_give_few_scenes() -> None:
    assert choose_scenes([], {}) == ()
    assert choose_scenes([_product("a", 0.1)], {}) == (("a", "the median disagreement"),)
    two = choose_scenes([_product("a", 0.1), _product("b", 0.2)], {})
    assert [name for name, _ in two] == ["a", "b"]
    assert choose_scenes([_product("a", None), _product("b", 0.3)], {}) == (("b", "the median disagreement"),)
    assert choose_scenes([_product("a", None)], {}) == (("a", "one of the products with a mask"),)
