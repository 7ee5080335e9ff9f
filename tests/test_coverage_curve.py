"""Rows kept at a given coverage: exactly as many as asked, the surest first, ties by lot."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.coverage_curve import CURVE, cut_at, rank_rows, rows_at


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(10))
def test_exactly_as_many_rows_and_none_less_sure_than_one_left_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 200))
    score = np.round(rng.random(count), rng.integers(0, 4))
    score[rng.random(count) < 0.1] = np.nan
    ranking = rank_rows(score, seed)
    before = np.zeros(count, bool)
    for coverage in CURVE:
        cut = cut_at(ranking, rows_at(coverage, count))
        assert cut.kept.sum() == int(np.floor(coverage * count + 0.5))
        assert not (before & ~cut.kept).any()  # of two cuts the smaller lies within the greater
        before = cut.kept
        filled = np.where(np.isnan(score), np.inf, score)
        if cut.kept.any() and not cut.kept.all():
            assert filled[cut.kept].max() <= filled[~cut.kept].min()
        if cut.threshold is not None:
            assert cut.threshold == filled[cut.kept].max()
            assert (cut.tied, cut.tied_kept) == (
                (score == cut.threshold).sum(),
                (score[cut.kept] == cut.threshold).sum(),
            )
    assert before.all()


def test_ties_are_split_by_a_seeded_lot_that_is_blind_to_their_place() -> None:
    score = np.zeros(1000)
    first, again, other = (cut_at(rank_rows(score, seed), 300).kept for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # A blind lot takes about 90 of the first 300 rows: hypergeometric, sd 6.6, so 5 sd are 33.
    assert first[:300].sum() == pytest.approx(90, abs=33)
    cut = cut_at(rank_rows(score, 1), 300)
    assert (cut.threshold, cut.tied, cut.tied_kept) == (0.0, 1000, 300)


def test_no_probability_comes_last_and_has_no_threshold() -> None:
    score = np.array([np.nan, 0.2, np.inf, 0.1])
    assert cut_at(rank_rows(score), 2).kept.tolist() == [False, True, False, True]
    cut = cut_at(rank_rows(score), 3)
    assert (cut.threshold, cut.tied, cut.tied_kept) == (None, 2, 1)
    nothing = cut_at(rank_rows(score), 0)
    assert (nothing.kept.any(), nothing.threshold, nothing.tied) == (False, None, 0)
