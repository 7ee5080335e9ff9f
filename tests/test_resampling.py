"""Resamples of scenes: each draws as many as there are, fairly; intervals are percentiles."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask import resampling


@pytest.mark.quick
def test_each_resample_draws_as_many_scenes_as_there_are() -> None:
    found = resampling.multiplicities(17, 3000, seed=2)
    assert found.shape == (3000, 17)
    assert (found.sum(axis=1) == 17).all()
    np.testing.assert_array_equal(found, resampling.multiplicities(17, 3000, seed=2))
    assert (found != resampling.multiplicities(17, 3000, seed=3)).any()
    # Binomial(17, 1/17): mean 1, variance 16/17; 5 sd of the mean of 51,000 draws is 0.022, of the variance 0.04.
    assert found.mean(axis=0) == pytest.approx(1, abs=5 * np.sqrt(1 / 3000))
    assert found.var() == pytest.approx(16 / 17, abs=0.04)


def test_no_scene_no_draw() -> None:
    assert resampling.multiplicities(0, 5).shape == (5, 0)
    assert resampling.multiplicities(3, 0).shape == (0, 3)


def test_interval_is_of_the_resamples_that_have_the_statistic() -> None:
    values = np.random.default_rng(0).normal(size=401)
    expected = np.percentile(values, [2.5, 97.5]).tolist()
    assert resampling.interval(np.concatenate([values, [np.nan]])) == pytest.approx(expected, abs=1e-14)
    assert resampling.interval(np.full(3, np.nan)) is None
    assert resampling.interval(np.arange(11.0), level=0.8) == pytest.approx([1, 9], abs=1e-14)


def test_under_ten_scenes_or_without_resamples_there_is_no_interval_and_it_is_said_why() -> None:
    assert resampling.why_no_interval(10, 2000) is None
    assert resampling.why_no_interval(9, 2000) == "9 scenes with rows, fewer than 10"
    assert resampling.why_no_interval(1, 2000) == "1 scene with rows, fewer than 10"
    assert resampling.why_no_interval(100, 0) == "no resamples were asked for"


def test_scene_sums_by_hand() -> None:
    found = resampling.scene_sums(np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), 4)
    np.testing.assert_array_equal(found, [2, 0, 5, 0])
