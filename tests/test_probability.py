"""What logits mean: by hand, and there and back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jaxmask.probability import (
    UNCHANGED,
    LogitLine,
    ProbabilityFit,
    chosen_fit,
    line_attributes,
    missing_fit,
    probability_line,
    shown_line,
    stored_line,
    theoretical_line,
    to_output,
    to_probability,
    undone,
)

FLOAT32 = {"rtol": 1e-6}  # a few units in the last place


def fit_of(model: str = "m", *, flips: bool = False, slope: float = 2.0) -> ProbabilityFit:
    return ProbabilityFit(slope, 0.5, model=model, flips=flips, products=("a",), pixels=10, cloud_pixels=4)


@pytest.mark.quick
def test_probability_by_hand() -> None:
    logits = np.log(np.array([1e-9, 1, 4, 1e9], np.float32))
    # b = 0.5: q = 0.5 means P = 2/3, q = 0.8 means odds 4 / 0.5 = 8
    found = to_probability(logits, 0.5, None)
    np.testing.assert_allclose(found, [2e-9, 2 / 3, 8 / 9, 1], **FLOAT32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(to_output(logits), [1e-9, 0.5, 0.8, 1], **FLOAT32)
    np.testing.assert_array_equal(to_probability(logits, 1.0, None), to_output(logits))
    # slope 2, intercept ln 3: odds 3 * 4^2
    fitted = to_probability(logits, 0.5, LogitLine(2.0, math.log(3)))
    np.testing.assert_allclose(fitted[1:3], [3 / 4, 48 / 49], **FLOAT32)


def test_extreme_logits_give_numbers() -> None:
    found = to_probability(np.array([-1e30, -200, 200, 1e30], np.float32), 0.25, None)
    np.testing.assert_array_equal(found, [0, 0, 1, 1])


def test_theory_is_taken_where_nothing_was_fitted() -> None:
    assert probability_line(0.25, None) == LogitLine(1.0, math.log(4))
    assert probability_line(0.25, fit_of()) == fit_of()


def test_what_a_mask_stores_is_undone() -> None:
    logits = np.linspace(-5, 5, 11)
    for attributes in (
        {},
        {"quantity": "q", "positive_weight": 0.5},
        {"quantity": "P", "positive_weight": 0.5},
        {"quantity": "P", "positive_weight": 0.5, **line_attributes(LogitLine(0.7, -1.5))},
    ):
        line = stored_line(attributes)
        stored = line.slope * logits + line.intercept
        np.testing.assert_allclose(undone(stored, line), logits, rtol=0, atol=1e-14)
    assert stored_line({}) == UNCHANGED
    assert stored_line({"quantity": "P", "positive_weight": 0.5}) == theoretical_line(0.5)
    assert stored_line({"quantity": "P", **line_attributes(LogitLine(0.7, -1.5))}) == LogitLine(0.7, -1.5)
    with pytest.raises(KeyError, match="positive_weight"):
        stored_line({"quantity": "P"})


def test_how_a_stored_value_becomes_a_probability() -> None:
    assert shown_line({"quantity": "P"}, fit_of()) == UNCHANGED
    assert shown_line({"quantity": "q", "positive_weight": 0.5}, fit_of()) == fit_of()
    assert shown_line({"positive_weight": 0.5}, None) == theoretical_line(0.5)
    with pytest.raises(KeyError, match="positive_weight"):
        shown_line({}, None)


def test_a_fit_holds_for_its_parameters_and_flips_alone() -> None:
    fits = [fit_of("a"), fit_of("a", flips=True, slope=3.0), fit_of("b", slope=4.0)]
    assert chosen_fit(fits, "a", True) == fits[1]
    assert chosen_fit(fits, "b", False) == fits[2]
    assert chosen_fit(fits, "b", True) is None
    assert missing_fit(fits, "b", True) == (
        "its calibration was fitted with no mirror images averaged, not as now; it is left aside"
    )
    assert missing_fit(fits[1:2], "a", False).startswith("its calibration was fitted with mirror images averaged")
    assert missing_fit(fits, "c", False) == "its calibration was fitted to model a, not to c; it is left aside"
    assert missing_fit([], "c", False) == ""


def test_a_probability_that_falls_is_no_fit() -> None:
    for slope in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="a slope above 0 and a finite intercept; found"):
            fit_of(slope=slope)
