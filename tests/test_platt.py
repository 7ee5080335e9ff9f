"""Platt scaling against SciPy's minimiser and a fit of single pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from jaxmask.platt import fit_line
from jaxmask.score_bins import CENTRES, count_bins


def pixels(seed: int, count: int, slope: float, intercept: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from the probability that a line gives them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, count)
    return logits, rng.random(count) < expit(slope * logits + intercept)


def scipy_fit(logits: np.ndarray, clear: np.ndarray, cloud: np.ndarray) -> np.ndarray:
    """Platt's maximum by another method, from other beginnings."""
    n0, n1 = clear.sum(), cloud.sum()
    hit, missed = (n1 + 1) / (n1 + 2), 1 / (n0 + 2)

    def loss(line: np.ndarray) -> float:
        scaled = line[0] * logits + line[1]
        low, high = np.logaddexp(0, scaled), np.logaddexp(0, -scaled)
        return float(
            (cloud * (hit * high + (1 - hit) * low) + clear * (missed * high + (1 - missed) * low)).sum() / (n0 + n1)
        )

    return minimize(loss, [0.1, 0.1], method="BFGS", options={"gtol": 1e-9}).x


@pytest.mark.quick
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -1.3), (2.5, 3.0)])
def test_the_fit_is_scipys(slope: float, intercept: float) -> None:
    logits, cloud = pixels(1, 4000, slope, intercept)
    counts = count_bins(expit(logits), cloud, np.ones(4000, bool))
    found = fit_line(CENTRES, counts)
    # Of the same bins: only the two minimisers differ, BFGS with numerical gradients being the coarser.
    np.testing.assert_allclose([found.slope, found.intercept], scipy_fit(CENTRES, *counts.T), atol=1e-5)
    # Of the pixels themselves: a bin's centre is at most 1/256 from its logits, and errors cancel.
    exact = scipy_fit(logits, ~cloud, cloud)
    np.testing.assert_allclose([found.slope, found.intercept], exact, atol=1e-3)
    # And it finds the line that made them, to the noise of 4000 pixels.
    assert abs(found.slope - slope) < 0.2 * slope
    assert abs(found.intercept - intercept) < 0.2 * slope + 0.1


def test_it_converges_from_far_away() -> None:
    """Newton's step alone would run off where hardly any pixel is undecided."""
    logits = np.array([-15.0, -14.0, 14.0, 15.0])
    counts = np.array([[10**9, 1], [10**9, 3], [2, 10**9], [1, 10**9]])
    found = fit_line(logits, counts)
    np.testing.assert_allclose([found.slope, found.intercept], scipy_fit(logits, *counts.T), rtol=1e-3, atol=1e-2)
    steep = fit_line(np.array([-0.01, 0.01]), np.array([[900, 100], [100, 900]]))
    # Two bins, two parameters: the probabilities are Platt's smoothed shares, (1 + n1 ...) to 1/1000.
    np.testing.assert_allclose(0.01 * steep.slope + steep.intercept, np.log(9), atol=0.01)
    assert abs(steep.intercept) < 1e-8


def test_pixels_that_a_logit_divides_have_a_finite_fit() -> None:
    found = fit_line(np.array([-1.0, 1.0]), np.array([[50, 0], [0, 50]]))
    # P of the clear bin is 1/52, of the cloudy one 51/52: logits -+ ln 51
    np.testing.assert_allclose([found.slope, found.intercept], [np.log(51), 0], atol=1e-8)


def test_counts_matter_not_their_order_or_empty_bins() -> None:
    logits, cloud = pixels(2, 1000, 1.5, 0.3)
    counts = count_bins(expit(logits), cloud, np.ones(1000, bool))
    some = counts.any(axis=1)
    whole, few = fit_line(CENTRES, counts), fit_line(CENTRES[some][::-1], counts[some][::-1])
    np.testing.assert_allclose([few.slope, few.intercept], [whole.slope, whole.intercept], rtol=1e-9)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(ValueError, match="5 clear and 0 cloudy pixels; expected some of both"):
        fit_line(np.array([0.0, 1.0]), np.array([[2, 0], [3, 0]]))
    with pytest.raises(ValueError, match="logits of 1 different values; expected at least 2"):
        fit_line(np.array([0.0, 1.0]), np.array([[2, 4], [0, 0]]))
