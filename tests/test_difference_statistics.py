"""Statistics of differences against pandas and SciPy; those of resamples against resamples written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jaxmask.difference_statistics import STATISTICS, estimates, make_sample, replicates, subtract
from jaxmask.resampling import multiplicities

REPLICATES = 40


def by_pandas(kept: np.ndarray, eligible: int, bayes_median: float) -> dict[str, float | None]:
    """The statistics of the kept differences, K."""
    series = pd.Series(kept)
    deviation = 1.4826 * stats.median_abs_deviation(kept) if len(kept) else None
    numbers = {
        "coverage": len(kept) / eligible,
        "median": series.median(),
        "rsd": deviation,
        "mean": series.mean(),
        "sd": series.std(),
        "cold_tail": (series < -1).mean(),
        "cold_tail_relative": (series < bayes_median - 1).mean(),
        "warm_tail": (series > 1).mean(),
        "warm_tail_relative": (series > bayes_median + 1).mean(),
    }
    return {name: None if value is None or np.isnan(value) else float(value) for name, value in numbers.items()}


def random_rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = int(rng.choice([1, 2, 5, 60, 400]))
    digits = int(rng.choice([0, 1, 2, 12]))
    difference = np.round(rng.normal(-0.3, 0.9, count) - 3 * (rng.random(count) < 0.1), digits)
    return difference, rng.integers(0, 14, count) * 3, rng.random(count) < 0.8


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(25))
def test_estimates_equal_pandas_and_scipy(seed: int) -> None:
    difference, scene, eligible = random_rows(seed)
    clear = np.random.default_rng(seed).random(len(difference)) < 0.6
    sample = make_sample(difference, scene, eligible)
    if not eligible.any():
        return
    found = estimates(sample, clear[sample.rows], -0.25)
    # Sums in another order: float64 rounding of at most 400 terms.
    assert found == pytest.approx(by_pandas(difference[eligible & clear], eligible.sum(), -0.25), abs=1e-12)


def test_rows_on_a_bound_are_in_no_tail() -> None:
    difference = np.array([-1.25, -1.0, 0.0, 0.75, 1.0])
    sample = make_sample(difference, np.zeros(5, int), np.ones(5, bool))
    found = estimates(sample, np.ones(5, bool), -0.25)
    assert (found["cold_tail"], found["cold_tail_relative"]) == (0.2, 0.0)
    assert (found["warm_tail"], found["warm_tail_relative"]) == (0.0, 0.2)


def test_nothing_kept_nothing_eligible() -> None:
    none = dict.fromkeys(STATISTICS)
    sample = make_sample(np.array([0.1, 0.2]), np.array([0, 1]), np.array([True, True]))
    assert estimates(sample, np.zeros(2, bool), None) == none | {"coverage": 0.0}
    empty = make_sample(np.array([np.nan]), np.array([0]), np.array([False]))
    assert estimates(empty, np.zeros(0, bool), 0.0) == none
    assert empty.scenes == 0
    one = estimates(sample, np.array([True, False]), None)
    assert (one["median"], one["rsd"], one["sd"], one["cold_tail_relative"]) == (0.1, 0.0, None, None)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("own", [True, False])
def test_replicates_equal_resamples_written_out(seed: int, own: bool) -> None:
    difference, scene, eligible = random_rows(100 + seed)
    sample = make_sample(difference, scene, eligible)
    kept = np.random.default_rng(seed).random(len(sample.rows)) < 0.7
    multiplicity = multiplicities(sample.scenes, REPLICATES, seed)
    about = None if own else np.random.default_rng(seed).normal(-0.2, 0.1, REPLICATES)
    found = replicates(sample, kept, multiplicity, about)
    assert tuple(found) == STATISTICS
    for number, times in enumerate(multiplicity):
        drawn = np.repeat(np.arange(len(kept)), times[sample.scene])
        values = sample.difference[drawn[kept[drawn]]]
        centre = (np.median(values) if values.size else np.nan) if about is None else about[number]
        expected = by_pandas(values, max(len(drawn), 1), centre)
        for name in STATISTICS:
            value, wanted = found[name][number], expected[name]
            if name in ("median", "rsd"):  # no sums: to the last bit
                assert value == wanted or (np.isnan(value) and wanted is None)
            elif name == "coverage" and not len(drawn):
                assert np.isnan(value)
            elif name == "sd" and wanted is not None:  # from sums of squares: rounding is of the variance
                assert value**2 == pytest.approx(wanted**2, abs=1e-12)
            else:
                assert value == pytest.approx(np.nan if wanted is None else wanted, abs=1e-12, nan_ok=True), name


def test_subtract() -> None:
    first = dict.fromkeys(STATISTICS, 3.0) | {"sd": None}
    second = dict.fromkeys(STATISTICS, 1.0)
    assert subtract(first, second) == dict.fromkeys(STATISTICS, 2.0) | {"sd": None}
