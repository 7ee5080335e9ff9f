"""What the report draws is checked before: each damage is named with its place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from jaxmask.report_forms import check_history, check_inference, check_match_ups, check_scores
from preprocess.errors import UserError
from tests.run_evaluation import make_evaluation
from tests.run_folder import _epoch, _pair, _statistic, inference_record

EVALUATION = make_evaluation(["a"], ["b"], [])
SST = {"statistics": [_statistic("unet", "D2", "day", 3, 0.5, 0.1, 0.2)], "paired": [_pair("native", -0.01)]}


@pytest.mark.quick
def test_what_the_stages_write_is_well_and_so_is_what_older_ones_did() -> None:
    check_scores("e.json", EVALUATION)
    check_scores("e.json", {"records": []})
    check_match_ups("s.json", SST)
    check_match_ups("s.json", {"statistics": []})
    check_inference("i.json", inference_record())
    check_history("h.jsonl", [_epoch(1), {"epoch": 2, "train": {}, "test": None}])


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("records", 0, "true_positive"), -1, r"e.json, records\[0\]: expected 'true_positive' to be a whole number"),
        (("records", 1, "roc_area"), "high", r"records\[1\]: expected 'roc_area' to be a number or null; found high"),
        (("records", 0, "stratum"), 3, "'stratum' to be text"),
        (("products", 0, "product"), None, r"e.json, products\[0\]: expected 'product' to be text; found None"),
        (("products", 0, "disagreement"), "much", r"products\[0\]: expected 'disagreement' to be a number or null"),
        (("records", 0, "majority"), float("nan"), "'majority' to be a number or null; found nan"),
        (("curves",), {}, "'curves' to be a list"),
        (("curves", 0), 7, r"curves\[0\]: expected it to be an object; found 7"),
        (("curves", 0, "against"), "moon", "'against' to be label or truth; found moon"),
        (("curves", 0, "cloud"), None, "'cloud' to be a whole number from 0 on; found None"),
        (("curves", 0, "true_positive"), [0, 1.5], "'true_positive' to be a list of counts"),
        (("curves", 0, "false_positive"), [0], "true_positive and false_positive to be lists of one length"),
        (("curves", 0, "reliability"), [3], "'reliability' to be a list of objects"),
        (("curves", 0, "reliability", 0, "count"), 0, "bins that hold pixels"),
        (("curves", 0, "reliability", 0, "cloud_share"), None, "reliability: expected 'cloud_share' to be a number"),
    ],
)
def test_damage_of_an_evaluation_is_named(path: tuple[Any, ...], value: object, expected: str) -> None:
    _refused(lambda damaged: check_scores("e.json", damaged), EVALUATION, path, value, expected)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("statistics", 0, "rsd"), "wide", r"s.json, statistics\[0\]: expected 'rsd' to be a number or null"),
        (("statistics", 0, "mask"), ["unet"], r"statistics\[0\]: expected 'mask' to be text"),
        (("statistics", 0, "time_of_day"), None, r"statistics\[0\]: expected 'time_of_day' to be text; found None"),
        (("statistics", 0, "count"), "many", r"statistics\[0\]: expected 'count' to be a whole number from 0 on"),
        (("threshold",), "high", "s.json: expected 'threshold' to be a number or null; found high"),
        (("statistics", 0, "intervals"), [1], "'intervals' to be an object or null"),
        (("statistics", 0, "intervals", "rsd"), [0.1], "the interval of 'rsd' to be two numbers or null"),
        (("statistics", 0, "scenes"), None, "'scenes' to be a whole number; found None"),
        (("paired",), 3, "'paired' to be a list; found 3"),
        (("paired", 0, "minus"), None, r"paired\[0\]: expected 'minus' to be text"),
        (("paired", 0, "differences"), None, "'differences' to be an object"),
        (("paired", 0, "differences", "rsd"), "less", "'rsd' to be a number or null; found less"),
    ],
)
def test_damage_of_match_up_statistics_is_named(path: tuple[Any, ...], value: object, expected: str) -> None:
    _refused(lambda damaged: check_match_ups("s.json", damaged), SST, path, value, expected)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("masks",), 1.5, "i.json: expected 'masks' to be a whole number from 0 on; found 1.5"),
        (("seconds",), 0, "i.json: expected 'seconds' to be a number above 0; found 0"),
        (("finished",), None, "i.json: expected 'finished' to be text; found None"),
    ],
)
def test_damage_of_an_inference_is_named(path: tuple[Any, ...], value: object, expected: str) -> None:
    _refused(lambda damaged: check_inference("i.json", damaged), inference_record(), path, value, expected)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ((0, "test"), 3, "h.jsonl, epoch 1: expected 'test' to be an object or null; found 3"),
        ((0, "train", "loss"), "low", "h.jsonl, epoch 1, train: expected 'loss' to be a number or null; found low"),
        ((0, "patches_per_second"), "fast", "'patches_per_second' to be a number or null; found fast"),
        ((0, "wait_share"), True, "'wait_share' to be a number or null; found True"),
    ],
)
def test_damage_of_a_history_is_named(path: tuple[Any, ...], value: object, expected: str) -> None:
    _refused(lambda damaged: check_history("h.jsonl", damaged), [_epoch(1)], path, value, expected)


def _refused(check: Callable[[Any], None], whole: Any, path: tuple[Any, ...], value: object, expected: str) -> None:
    damaged = copy.deepcopy(whole)
    at = damaged
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(UserError, match=expected) as caught:
        check(damaged)
    assert str(caught.value).endswith("; make it again")
