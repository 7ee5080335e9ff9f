"""Charts of agreement: their numbers against those that tests/run_evaluation.py was made of, worked out by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from jaxmask.figures_confusion import Confusion, confusion_bars, short_count
from jaxmask.figures_diagram import Bins, stairs
from jaxmask.report_agreement import agreement_charts
from jaxmask.report_scores import confusion_tables, shown_part
from tests.run_evaluation import make_evaluation


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    """As evaluate writes it."""
    return make_evaluation(["a"], ["b"], [])


def _texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


def _description(svg: str) -> str:
    return re.findall(r"<desc[^>]*>([^<]+)</desc>", svg)[0]


@pytest.mark.quick
def test_confusion_by_surface_and_light(evaluation: dict[str, Any]) -> None:
    """By night of 1000: label and mask 390, label alone 60 + 90... counted from NIGHT: 30 + 360, 30 + 120, 60 + 40."""
    charts = agreement_charts(evaluation)
    label, truth, bayes = charts[:3]
    texts = _texts(label.svg)
    assert [text for text in texts if re.match("(all|day|night|dark|sea|land|coast|snow),", text)] == [
        "all, 9.00 k", "day, 6.00 k", "night, 3.00 k", "dark, 3.00 k", "sea, 6.00 k", "land, 3.00 k", "coast, 1.00 k",
        "snow, 1.00 k",
    ]  # fmt: skip
    wrong = [text for text in texts if text.startswith("missed ") and "false" in text]
    assert wrong[:3] == ["missed 10.3, false 9.3 %", "missed 8.0, false 9.0 %", "missed 15.0, false 10.0 %"]
    assert {"cloud in both", "missed cloud", "false alarm", "clear in both"} <= set(texts)
    told = "night, 3,000 pixels: cloud in both 39.0 %, missed cloud 15.0 %, false alarms 10.0 %, clear in both 36.0 %"
    assert told in _description(label.svg)
    assert "held-out pixels" in label.caption
    # of the truth by day, 30 + 40 + 60 + 420 cloud: the mask misses 70, the label 90
    assert "missed 7.0, false 5.0 %" in _texts(truth.svg)
    assert "missed 9.0, false 6.0 %" in _texts(bayes.svg)
    assert "Missed cloud is in the truth alone" in bayes.caption
    assert len(re.findall("<pattern", label.svg)) == 2, "what colour tells is hatched, too"


def test_numbers_stand_only_where_there_is_room() -> None:
    """Parts of 91, 9, 0 and 0 % and 8 of 100."""
    assert [t for t in _texts(confusion_bars("a", "t", [Confusion("x", 91, 9, 0, 0)])) if t in ("91", "9", "0")] == [
        "0", "91", "9"
    ], "the axis has a 0 of its own"  # fmt: skip
    assert "8" not in _texts(confusion_bars("a", "t", [Confusion("x", 92, 8, 0, 0)]))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (950, "950"), (1000, "1.00 k"), (95_728, "95.7 k"), (455_967, "456 k"), (999_499, "999 k"),
     (999_500, "1.00 M"), (1_710_000, "1.71 M"), (1_234_567_890, "1235 M")],
)  # fmt: skip
def test_short_counts(count: int, text: str) -> None:
    assert short_count(count) == text


def test_roc_reliability_and_precision(evaluation: dict[str, Any]) -> None:
    """Thresholds: the mask finds 3810 of 4740 with 840 of 4260 false; Bayes 4200 of 5040 of the truth, 540 of 3960."""
    reliability, roc, precision = agreement_charts(evaluation)[3:]
    record = evaluation["records"][0]
    assert f"against the Bayes label, ECE {record['expected_calibration_error']:.3f}" in _texts(reliability.svg)
    assert {"P(cloud) of the U-Net", "share with cloud", "pixels per bin", "as often as it says"} <= set(
        _texts(reliability.svg)
    )
    assert "of 927 pixels" in _description(reliability.svg), "the lowest bin"
    told = _description(roc.svg)
    assert f"U-Net against the Bayes label, area {record['roc_area']:.3f}" in told
    assert "U-Net at its threshold, against the Bayes label: finds 80.4 % with 19.7 % false alarms" in told
    assert "Bayes at its threshold, against truth: finds 83.3 % with 13.6 % false alarms" in told
    assert {"guessing", "false alarms, % of clear pixels", "cloud found, % of cloudy pixels"} <= set(_texts(roc.svg))
    assert {"share of cloud in the Bayes label", "recall, % of cloudy pixels"} <= set(_texts(precision.svg))


def test_tables_of_outcomes(evaluation: dict[str, Any]) -> None:
    label, truth, bayes = confusion_tables(evaluation)
    assert [cell.text for cell in label.rows[0]] == ["all", "9,000", "3,810", "930", "840", "3,420", "19.6", "19.7"]
    assert [cell.text for cell in truth.rows[0]][2:6] == ["4,080", "960", "570", "3,390"]
    assert [cell.text for cell in bayes.rows[0]][2:6] == ["4,200", "840", "540", "3,420"]
    one_class = {"mask": "unet", "against": "label", "part": "all", "stratum": "all", "count": 2, "true_positive": 0,
                 "false_negative": 0, "false_positive": 1, "true_negative": 1}  # fmt: skip
    (table,) = confusion_tables({"records": [one_class]})
    assert [cell.reason for cell in table.rows[0][6:]] == ["no cloud", ""]
    assert [chart.caption[:5] for chart in agreement_charts({"records": [one_class]})] == ["U-Net"], "no point on a ROC"


def test_an_evaluation_of_old_gives_what_it_can(evaluation: dict[str, Any]) -> None:
    names = ("mask", "against", "part", "stratum", "count", "agreement")
    records = [{name: record.get(name) for name in names} for record in evaluation["records"]]
    assert agreement_charts({"records": records}) == ()
    assert confusion_tables({"records": records}) == ()
    assert agreement_charts({"records": []}) == ()
    without = [{name: curve[name] for name in curve if name != "reliability"} for curve in evaluation["curves"]]
    captions = [chart.caption for chart in agreement_charts({**evaluation, "curves": without})]
    assert len(captions) == 5
    assert not any("Reliability" in caption for caption in captions)


def test_one_part_is_shown_the_held_out_one_first(evaluation: dict[str, Any]) -> None:
    records = [record | {"part": part} for record in evaluation["records"] for part in ("train", "test", "all")]
    assert shown_part({"records": records}) == "test"
    assert len(confusion_tables({"records": records})[0].rows) == 8, "no stratum twice"
    assert shown_part({"records": [record for record in records if record["part"] == "train"]}) == "train"


def test_stairs_leave_a_gap_where_no_pixel_is() -> None:
    edges, counts = stairs(Bins("x", [0, 0.5], [0.25, 0.75], [3, 4], [0.1, 0.6], [0, 1]))
    np.testing.assert_array_equal(edges, [0, 0.25, 0.5, 0.75])
    np.testing.assert_array_equal(counts, [3, np.nan, 4])
