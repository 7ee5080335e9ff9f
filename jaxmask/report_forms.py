"""Whether what the stages left has the form that the report draws: what is there must be as the stages write it.

Keys that older versions did not write may be missing; those that are there must hold what belongs there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxmask.split import PARTS
from preprocess.errors import UserError

Record = Mapping[str, Any]
SCORES = ("loss", "accuracy", "precision", "recall", "f1", "iou")
COUNTS = ("count", "true_positive", "false_positive", "false_negative", "true_negative")
SHARES = ("agreement", "accuracy", "majority", "all_cloud", *SCORES[2:], "roc_area", "expected_calibration_error")
NAMES = ("mask", "against", "part", "stratum")
PRODUCT_NUMBERS = ("count", "label_cloud_share", "mask_cloud_share", "disagreement")
STATISTICS = ("coverage", "median", "rsd", "cold_tail", "warm_tail", "scenes", "eligible")
BIN = ("low", "high", "count", "probability", "cloud_share")


def check_history(what: str, history: Iterable[Record]) -> None:
    """Raise UserError, naming `what` and the epoch, unless scores, seconds and speeds are numbers or null."""
    for epoch in history:
        where = f"{what}, epoch {epoch['epoch']}"
        for part in PARTS:
            scores = epoch.get(part)
            _expect(scores is None or isinstance(scores, dict), where, f"'{part}'", "an object or null", scores)
            _numbers(f"{where}, {part}", scores or {}, SCORES)
        _numbers(where, epoch, ("patches_per_second", "wait_share", *(f"{part}_seconds" for part in PARTS)))


def check_inference(what: str, record: Record) -> None:
    """Raise UserError, naming `what`, unless it is what a process of an inference records of itself."""
    _all(what, record, ("masks", "pixels", "devices", "process", "processes"), _is_count, "a whole number from 0 on")
    _all(what, record, ("seconds",), lambda value: _is_number(value) and value > 0, "a number above 0")
    _all(what, record, ("backend", "precision", "device", "finished"), _is_text, "text")


def check_scores(what: str, evaluation: Record) -> None:
    """The same of an evaluation's records, which have names and a count, and of its products and curves, if any."""
    for place, product in enumerate(evaluation.get("products", [])):
        where = f"{what}, products[{place}]"
        _all(where, product, ("product", "part"), _is_text, "text")
        _numbers(where, product, PRODUCT_NUMBERS)
    for place, record in enumerate(evaluation["records"]):
        where = f"{what}, records[{place}]"
        _all(where, record, NAMES, _is_text, "text")
        _all(where, record, [name for name in COUNTS if name in record], _is_count, "a whole number from 0 on")
        _numbers(where, record, SHARES)
    curves = evaluation.get("curves", [])
    _expect(isinstance(curves, list), what, "'curves'", "a list", curves)
    for place, curve in enumerate(curves):
        _check_curve(f"{what}, curves[{place}]", curve)


def _check_curve(where: str, curve: Any) -> None:
    _expect(isinstance(curve, dict), where, "it", "an object", curve)
    _all(where, curve, ("against", "part", "stratum"), _is_text, "text")
    _expect(curve["against"] in ("label", "truth"), where, "'against'", "label or truth", curve["against"])
    _all(where, curve, ("cloud", "clear"), _is_count, "a whole number from 0 on")
    points = ("true_positive", "false_positive")
    _all(where, curve, points, lambda value: isinstance(value, list) and all(map(_is_count, value)), "a list of counts")
    lengths = [len(curve[name]) for name in points]
    _expect(lengths[0] == lengths[1] > 0, where, " and ".join(points), "lists of one length", lengths)
    bins = curve.get("reliability", [])
    _expect(isinstance(bins, list), where, "'reliability'", "a list", bins)
    for found in bins:
        _expect(isinstance(found, dict), where, "'reliability'", "a list of objects", found)
        _all(f"{where}, reliability", found, BIN, lambda value: _is_number(value) and value >= 0, "a number from 0 on")
        _expect(found["count"] > 0, where, "'reliability'", "bins that hold pixels", found["count"])


