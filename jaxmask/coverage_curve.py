"""Which rows a mask keeps if it must keep a given share: thresholds at equal coverage.

A mask that keeps fewer rows has the easier task, so masks are compared where they keep the same number. The threshold
is then a row's score; rows that tie with it are drawn by a seeded lot, blind to their temperatures, so that every mask
keeps exactly as many, and their number is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CURVE = tuple(percent / 100 for percent in range(5, 101, 5))


@dataclass(frozen=True)
class Cut:
    """kept: (n,) bool; threshold: the greatest score kept, None if no row is or it has no value (no probability);
    tied, tied_kept: rows with just that score, and how many of them the lot kept."""

    kept: np.ndarray
    threshold: float | None
    tied: int
    tied_kept: int


@dataclass(frozen=True)
class Ranking:
    """Rows from the surest clear to the least: order (n,) int64; score (n,) float64, infinity where there is none."""

    order: np.ndarray
    score: np.ndarray


def rank_rows(score: np.ndarray, seed: int = 0) -> Ranking:
    """Rank rows by (n,) score, lowest first, ties by lot; NaN, no score at all, comes last."""
    filled = np.where(np.isnan(score), np.inf, score)
    lot = np.random.default_rng(seed).permutation(len(filled))
    return Ranking(lot[np.argsort(filled[lot], kind="stable")], filled)


def cut_at(ranking: Ranking, count: int) -> Cut:
    """Keep the `count` surest rows."""
    kept = np.zeros(len(ranking.order), bool)
    kept[ranking.order[:count]] = True
    if not count:
        return Cut(kept, None, 0, 0)
    threshold = ranking.score[ranking.order[count - 1]]
    ties = ranking.score == threshold
    told = float(threshold) if np.isfinite(threshold) else None
    return Cut(kept, told, int(ties.sum()), int((ties & kept).sum()))


def rows_at(coverage: float, eligible: int) -> int:
    """The number of rows nearest to a share of `eligible`, halves upwards."""
    return int(np.floor(coverage * eligible + 0.5))
