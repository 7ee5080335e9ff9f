"""Cold tails of satellite minus buoy under each mask, all masks keeping as many match-ups as the operational one.

The rows of one algorithm are those of its type (N2, N3, D2, D3) on judged pixels that pass the original's filters but
for quality_level = 5, because that level is made from the operational mask's own probability of cloud. A mask keeps the
rows that it takes for clear; it keeps more or fewer by another threshold, so at equal coverage only the order in which
it would give rows up matters. Rows of equal score are ordered by lot. Within each bootstrap draw the coverage is that
of the operational mask in that draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from truth_bootstrap import Estimate, estimate, ratio

from jaxmask.matchups import (
    ALGORITHMS,
    BAYES_THRESHOLD,
    BEST_QUALITY_LEVEL,
    Algorithm,
    Table,
    differences,
    pixel_indices,
    product_names,
    quality_filter,
)

COLD_K = 1.0  # below the median of the rows that the operational mask keeps
OPERATIONAL = "Bayes, operational"
NADIR_ONLY = "Bayes, nadir only"
REFERENCES = (OPERATIONAL, NADIR_ONLY)
ROWS_AT_ONCE = 250  # draws at a time, so that memory stays small
POOLED = "all"

Scores = Sequence[np.ndarray]  # one a seed: (N,), the higher the cloudier


@dataclass(frozen=True)
class Places:
    """Where the match-ups lie: of the judged scenes, (N,) int, -1 where none; row and column in it, (N,) int."""

    scene: np.ndarray
    row: np.ndarray
    column: np.ndarray

    def sample(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Values (N,) float64 of the scenes' images (H, W); NaN where there is no scene or pixel."""
        values = np.full(self.scene.size, np.nan)
        for index, image in enumerate(images):
            inside = (self.scene == index) & (self.row >= 0) & (self.column >= 0)
            inside &= (self.row < image.shape[0]) & (self.column < image.shape[1])
            values[inside] = image[self.row[inside], self.column[inside]]
        return values


@dataclass(frozen=True)
class Rows:
    """One algorithm's rows: scene (M,) int, difference (M,) K, and which of the table's rows they are, (M,) int."""

    algorithm: Algorithm
    scene: np.ndarray
    difference: np.ndarray
    index: np.ndarray


def find_places(table: Table, products: Sequence[str]) -> Places:
    """The match-ups' places in the scenes of these products."""
    names, of_row = product_names(table["cems_path"])
    known = {name: index for index, name in enumerate(products)}
    scene = np.array([known.get(str(name), -1) for name in names])[of_row]
    return Places(scene, *pixel_indices(table))


def eligible(table: Table, places: Places, judged: np.ndarray) -> list[Rows]:
    """Each algorithm's rows; judged: (N,) bool, on a pixel where masks are judged."""
    any_quality = dict(table) | {"quality_level": np.full(judged.size, BEST_QUALITY_LEVEL)}
    found = []
    for algorithm in ALGORITHMS:
        index = np.flatnonzero(quality_filter(any_quality, algorithm) & judged)
        found.append(Rows(algorithm, places.scene[index], differences(table, algorithm)[index], index))
    return found


def operational(table: Table, rows: Rows) -> np.ndarray:
    """The operational mask's probability of cloud (M,): the greater of both views' where the retrieval uses both."""
    nadir = np.asarray(table["pcloudn"], np.float64)[rows.index]
    return np.maximum(nadir, table["pcloudo"][rows.index]) if rows.algorithm.dual_view else nadir


def kept_weights(score: np.ndarray, weight: np.ndarray, keep: np.ndarray, seed: int) -> np.ndarray:
    """How much of each row's weight (R, M) is kept when the least cloudy rows are, `keep` (R,) in all: (R, M).

    score: (M,); the last row kept may be so in part; ties are ordered by lot.
    """
    lot = np.random.default_rng(seed).permutation(score.size)
    order = lot[np.argsort(score[lot], kind="stable")]
    ordered = weight[:, order]
    before = np.cumsum(ordered, axis=1) - ordered
    kept = np.empty_like(weight)
    kept[:, order] = np.clip(keep[:, None] - before, 0, ordered)
    return kept


def tails(
    table: Table, rows: Rows, masks: Mapping[str, Scores], weights: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """By mask, at the operational one's coverage, weight of cold rows kept and of all rows kept: (2, seeds, R + 1)."""
    reference = operational(table, rows)
    clear = reference < BAYES_THRESHOLD
    cold = rows.difference < np.median(rows.difference[clear]) - COLD_K if clear.any() else np.zeros(clear.shape, bool)
    found = {}
    for mask, scores in ({OPERATIONAL: [reference]} | dict(masks)).items():
        parts = []
        for start in range(0, len(weights), ROWS_AT_ONCE):
            weight = weights[start : start + ROWS_AT_ONCE, rows.scene]
            keep = weight @ clear.astype(np.float64)
            kept = [kept_weights(score, weight, keep, seed) for score in scores]
            parts.append(np.array([[one @ cold for one in kept], [keep for _ in kept]]))
        found[mask] = np.concatenate(parts, axis=2)
    return found


def judge(
    table: Table, found: list[Rows], masks: Mapping[str, Scores], weights: np.ndarray, seed: int
) -> dict[str, Any]:
    """By algorithm, and "all" of them together, each mask's cold tail and its difference from each of REFERENCES.

    masks: by name the scores of all of the table's rows, one array a seed. "all" adds up rows that were kept at equal
    coverage within their algorithm.
    """
    result: dict[str, Any] = {}
    pooled: dict[str, np.ndarray] = {}
    for rows in found:
        if not rows.index.size:
            continue
        own = {mask: [score[rows.index] for score in scores] for mask, scores in masks.items()}
        parts = tails(table, rows, own, weights, seed)
        result[rows.algorithm.name] = _summary(parts, [rows], table)
        pooled = {mask: part + pooled.get(mask, 0) for mask, part in parts.items()}
    return result | ({POOLED: _summary(pooled, [rows for rows in found if rows.index.size], table)} if pooled else {})


def _summary(parts: dict[str, np.ndarray], found: list[Rows], table: Table) -> dict[str, Any]:
    count = sum(one.index.size for one in found)
    clear = sum(int((operational(table, one) < BAYES_THRESHOLD).sum()) for one in found)
    scenes = len(np.unique(np.concatenate([one.scene for one in found])))
    share = {mask: ratio(*part).mean(axis=0) for mask, part in parts.items()}
    masks = {
        mask: {
            "cold": _rounded(estimate(values, scenes)),
            **{
                f"minus {other}": _rounded(estimate(values - share[other], scenes))
                for other in REFERENCES
                if other in share
            },
        }
        for mask, values in share.items()
    }
    return {"rows": count, "kept": clear, "coverage": round(clear / count, 6), "scenes": scenes, "masks": masks}


def _rounded(found: Estimate) -> dict[str, float | None]:
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if number is None else round(number, 6) for name, number in numbers.items()}