def check_match_ups(what: str, sst: Record) -> None:
    """The same of the numbers, names and intervals of `statistics`, of `paired` and of the thresholds, if there."""
    _numbers(what, sst, ("threshold",))
    _all(what, sst, [name for name in ("bayes_threshold",) if name in sst], _is_number, "a number")
    for name in ("statistics", "paired"):
        records = sst.get(name, [])
        _expect(isinstance(records, list), what, f"'{name}'", "a list", records)
        for place, record in enumerate(records):
            where = f"{what}, {name}[{place}]"
            _expect(isinstance(record, dict), where, "it", "an object", record)
            _all(where, record, ("mask", "algorithm", "time_of_day"), _is_text, "text")
            _numbers(where, record, STATISTICS)
            _check_intervals(where, record)
            if name == "statistics":
                _all(where, record, ("count",), _is_count, "a whole number from 0 on")
            else:
                _all(where, record, ("minus", "at"), _is_text, "text")
                _all(where, record, ("differences",), lambda value: isinstance(value, dict), "an object")
                _numbers(where, record["differences"], record["differences"])


def check_match_up_curves(what: str, sst: Record) -> None:
    """The same of `coverage_curves`, `equal_coverage` and `dependence`, if there."""
    for name in ("coverage_curves", "equal_coverage", "dependence"):
        records = sst.get(name, [])
        _expect(isinstance(records, list), what, f"'{name}'", "a list", records)
        for place, record in enumerate(records):
            where = f"{what}, {name}[{place}]"
            _expect(isinstance(record, dict), where, "it", "an object", record)
            _all(where, record, ("mask", "algorithm", "time_of_day"), _is_text, "text")
            if name == "coverage_curves":
                _all(where, record, ("eligible",), _is_count, "a whole number from 0 on")
                _all(where, record, ("points",), lambda value: isinstance(value, list), "a list")
                for point in record["points"]:
                    _expect(isinstance(point, dict), where, "'points'", "a list of objects", point)
                    _check_spread(where, point, ("coverage",), ("rsd", "cold_tail"))
            elif name == "equal_coverage":
                _check_spread(where, record, (), ("median", "rsd"))
                _check_intervals(where, record)
            else:
                _all(where, record, ("by",), _is_text, "text")
                _check_spread(where, record, ("from", "to"), ("median", "rsd"))


def _check_spread(where: str, record: Record, always: Iterable[str], if_any: Iterable[str]) -> None:
    """A count, numbers that are `always` there, and numbers that are there if the count is not 0."""
    _all(where, record, ("count",), _is_count, "a whole number from 0 on")
    _all(where, record, always if not record["count"] else (*always, *if_any), _is_number, "a number")


def _check_intervals(where: str, record: Record) -> None:
    found = record.get("intervals")
    _expect(found is None or isinstance(found, dict), where, "'intervals'", "an object or null", found)
    for name, bounds in (found or {}).items():
        is_pair = isinstance(bounds, list) and len(bounds) == 2 and all(b is None or _is_number(b) for b in bounds)
        _expect(bounds is None or is_pair, where, f"the interval of '{name}'", "two numbers or null", bounds)
    _expect(not found or _is_count(record.get("scenes")), where, "'scenes'", "a whole number", record.get("scenes"))


def _numbers(where: str, record: Record, names: Iterable[str]) -> None:
    present = [name for name in names if record.get(name) is not None]
    _all(where, record, present, _is_number, "a number or null")


def _all(where: str, record: Record, names: Iterable[str], fits: Callable[[Any], bool], what: str) -> None:
    for name in names:
        _expect(fits(record.get(name)), where, f"'{name}'", what, record.get(name))


def _expect(fits: bool, where: str, name: str, what: str, found: object) -> None:
    if not fits:
        raise UserError(f"{where}: expected {name} to be {what}; found {str(found)[:60]}; make it again")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
