"""Areas and curves against exact computations on single pixels, ties included."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.curves import curve, precision_recall_area, roc_area
from jaxmask.score_bins import BINS, EDGES, bin_index, count_bins


def exact_roc_area(scores: np.ndarray, cloud: np.ndarray) -> float:
    """All pairs, one by one; a tie is half a pair."""
    pairs = [(high > low) + (high == low) / 2 for high in scores[cloud] for low in scores[~cloud]]
    return float(np.mean(pairs))


def exact_average_precision(scores: np.ndarray, cloud: np.ndarray) -> float:
    """As scikit-learn defines it: sum over distinct thresholds of (R_n - R_(n-1)) P_n."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        called = scores >= threshold
        recall, precision = (called & cloud).sum() / cloud.sum(), (called & cloud).sum() / called.sum()
        total, before = total + (recall - before) * precision, recall
    return float(total)


@pytest.mark.quick
def test_areas_by_hand_with_ties() -> None:
    # Rising outputs: clear; clear and cloud; cloud, cloud and clear.
    bins = np.array([[1, 0], [1, 1], [1, 2]])
    # Pairs of 3 clear and 3 cloud: first clear below all 3; second ties one, below 2; third ties 2: 3 + 2.5 + 1 of 9.
    assert roc_area(bins) == pytest.approx(6.5 / 9, abs=1e-15)
    # Thresholds from above: 2 of 3 cloud, 3 called: 2/3 * 2/3; then the third, 5 called: 1/3 * 3/5.
    assert precision_recall_area(bins) == pytest.approx(4 / 9 + 1 / 5, abs=1e-15)
    assert roc_area(bins[:, ::-1][::-1]) == pytest.approx(6.5 / 9, abs=1e-15), "both classes and the order exchanged"


@pytest.mark.parametrize("seed", range(6))
def test_areas_equal_those_of_single_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6 + 4 * seed, 60)  # few values: many ties
    cloud = rng.random(60) < (scores + 3) / (12 + 4 * seed)
    bins = np.stack([np.bincount(scores[pixels], minlength=40) for pixels in (~cloud, cloud)], axis=1)
    assert roc_area(bins) == pytest.approx(exact_roc_area(scores, cloud), abs=1e-12)  # float64 sums of 60
    assert precision_recall_area(bins) == pytest.approx(exact_average_precision(scores, cloud), abs=1e-12)


def test_areas_of_real_outputs_are_those_of_their_bins() -> None:
    rng = np.random.default_rng(3)
    cloud = rng.random(150) < 0.4
    q = 1 / (1 + np.exp(-rng.normal(np.where(cloud, 1.5, -1.5), 2)))
    bins = count_bins(q, cloud, np.ones(150, bool))
    assert roc_area(bins) == pytest.approx(exact_roc_area(bin_index(q), cloud), abs=1e-12)
    assert roc_area(bins) == pytest.approx(exact_roc_area(q, cloud), abs=1e-3), "a bin of 1/128 ties next to nothing"


def test_no_pairs_have_no_area() -> None:
    assert roc_area(np.array([[0, 1], [0, 4]])) is None
    assert roc_area(np.array([[3, 0], [1, 0]])) is None
    assert precision_recall_area(np.array([[3, 0]])) is None
    assert precision_recall_area(np.array([[0, 0], [3, 1]])) == 0.25


def test_sums_beyond_int64_are_no_danger() -> None:
    bins = np.array([[2**40, 2**38], [2**38, 2**40]])
    assert roc_area(bins) == roc_area(bins // 2**38) == (1 * 4 / 2 + 4 * (4 + 1 / 2)) / 25


def test_curve_points_are_counts_at_their_thresholds() -> None:
    rng = np.random.default_rng(5)
    cloud = rng.random(500) < 0.3
    logit = EDGES[rng.integers(0, BINS, 500)] / 4 + 1e-4  # never at an edge
    q = 1 / (1 + np.exp(-logit))
    found = curve(count_bins(q, cloud, np.ones(500, bool)))
    assert (found["cloud"], found["clear"]) == (int(cloud.sum()), int((~cloud).sum()))
    assert found["true_positive"][0] == found["false_positive"][0] == 0
    assert (found["true_positive"][-1], found["false_positive"][-1]) == (found["cloud"], found["clear"])
    assert np.all(np.diff(found["threshold"]) < 0)
    points = list(zip(found["true_positive"], found["false_positive"], strict=True))
    assert len(set(points)) == len(points) > 20
    for threshold, point in zip(found["threshold"], points, strict=True):
        called = q >= threshold
        assert point == (int((called & cloud).sum()), int((called & ~cloud).sum()))
