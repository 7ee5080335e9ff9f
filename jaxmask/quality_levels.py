"""How much of each quality level the Bayes mask calls cloud: whether quality_level = 5 has already asked it."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxmask.judged_masks import told_intervals
from jaxmask.matchup_groups import Group
from jaxmask.matchups import Table
from jaxmask.resampling import scene_sums, why_no_interval


def quality_records(
    table: Table, group: Group, multiplicity: np.ndarray, bayes_threshold: float
) -> list[dict[str, Any]]:
    """For each quality level with rows, the share with a probability of cloud at or above the threshold, by view.

    group: rows of any quality level. nadir, oblique: shares with pcloudn, pcloudo >= threshold; either: one or both of
    the views that the retrieval uses. NaN is in no share; `without_probability` counts it.
    """
    sample = group.sample
    nadir, oblique = (np.asarray(table[name], np.float64)[sample.rows] for name in ("pcloudn", "pcloudo"))
    views = {"nadir": nadir, "oblique": oblique} if group.algorithm.dual_view else {"nadir": nadir}
    cloud = {name: values >= bayes_threshold for name, values in views.items()}
    cloud["either"] = np.any(list(cloud.values()), axis=0)
    unknown = np.any([np.isnan(values) for values in views.values()], axis=0)
    level = np.asarray(table["quality_level"], np.float64)[sample.rows]
    records = []
    for found in np.unique(level[~np.isnan(level)])[::-1]:
        rows = level == found
        counts = {"count": int(rows.sum()), "without_probability": int((rows & unknown).sum())}
        shares = {name: float(hits[rows].mean()) for name, hits in cloud.items()}
        told = _resampled(group, rows, cloud, multiplicity)
        records.append({**group.names, "quality_level": float(found), **counts, "cloudy": shares, **told})
    return records


def _resampled(
    group: Group, rows: np.ndarray, cloud: dict[str, np.ndarray], multiplicity: np.ndarray
) -> dict[str, Any]:
    sample = group.sample
    counts = scene_sums(rows, sample.scene, sample.scenes)
    scenes = int((counts > 0).sum())
    why = why_no_interval(scenes, len(multiplicity))
    if why:
        return {"scenes": scenes} | told_intervals({}, why)
    with np.errstate(invalid="ignore"):
        shares = {
            name: (multiplicity @ scene_sums(hits & rows, sample.scene, sample.scenes)) / (multiplicity @ counts)
            for name, hits in cloud.items()
        }
    return {"scenes": scenes} | told_intervals(shares, None)
