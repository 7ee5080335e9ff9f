"""Masks at equal coverage: each keeps the same number of its surest rows, once at Bayes' own, then along a curve."""

from __future__ import annotations

from typing import Any

from jaxmask.coverage_curve import CURVE, Cut, Ranking, cut_at, rank_rows, rows_at
from jaxmask.judged_masks import BAYES, Judge, Judged, record, scene_counts, told_intervals
from jaxmask.matchup_groups import Group
from jaxmask.paired import paired_records

CURVE_STATISTICS = ("median", "rsd", "cold_tail", "cold_tail_relative")
EQUAL = "equal_coverage"
NO_CURVE = ("bayes_nadir", "unet_bayes_oblique")  # a curve is an ordering: the U-Net's and Bayes' are compared


def rankings(group: Group, seed: int) -> dict[str, Ranking]:
    """The order of rows by every mask that has scores."""
    return {name: rank_rows(mask.score, seed) for name, mask in group.masks.items() if mask.score is not None}


def at_equal_coverage(
    group: Group, judge: Judge, ranked: dict[str, Ranking]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records and paired records where every mask keeps as many rows as Bayes at its own threshold.

    The thresholds are those of the whole sample in every resample.
    """
    count = int(group.masks[BAYES].clear.sum())
    cuts = {name: cut_at(ranking, count) for name, ranking in ranked.items()}
    judged = {name: judge.judge(cut.kept) for name, cut in cuts.items()}
    records = [record(group, name, judged[name]) | _told(cut) for name, cut in cuts.items()]
    return records, paired_records(group, judged, {name: cut.kept for name, cut in cuts.items()}, EQUAL)


def coverage_curves(group: Group, judge: Judge, ranked: dict[str, Ranking]) -> list[dict[str, Any]]:
    """For each mask with scores but NO_CURVE, CURVE_STATISTICS of its surest 5, 10, ... 100 % of rows."""
    return [
        {"mask": name, **group.names, "eligible": len(ranking.order), "points": _points(group, judge, ranking)}
        for name, ranking in ranked.items()
        if name not in NO_CURVE
    ]


def _points(group: Group, judge: Judge, ranking: Ranking) -> list[dict[str, Any]]:
    points = []
    for coverage in CURVE if len(ranking.order) else ():
        cut = cut_at(ranking, rows_at(coverage, len(ranking.order)))
        points.append({"at": coverage} | _point(group, judge.judge(cut.kept)) | _told(cut))
    return points


def _point(group: Group, judged: Judged) -> dict[str, Any]:
    estimates = {name: judged.estimates[name] for name in ("coverage", *CURVE_STATISTICS)}
    resampled = {name: values for name, values in judged.replicates.items() if name in CURVE_STATISTICS}
    told = scene_counts(judged, group) | told_intervals(resampled, judged.no_interval)
    return {"count": judged.count} | estimates | told


def _told(cut: Cut) -> dict[str, Any]:
    return {"cut": cut.threshold, "tied": cut.tied, "tied_kept": cut.tied_kept}
