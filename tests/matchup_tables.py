"""Random tables of match-ups on either side of every bound, and masks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxmask.fair_masks import RowSamples
from jaxmask.matchups import ALGORITHMS, bayes_clear, differences, median_and_rsd, quality_filter

SST_COLUMN = {1: "sat_sst_0", 3: "sat_sst_1", 4: "sat_sst_2", 5: "sat_sst_3"}


def random_table(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Rows on either side of every bound, with NaN, ties and copies."""
    rng = np.random.default_rng(seed)
    isst = np.round(rng.normal(10, 8, rows), 1)
    latitude, longitude = rng.uniform(-60, 60, rows), rng.uniform(-180, 180, rows)
    table = {
        "isst": isst,
        "slat": latitude,
        "slon": longitude,
        "latitude_an": latitude + rng.normal(0, 0.004, rows),
        "longitude_an": longitude + rng.normal(0, 0.008, rows),
        "satzan": rng.uniform(0, 60, rows),
        "satzao": np.where(rng.random(rows) < 0.3, np.nan, rng.uniform(52, 56, rows)),
        "quality_level": rng.integers(4, 6, rows),
        "sst_algorithm_type": rng.choice([1, 2, 3, 4, 5], rows),
        "pcloudn": np.where(rng.random(rows) < 0.05, np.nan, rng.random(rows)),
        "pcloudo": np.where(rng.random(rows) < 0.3, np.nan, rng.random(rows)),
        "bayes_in": rng.choice([0, 1, 2, 10], rows),
        "cems_path": rng.choice([f"/a/P{i}.SEN3" for i in range(4)], rows),
        "y_cems": rng.integers(0, 20, rows),
        "x_cems": rng.integers(0, 30, rows),
    }
    for column in SST_COLUMN.values():
        noise = np.round(rng.normal(0, 0.5, rows), 2)
        table[column] = np.where(rng.random(rows) < 0.1, -32768.0, isst + 273.15 + noise)
    table["slon"][0] = -longitude[0]
    return {name: np.concatenate([values, values[: rows // 10]]) for name, values in table.items()}


def samples_of(table: dict[str, np.ndarray], seed: int = 0) -> RowSamples:
    rng = np.random.default_rng(seed)
    count = len(table["isst"])
    return RowSamples(
        scene=rng.integers(0, 15, count),
        decided=rng.random(count) < 0.9,
        night=np.isin(table["sst_algorithm_type"], (3, 5)) ^ (rng.random(count) < 0.1),
        value=np.round(rng.random(count), 2),
        threshold=np.full(count, 0.5),
        local_hour=np.where(rng.random(count) < 0.1, np.nan, rng.uniform(0, 24, count)),
    )


def operational_masks(table: dict[str, np.ndarray]) -> dict[str, Any]:
    """What `statistics` needs for no mask at all and for the operational Bayes mask."""
    bayes = {a.name: bayes_clear(table, dual_view=a.dual_view) for a in ALGORITHMS}
    return {"none": np.ones(len(table["isst"]), bool), "bayes": bayes}


def statistics(
    table: dict[str, np.ndarray], decided: np.ndarray, clear: Mapping[str, np.ndarray | Mapping[str, np.ndarray]]
) -> list[dict[str, Any]]:
    """One record for each mask and algorithm: count, coverage, median and rsd in K.

    decided: (N,) bool, rows at whose pixel every mask has a decision. clear: mask name -> rows (N,) bool that it calls
    clear, or one such array for each algorithm's name. Coverage = count / eligible, eligible the rows of the algorithm
    that pass all other filters.
    """
    records: list[dict[str, Any]] = []
    for algorithm in ALGORITHMS:
        eligible = quality_filter(table, algorithm) & decided
        difference = differences(table, algorithm)
        for mask, rows in clear.items():
            kept = eligible & (rows if isinstance(rows, np.ndarray) else rows[algorithm.name])
            median, rsd = median_and_rsd(difference[kept])
            records.append(
                {
                    "mask": mask,
                    "algorithm": algorithm.name,
                    "time_of_day": algorithm.time_of_day,
                    "count": int(kept.sum()),
                    "eligible": int(eligible.sum()),
                    "coverage": float(kept.sum() / eligible.sum()) if eligible.any() else None,
                    "median": median,
                    "rsd": rsd,
                }
            )
    return records
