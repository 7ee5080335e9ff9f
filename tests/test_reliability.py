"""Reliability from bins against the same from single pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from jaxmask.probability import UNCHANGED, LogitLine
from jaxmask.reliability import RELIABILITY_BINS, reliability
from jaxmask.score_bins import BINS, count_bins

LINE = LogitLine(0.7, -0.4)


@pytest.mark.quick
def test_bins_tell_what_pixels_do() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, 20_000)
    probability = expit(LINE.slope * logits + LINE.intercept)
    cloud = rng.random(20_000) < probability**2  # not what it says
    error, brier = 0.0, float(((probability - cloud) ** 2).mean())
    found = reliability(count_bins(expit(logits), cloud, np.ones(20_000, bool)), LINE)
    shown = {round(each["low"] * RELIABILITY_BINS): each for each in found["bins"]}
    for index in range(RELIABILITY_BINS):
        chosen = (probability >= index / 15) & (probability < (index + 1) / 15)
        assert abs(shown[index]["count"] - chosen.sum()) <= 20  # pixels within 1/256 of an edge's logit may change side
        assert shown[index]["cloud_share"] == pytest.approx(cloud[chosen].mean(), abs=0.02)
        assert shown[index]["probability"] == pytest.approx(probability[chosen].mean(), abs=2e-3)
        error += abs(probability[chosen].sum() - cloud[chosen].sum()) / 20_000
    assert found["count"] == sum(each["count"] for each in found["bins"]) == 20_000
    # slope / 1024 at most for each pixel
    assert found["expected_calibration_error"] == pytest.approx(error, abs=1e-3)
    assert found["brier"] == pytest.approx(brier, abs=1e-3)
    assert error > 0.05


def test_by_hand() -> None:
    # 10 pixels at P = 0.5, 8 of them cloud, and 30 clear ones at P = 0.1
    counts = np.array([[2, 8], [30, 0]])
    found = reliability(counts, UNCHANGED, np.log([1.0, 1 / 9]))
    assert found["expected_calibration_error"] == pytest.approx((10 * 0.3 + 30 * 0.1) / 40)
    assert found["brier"] == pytest.approx((10 * 0.25 + 30 * 0.01) / 40)
    assert [(each["count"], each["cloud_share"]) for each in found["bins"]] == [(30, 0.0), (10, 0.8)]
    assert found["bins"][0]["probability"] == pytest.approx(0.1)
    assert (found["bins"][0]["low"], found["bins"][0]["high"]) == (1 / 15, 2 / 15)


def test_certainty_is_in_the_last_bin_and_no_pixels_are_no_figures() -> None:
    certain = reliability(np.array([[0, 5]]), UNCHANGED, np.array([50.0]))
    assert [(each["high"], each["count"]) for each in certain["bins"]] == [(1.0, 5)]
    nothing = reliability(np.zeros((BINS, 2), np.int64), LINE)
    assert nothing == {"count": 0, "expected_calibration_error": None, "brier": None, "bins": []}
