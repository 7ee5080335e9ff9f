"""Edge: the files of a simulated archive beside its products: truth, match-up table, table of label errors."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preprocess.files import whole_file, write_json
from preprocess.hdf import new_hdf
from preprocess.simulation.clouds import KINDS
from preprocess.simulation.label_errors import LabelError, count_errors, error_rows
from preprocess.simulation.plan import ProductPlan
from preprocess.simulation.scene import SimulatedScene
from preprocess.simulation.surface import SURFACES

TRUTH_NAMES = ("optical_depth", "cover_fraction", "top_height_km", "dbt8_k", "kind", "surface", "cloud")
MATCHUP_COLUMNS = (
    "ISST", "SLAT", "SLON", "latitude_an", "longitude_an", "SATZAN", "SATZAO", "quality_level", "sst_algorithm_type",
    "pcloudn", "pcloudo", "bayes_in", "sat_sst_0", "sat_sst_1", "sat_sst_2", "sat_sst_3", "cems_path", "y_cems",
    "x_cems",
)  # fmt: skip
"""In the order of the original's table."""
MATCHUPS, LABEL_COUNTS = "simulator/matchups", "simulator/label_counts"

Columns = dict[str, NDArray[Any]]


def plan_text(plan: ProductPlan) -> str:
    """All of a plan as one line, to tell whether a product on disk is that plan's."""
    return repr(plan)


def write_truth(scene: SimulatedScene, matchups: Columns, path: Path) -> None:
    """Write what only `evaluate` and `report` may read: the truth on the 1 km grid, HDF5, whole or not at all.

    Beside it, under `simulator/`, lies the product's share of the archive's tables, so that a run that goes on later
    needn't simulate it again.
    """
    with new_hdf(path) as file:
        file.attrs["product"] = scene.geometry.plan.name
        file.attrs["plan"] = plan_text(scene.geometry.plan)
        file.attrs["kinds"], file.attrs["surfaces"] = json.dumps(KINDS), json.dumps(SURFACES)
        for name in TRUTH_NAMES:
            values = np.asarray(getattr(scene.truth, name))
            values = values.astype(np.float32 if values.dtype.kind == "f" else np.uint8)
            file.create_dataset(name, data=values, compression="gzip", compression_opts=1, shuffle=True)
        file[LABEL_COUNTS] = count_errors(scene) if scene.geometry.plan.labelled else np.zeros(0, np.int64)
        for name in MATCHUP_COLUMNS:
            values = np.asarray(matchups.get(name, []))
            file[f"{MATCHUPS}/{name}"] = values.astype(h5py.string_dtype()) if values.dtype == object else values


def written_plan(path: Path) -> str | None:
    """The plan that the truth at `path` was made from, None if there is none that can be read."""
    try:
        with h5py.File(path) as file:
            return str(file.attrs["plan"])
    except (OSError, KeyError):
        return None


def write_matchups(truths: Iterable[Path], path: Path) -> int:
    """Join the products' match-ups into one table, as the original's: pandas, fixed format, key "data"; its length.

    No file is left where there is no match-up (all land, say): that format can't hold an empty table.
    """
    parts = [part for part in map(_matchups, truths) if part["ISST"].size]
    if not parts:
        path.unlink(missing_ok=True)
        return 0
    table = pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in MATCHUP_COLUMNS})
    table["cems_path"] = table["cems_path"].astype(object)
    with whole_file(path) as partial, warnings.catch_warnings():
        # The fixed format pickles strings; the original's table has them so.
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        table.to_hdf(partial, key="data", mode="w", format="fixed")
    return len(table)


def write_label_errors(truths: Iterable[Path], path: Path) -> list[LabelError]:
    """Write the table of label errors over all labelled products as JSON; return it with times of day added up."""
    parts = [counts for counts in map(_label_counts, truths) if counts.size]
    total = np.sum(parts, axis=0) if parts else np.zeros((1, 1, 1, 3), np.int64)
    write_json(path, error_rows(total))
    return error_rows(total.sum(axis=2, keepdims=True))


def label_error_lines(rows: Sequence[LabelError]) -> list[str]:
    """The table for people: one line a surface and kind of sky, with the share of pixels that each label gets wrong."""
    lines = [f"{'surface':<11}{'sky':<13}{'pixels':>10}  {'error':<12}{'any bit':>8}{'nadir view':>12}"]
    for row in rows:
        missed = row["miss_share"] is not None
        wrong = [1 - share if missed else share for share in (row["label_cloud_share"], row["single_view_share"])]
        error = "missed" if missed else "false alarm"
        cells = f"{row['count']:>10}  {error:<12}{wrong[0]:>8.1%}{wrong[1]:>12.1%}"
        lines.append(f"{row['surface']:<11}{row['kind']:<13}{cells}")
    return lines


def _matchups(path: Path) -> Columns:
    with h5py.File(path) as file:
        columns = {name: file[f"{MATCHUPS}/{name}"] for name in MATCHUP_COLUMNS}
        return {
            name: column.asstr()[...] if h5py.check_string_dtype(column.dtype) else column[...]
            for name, column in columns.items()
        }


def _label_counts(path: Path) -> NDArray[np.int64]:
    with h5py.File(path) as file:
        counts: NDArray[np.int64] = file[LABEL_COUNTS][...]
        return counts
