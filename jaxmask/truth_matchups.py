"""Edge: match-up statistics under a perfect mask, which a simulated archive's truth gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxmask.image_points import cloud_at
from jaxmask.mask_samples import sample_masks
from jaxmask.matchup_table import read_table
from jaxmask.matchups import REQUIRED_COLUMNS, statistics
from jaxmask.sst_lines import statistics_lines
from jaxmask.truth import read_truth


def truth_matchups(matchups: Path, masks: Sequence[Path], truth: Path) -> list[dict[str, Any]]:
    """Match-up statistics under a perfect mask (clear where cloud changes S8 by at most 0.2 K), at the masks' rows."""
    table = read_table(matchups, REQUIRED_COLUMNS)
    samples = sample_masks(table, masks)

    def sst_cloud(name: str) -> Any:
        found = read_truth(truth, name)
        return None if found is None else found.sst_cloud

    cloud, known = cloud_at(sst_cloud, table, (samples.rows, samples.columns))
    return statistics(table, samples.valid & known, {"truth": ~cloud})


def matchup_lines(records: Sequence[dict[str, Any]]) -> list[str]:
    """Those statistics as a table for people; nothing of none."""
    return statistics_lines(list(records)) if records else []
