"""Edge: the tables that the sst command leaves: its statistics as CSV, and the rows that they are of."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxmask.mask_samples import MaskSamples
from jaxmask.matchups import ALGORITHMS, Select, Table, quality_filter, reference_filter
from preprocess.files import whole_file

TABLE_KEY = "data"
BOUNDS = ("low", "high")


def write_statistics_csv(path: Path, results: Mapping[str, Any]) -> None:
    """The records of `statistics`, `equal_coverage` and `any_quality`, one a row, with the bounds of each interval.

    `part` tells which of the three a row is of; empty where there is no number.
    """
    rows = list(_csv_rows(results))
    names = list(dict.fromkeys(name for row in rows for name in row))
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def _csv_rows(results: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    parts = {name: results[name] for name in ("statistics", "equal_coverage")}
    for part, records in (parts | {"any_quality": results["any_quality"]["statistics"]}).items():
        for record in records:
            plain = {name: value for name, value in record.items() if name != "intervals"}
            bounds = {
                f"{name}_{bound}": value
                for name, interval in (record.get("intervals") or {}).items()
                for bound, value in zip(BOUNDS, interval or (None, None), strict=True)
            }
            yield {"part": part} | plain | bounds


def write_predictions(path: Path, table: Table, samples: MaskSamples, select: Select = "type") -> int:
    """Write the rows with a mask that either set of filters keeps, with `model_mask`, in pandas' table format.

    Added columns: model_mask; in_reference (the original's filters) and in_statistics (ours); time_of_day ("day" or
    "night"); mask_row, mask_column, the pixel whose value model_mask is. Returns the number of rows; without any, no
    file is left.
    """
    in_reference = reference_filter(table) & np.isfinite(samples.indexed)
    fit = np.any([quality_filter(table, algorithm, select) for algorithm in ALGORITHMS], axis=0)
    in_statistics = fit & samples.valid
    keep = in_reference | in_statistics
    if not keep.any():
        path.unlink(missing_ok=True)
        return 0
    added = {
        "model_mask": samples.value,
        "in_reference": in_reference,
        "in_statistics": in_statistics,
        "time_of_day": np.where(samples.night, "night", "day"),
        "mask_row": samples.rows,
        "mask_column": samples.columns,
    }
    frame = pd.DataFrame({name: values[keep] for name, values in (dict(table) | added).items()})
    with whole_file(path) as partial:
        partial.write_bytes(_table_file(frame))
    return len(frame)


def _table_file(frame: pd.DataFrame) -> bytes:
    """The file's bytes, made in memory: of a full disk the HDF5 library tells nothing that could be understood."""
    with pd.HDFStore("rows.h5", mode="w", driver="H5FD_CORE", driver_core_backing_store=0) as store:
        store.put(TABLE_KEY, frame, format="table", data_columns=True, index=False, track_times=False)
        image: bytes = store._handle.get_file_image()
    return image
