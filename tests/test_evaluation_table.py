"""What people read of an evaluation: the table's lines and its warnings, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxmask.evaluation_records import make_curves, make_records
from jaxmask.evaluation_table import evaluation_lines
from jaxmask.evaluation_warnings import common_line, remarks_of, warnings_of
from jaxmask.judged import JudgedProduct, MaskNotes
from jaxmask.probability import LogitLine, ProbabilityFit
from jaxmask.product_scores import Job, score_product
from jaxmask.score_bins import BINS
from jaxmask.strata import ALL, LABEL_EDGE, TRUTH_EDGE
from jaxmask.tally import TRUTHS, Stratum, Tally
from tests.judging import write_places
from tests.shards import product_name

NOTES = MaskNotes("m", "none", 0.5, "q", 0, False, LogitLine(1.0, 0.5))


def tally(*, truth: bool) -> Tally:
    """30 pixels: label cloud in 20, of which the mask finds 15; 4 of 10 clear ones it calls cloud.

    With truth: cloud where the label is cloud, but in the 5 that the mask calls clear.
    """
    outcomes = np.zeros((TRUTHS, 2, 2), np.int64)
    outcomes[:2] = [[[6, 4], [5, 0]], [[0, 0], [0, 15]]]
    bins = np.zeros((TRUTHS, 2, BINS), np.int64)
    bins[:2, :, 100] = outcomes[:2, :, 0]
    bins[:2, :, -1] = outcomes[:2, :, 1]
    return Tally(outcomes, bins) if truth else Tally(_unknown(outcomes), _unknown(bins))


def _unknown(table: np.ndarray) -> np.ndarray:
    moved = np.zeros_like(table)
    moved[2] = table.sum(axis=0)
    return moved


def lines(*, truth: bool) -> list[str]:
    one = tally(truth=truth)
    strata = {ALL: one, Stratum("surface", "sea"): one, Stratum(LABEL_EDGE, "edge_1"): one}
    strata |= {Stratum(TRUTH_EDGE, "edge_1"): one} if truth else {}
    return evaluation_lines(make_records({"test": strata}, "test", LogitLine(1.0, 0.0)), "test", 2)


@pytest.mark.quick
def test_agreement_alone_by_hand() -> None:
    found = lines(truth=False)
    assert found[0] == "Cloud masks of 2 products of the test part, % of pixels; areas, ECE 0-1:"
    # ROC: of 20 * 10 pairs 15 * 6 in order, 15 * 4 + 5 * 6 tied: 135 of 200. PR: 15 / 20 * 15 / 19 + 5 / 20 * 20 / 30.
    # ECE: of P 0, 5 of 11 are cloud; of P 1, 15 of 19: (5 + 4) / 30.
    overall = "U-Net label        30 70.00  78.95  75.00 40.00 76.92 62.50 0.6750 0.7588 0.3000"
    assert found[2] == overall
    assert found[3:5] == [
        "A mask that is all cloud agrees with the label on 66.67 % (F1 80.00 %), one all",
        "clear on 33.33 %.",
    ]
    assert found[-4:] == [
        "by surface:",
        "  sea                      30  70.0   25.0  40.0  76.9  62.5  66.7 0.6750",
        "by cloud edge:",
        "  edge_1                   30  70.0   25.0  40.0  76.9  62.5  66.7 0.6750",
    ]


def test_truth_stands_beside_the_label_by_hand() -> None:
    found = lines(truth=True)
    # Against truth the mask has 15 hits, 4 false alarms of 15; the label 15 hits and 5 false alarms.
    assert found[3].startswith("U-Net truth        30 86.67  78.95  100.0 26.67 88.24")
    assert found[4] == "label truth        30 83.33  75.00  100.0 33.33 85.71 75.00      -      -      -"
    assert "Label errors corrected: 100.00 % of 5; right labels spoiled: 16.00 % of 25." in found
    of_truth = found.index("Against the truth:")
    assert found[of_truth - 6 : of_truth - 1] == [
        "stratum                pixels right missed false    F1   IoU major    ROC",
        "by surface:",
        "  sea                      30  70.0   25.0  40.0  76.9  62.5  66.7 0.6750",
        "by cloud edge:",
        "  edge_1                   30  70.0   25.0  40.0  76.9  62.5  66.7 0.6750",
    ]
    assert found[of_truth + 1 :] == [
        "                                          U-Net             label       U-Net",
        "stratum                pixels right  miss false right  miss false  corr spoil",
        "by surface:",
        "  sea                      30  86.7   0.0  26.7  83.3   0.0  33.3 100.0  16.0",
        "by cloud edge:",
        "  edge_1                   30  86.7   0.0  26.7  83.3   0.0  33.3 100.0  16.0",
    ]


def test_no_line_is_wider_than_a_terminal(tmp_path: Path) -> None:
    name = product_name(0)
    write_places(tmp_path)
    job = Job(tmp_path / "out" / f"{name}.h5", tmp_path / "hdf" / "day" / f"{name}.hdf", tmp_path / "truth", None, "t")
    many = {stratum: Tally(one.outcomes * 10**7, one.bins) for stratum, one in score_product(job).tallies.items()}
    for parts in ({"all": many}, {"train": many, "all": many}):
        records = make_records(parts, "all", None)
        found = evaluation_lines(records, "all", 971)
        assert 70 < max(map(len, found)) <= 80
        assert len(found) > 40
    assert {"train:", "all:"} <= set(found)


def test_curves_and_records_without_a_line_say_nothing_of_calibration() -> None:
    strata = {ALL: tally(truth=True)}
    [record, *_] = make_records({"all": strata}, "all", None)
    assert record["expected_calibration_error"] is None
    assert record["brier"] is None
    assert [curve["against"] for curve in make_curves(strata, "all", None)] == ["label", "truth"]
    assert "reliability" not in make_curves(strata, "all", None)[0]
    assert "reliability" in make_curves(strata, "all", LogitLine(1.0, 0.0))[0]


def judged(product: str = "A", split: str = "test", *, labelled: bool = True, **notes: Any) -> JudgedProduct:
    return JudgedProduct(product, split, labelled, False, replace(NOTES, **notes), {}, {})


def test_warnings_by_hand() -> None:
    assert warnings_of([judged(), judged("B", "none"), judged("C", "test", part="test")]) == []
    assert warnings_of([judged("B", "train"), judged("C", "none", part="train"), judged()]) == [
        "the model was trained on 2 of these products, such as B"
    ]
    assert warnings_of([judged("B", "validation", part="train"), judged("C", "validation")]) == [
        "the model was trained on 1 of these products, such as B",
        "the model was chosen by its loss on 1 of these products, such as C",
        "1 masks say that their product is of another part than --model says, such as B (train, not validation)",
    ]
    assert warnings_of([judged(), judged(model="n", threshold=0.4, quantity="P", buffer=2)]) == [
        "these masks are of more than one model",
        "these masks are of more than one threshold",
        "these masks are of more than one quantity (network's output or probability)",
        "these masks are of more than one buffer",
    ]
    assert warnings_of([replace(judged(), with_truth=True), judged("B")], truth_asked=True) == [
        "1 of 2 products have no truth there, such as B"
    ]


def test_remarks_by_hand() -> None:
    assert remarks_of([judged(labelled=False), judged()], 3) == [
        "1 products without labels count no pixels",
        "3 masks are of another part or have no shard",
    ]
    assert remarks_of([judged()], 0) == []


def test_the_probability_is_the_models_fit_where_all_masks_have_one() -> None:
    fit = ProbabilityFit(slope=2.0, intercept=1.0, model="m", flips=False, products=("A",), pixels=10, cloud_pixels=4)
    assert common_line([judged(), judged()], ()) == NOTES.line
    assert common_line([judged(), judged()], (fit,)) == fit
    assert common_line([judged(flips=True)], (fit,)) == NOTES.line, "fitted without mirror images"
    assert common_line([judged(quantity="P", line=LogitLine(1.0, 0.0))], (fit,)) == LogitLine(1.0, 0.0), "P already"
    assert common_line([judged(), judged(model="n")], (fit,)) is None
    assert common_line([judged(line=None)], ()) is None
