"""All statistics of match-ups, put together: what sst.json holds but for the sampling of the masks."""

from __future__ import annotations

from typing import Any

from jaxmask.dependence import dependence_records
from jaxmask.equal_coverage import at_equal_coverage, coverage_curves, rankings
from jaxmask.fair_masks import RowSamples
from jaxmask.judged_masks import Judge, make_judge, record
from jaxmask.matchup_groups import Group, StatisticsSettings, common_groups, make_groups
from jaxmask.matchups import Table, reference_numbers
from jaxmask.paired import paired_records
from jaxmask.quality_levels import quality_records
from jaxmask.resampling import LEAST_SCENES, LEVEL, multiplicities

Records = list[dict[str, Any]]
DEFAULTS = StatisticsSettings()


def match_up_statistics(table: Table, samples: RowSamples, settings: StatisticsSettings = DEFAULTS) -> dict[str, Any]:
    """All statistics of a table of match-ups (columns (N,), `matchups.REQUIRED_COLUMNS`), ready for JSON.

    reference: the original's numbers; statistics: a record a mask and group (algorithm and time of day), native
    thresholds, quality level 5; equal_coverage: the same where all keep as many rows as Bayes; paired: differences of
    masks at both; coverage_curves; any_quality: statistics and paired whatever the quality level, and how much of each
    level Bayes calls cloud; common_pixels, for select "all": statistics of the rows that all retrievals share;
    dependence; settings. Temperatures in K, shares from 0 to 1, None where undefined.
    """
    groups = make_groups(table, samples, settings)
    judged = [_judge_group(group, settings) for group in groups]
    names = ("statistics", "equal_coverage", "paired", "coverage_curves")
    common = common_groups(table, samples, settings) if settings.select == "all" else []
    return {
        "reference": reference_numbers(table, samples.value, samples.threshold, settings.bayes_threshold),
        **{name: [record for records in judged for record in records[name]] for name in names},
        "any_quality": _any_quality(table, samples, settings),
        "common_pixels": [record for group in common for record in _native(group, _judge(group, settings))[0]],
        "dependence": [record for group in groups for record in dependence_records(table, samples, group)],
        "settings": _told(settings),
    }


def _judge_group(group: Group, settings: StatisticsSettings) -> dict[str, Records]:
    judge, ranked = _judge(group, settings), rankings(group, settings.seed)
    native, native_pairs = _native(group, judge)
    equal, equal_pairs = at_equal_coverage(group, judge, ranked)
    return {
        "statistics": native,
        "equal_coverage": equal,
        "paired": native_pairs + equal_pairs,
        "coverage_curves": coverage_curves(group, judge, ranked),
    }


def _native(group: Group, judge: Judge) -> tuple[Records, Records]:
    """Records and paired records of the masks at their own thresholds."""
    kept = {name: mask.clear for name, mask in group.masks.items()}
    judged = {name: judge.judge(rows) for name, rows in kept.items()}
    records = [record(group, name, found) for name, found in judged.items()]
    return records, paired_records(group, judged, kept, "native")


def _judge(group: Group, settings: StatisticsSettings) -> Judge:
    return make_judge(group, multiplicities(group.sample.scenes, settings.replicates, settings.seed))


def _any_quality(table: Table, samples: RowSamples, settings: StatisticsSettings) -> dict[str, Records]:
    results: dict[str, Records] = {"statistics": [], "paired": [], "levels": []}
    for group in make_groups(table, samples, settings, any_quality=True):
        judge = _judge(group, settings)
        records, pairs = _native(group, judge)
        results["statistics"] += records
        results["paired"] += pairs
        results["levels"] += quality_records(table, group, judge.multiplicity, settings.bayes_threshold)
    return results


def _told(settings: StatisticsSettings) -> dict[str, Any]:
    return {
        "select": settings.select,
        "bayes_threshold": settings.bayes_threshold,
        "replicates": settings.replicates,
        "seed": settings.seed,
        "interval_level": LEVEL,
        "least_scenes": LEAST_SCENES,
    }
