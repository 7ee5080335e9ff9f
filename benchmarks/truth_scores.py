"""Counts of the truth test as shares with intervals: accuracy, missed cloud, false alarms; differences of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from truth_bootstrap import estimate, share
from truth_pixels import STRATA

# By outcome (truth clear: said clear, said cloud; truth cloud: said clear, said cloud), what is counted of what.
METRICS = {
    "accuracy": ((1, 0, 0, 1), (1, 1, 1, 1)),
    "missed": ((0, 0, 1, 0), (0, 0, 1, 1)),  # share of the cloudy pixels
    "false_alarms": ((0, 1, 0, 0), (1, 1, 0, 0)),  # share of the clear pixels
}
Counts = Sequence[np.ndarray]  # of one kind of mask, one a seed: (scenes, len(STRATA), 4)
Tables = dict[str, dict[str, dict[str, Any]]]  # mask (or "one - other") -> stratum -> metric -> numbers


def threshold_as_cloudy(values: np.ndarray, cloudy: int) -> float:
    """The threshold above which `cloudy` of the values (N,) lie, or as near to that as ties allow; 0 to 1."""
    if cloudy <= 0:
        return 1.0
    if cloudy >= values.size:
        return -1.0
    return float(np.partition(values, values.size - cloudy - 1)[values.size - cloudy - 1])


def over_draws(counts: Counts, stratum: int, metric: str, weights: np.ndarray) -> np.ndarray:
    """The metric of each seed under each row of weights: (seeds, R + 1)."""
    part, whole = (np.array(column) for column in METRICS[metric])
    return np.stack([share(one[:, stratum] @ part, one[:, stratum] @ whole, weights) for one in counts])


def scenes_with(counts: Counts, stratum: int, metric: str) -> int:
    """How many scenes hold a pixel of which the metric is a share."""
    return int(np.count_nonzero(counts[0][:, stratum] @ np.array(METRICS[metric][1])))


def table(counts: Mapping[str, Counts], weights: np.ndarray) -> Tables:
    """Each mask's shares in each stratum: mean of the seeds, interval, pixels, scenes, and each seed's."""
    return {
        mask: {name: _row(own, index, weights) for index, name in enumerate(STRATA)} for mask, own in counts.items()
    }


def differences(
    counts: Mapping[str, Counts], pairs: Sequence[tuple[str, str]], weights: np.ndarray, strata: Sequence[str] = STRATA
) -> Tables:
    """The same of one mask minus another, both averaged over their seeds within each draw, in these strata."""
    found: Tables = {}
    for one, other in pairs:
        found[f"{one} - {other}"] = {
            name: {
                metric: _numbers(
                    over_draws(counts[one], index, metric, weights), over_draws(counts[other], index, metric, weights),
                    scenes_with(counts[one], index, metric),
                )
                for metric in METRICS
            }
            for index, name in enumerate(STRATA)
            if name in strata
        }  # fmt: skip
    return found


def _row(counts: Counts, stratum: int, weights: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {"pixels": int(counts[0][:, stratum].sum())}
    for metric in METRICS:
        values = over_draws(counts, stratum, metric, weights)
        row[metric] = _numbers(values, None, scenes_with(counts, stratum, metric))
        if len(counts) > 1:
            row[metric]["seeds"] = [None if np.isnan(value) else round(float(value), 6) for value in values[:, 0]]
    return row


def _numbers(values: np.ndarray, minus: np.ndarray | None, scenes: int) -> dict[str, Any]:
    mean = values.mean(axis=0) if minus is None else values.mean(axis=0) - minus.mean(axis=0)
    found = estimate(mean, scenes)
    rounded = {
        name: None if number is None else round(number, 6)
        for name, number in (("value", found.value), ("low", found.low), ("high", found.high))
    }
    return rounded | {"scenes": scenes}
