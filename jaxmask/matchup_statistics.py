"""All statistics of match-ups, put together: what sst.json holds but for the sampling of the masks."""

from __future__ import annotations

from typing import Any

from jaxmask.dependence import dependence_records
from jaxmask.equal_coverage import at_equal_coverage, coverage_curves, rankings
from jaxmask.fair_masks import RowSamples
from jaxmask.judged_masks import make_judge, record
from jaxmask.matchup_groups import Group, StatisticsSettings, make_groups
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
    level Bayes calls cloud; dependence; settings. Temperatures in K, shares from 0 to 1, None where undefined.
    """
    results: dict[str, Any] = {
        "reference": reference_numbers(table, samples.value, samples.threshold, settings.bayes_threshold)
    }
    names = ("statistics", "equal_coverage", "paired", "coverage_curves", "dependence")
    results |= {name: [] for name in names}
    for group in make_groups(table, samples, settings):
        for name, records in _judge_group(group, settings).items():
            results[name] += records
        results["dependence"] += dependence_records(table, samples, group)
    return results | {"any_quality": _any_quality(table, samples, settings), "settings": _told(settings)}


def _judge_group(group: Group, settings: StatisticsSettings) -> dict[str, Records]:
    judge = make_judge(group, multiplicities(group.sample.scenes, settings.replicates, settings.seed))
    ranked = rankings(group, settings.seed)
    judged = {name: judge.judge(mask.clear) for name, mask in group.masks.items()}
    kept = {name: mask.clear for name, mask in group.masks.items()}
    equal, equal_pairs = at_equal_coverage(group, judge, ranked)
    return {
        "statistics": [record(group, name, found) for name, found in judged.items()],
        "equal_coverage": equal,
        "paired": paired_records(group, judged, kept, "native") + equal_pairs,
        "coverage_curves": coverage_curves(group, judge, ranked),
    }


def _any_quality(table: Table, samples: RowSamples, settings: StatisticsSettings) -> dict[str, Records]:
    results: dict[str, Records] = {"statistics": [], "paired": [], "levels": []}
    for group in make_groups(table, samples, settings, any_quality=True):
        multiplicity = multiplicities(group.sample.scenes, settings.replicates, settings.seed)
        judge = make_judge(group, multiplicity)
        kept = {name: mask.clear for name, mask in group.masks.items()}
        judged = {name: judge.judge(rows) for name, rows in kept.items()}
        results["statistics"] += [record(group, name, found) for name, found in judged.items()]
        results["paired"] += paired_records(group, judged, kept, "native")
        results["levels"] += quality_records(table, group, multiplicity, settings.bayes_threshold)
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
