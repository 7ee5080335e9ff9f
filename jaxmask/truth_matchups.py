"""Edge: match-up statistics under a perfect mask, which a simulated archive's truth gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxmask.fair_masks import FairMask, RowSamples
from jaxmask.image_points import cloud_at
from jaxmask.judged_masks import make_judge, record
from jaxmask.mask_samples import sample_masks
from jaxmask.matchup_groups import StatisticsSettings, make_groups
from jaxmask.matchup_table import read_table
from jaxmask.matchups import REQUIRED_COLUMNS, Table
from jaxmask.resampling import multiplicities
from jaxmask.sst_lines import statistics_lines
from jaxmask.truth import read_truth

TRUTH = "truth"


def truth_matchups(matchups: Path, masks: Sequence[Path], truth: Path) -> list[dict[str, Any]]:
    """Match-up statistics under a perfect mask (clear where cloud changes S8 by at most 0.2 K), at the masks' rows.

    Records as those of `statistics` in sst.json, of the same groups, that is by the rows' own time of day.
    """
    table = read_table(matchups, REQUIRED_COLUMNS)
    samples = sample_masks(table, masks)

    def sst_cloud(name: str) -> Any:
        found = read_truth(truth, name)
        return None if found is None else found.sst_cloud

    cloud, known = cloud_at(sst_cloud, table, (samples.rows, samples.columns))
    rows = samples.row_samples
    rows = replace(rows, decided=rows.decided & known, others={TRUTH: FairMask(~cloud)})
    return list(_records(table, rows, StatisticsSettings()))


def _records(table: Table, rows: RowSamples, settings: StatisticsSettings) -> Iterator[dict[str, Any]]:
    for group in make_groups(table, rows, settings):
        judge = make_judge(group, multiplicities(group.sample.scenes, settings.replicates, settings.seed))
        yield record(group, TRUTH, judge.judge(group.masks[TRUTH].clear))


def matchup_lines(records: Sequence[dict[str, Any]]) -> list[str]:
    """Those statistics as a table for people; nothing of none."""
    return statistics_lines(list(records)) if records else []
