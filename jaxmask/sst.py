"""Edge: the command that judges masks by sea-surface temperature: satellite minus buoy where a mask says clear."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from tyro.conf import Positional, arg

from jaxmask.mask_samples import MaskSamples, sample_masks
from jaxmask.maskfile import PREDICTIONS_NAME, find_masks
from jaxmask.matchup_table import read_table
from jaxmask.matchups import (
    ALGORITHMS,
    BAYES_THRESHOLD,
    REQUIRED_COLUMNS,
    Table,
    operational_masks,
    quality_filter,
    reference_filter,
    reference_numbers,
    statistics,
)
from preprocess.command import finish, log, run
from preprocess.files import whole_file, write_json
from preprocess.flags import Output, check

STATISTICS_NAME = "sst.json"
TABLE_KEY = "data"
FAILURES_NAME = "sst_failures.json"  # failures.json there is of infer


@dataclass(frozen=True)
class SstConfig(Output):
    """Compare satellite and buoy temperatures under each mask; writes sst.json and sst_predictions.h5."""

    matchups: Positional[Annotated[Path, arg(metavar="MATCHUPS")]]
    """Table of match-ups: pandas HDF, CSV, Parquet or netCDF."""
    predictions: Positional[Annotated[Path, arg(metavar="PREDICTIONS")]]
    """Folder of masks that jaxmask.infer wrote."""
    bayes_threshold: float = BAYES_THRESHOLD
    """The Bayes mask calls a match-up clear below this probability of cloud."""
    threshold: float | None = None
    """The network calls a match-up clear below this value; by default the mask file's own, 0.5 in the original's."""

    def __post_init__(self) -> None:
        check(0 < self.bayes_threshold <= 1, "bayes_threshold", "above 0 and at most 1", self.bayes_threshold)
        check(self.threshold is None or 0 < self.threshold < 1, "threshold", "between 0 and 1", self.threshold)


def main(config: SstConfig) -> int:
    """Read table and masks, write the statistics, print them; returns the exit code."""
    table = read_table(config.matchups, REQUIRED_COLUMNS)
    masks = find_masks(config.predictions)
    samples = sample_masks(table, masks, config.threshold)
    thresholds = {"bayes_threshold": config.bayes_threshold, "threshold": config.threshold}
    results = judge(table, samples, config.bayes_threshold) | thresholds
    kept = write_predictions(config.predictions / PREDICTIONS_NAME, table, samples)
    write_json(config.predictions / STATISTICS_NAME, results)
    for line in [*reference_lines(results["reference"]), *statistics_lines(results["statistics"])]:
        log.info("%s", line)
    excluded = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in results["excluded"].items())
    message = (
        f"{len(table['isst'])} match-ups, {len(masks)} masks; rows without a decision: {excluded}. "
        f"Statistics in {config.predictions / STATISTICS_NAME}, {kept} rows in {config.predictions / PREDICTIONS_NAME}"
    )
    summary = {"message": message, "rows_written": kept, **results}
    return finish(config, summary, samples.failures, config.predictions, FAILURES_NAME)


def judge(table: Table, samples: MaskSamples, bayes_threshold: float = BAYES_THRESHOLD) -> dict[str, Any]:
    """The whole of sst.json: `reference`, `statistics`, and how many rows were `excluded` for want of a decision."""
    masks = operational_masks(table, bayes_threshold) | {"unet": samples.clear}
    return {
        "reference": reference_numbers(table, samples.indexed, samples.threshold, bayes_threshold),
        "statistics": statistics(table, samples.valid, masks),
        "excluded": samples.excluded,
    }


def write_predictions(path: Path, table: Table, samples: MaskSamples) -> int:
    """Write the rows with a mask that either set of filters keeps, with `model_mask`, in pandas' table format.

    Added columns: model_mask, in_reference (the original's filters), in_statistics (ours). Returns the number of rows;
    without any, no file is left.
    """
    in_reference = reference_filter(table) & np.isfinite(samples.indexed)
    fit = np.any([quality_filter(table, algorithm) for algorithm in ALGORITHMS], axis=0)
    in_statistics = fit & samples.valid
    keep = in_reference | in_statistics
    if not keep.any():
        path.unlink(missing_ok=True)
        return 0
    added = {"model_mask": samples.value, "in_reference": in_reference, "in_statistics": in_statistics}
    frame = pd.DataFrame({name: values[keep] for name, values in (dict(table) | added).items()})
    with whole_file(path) as partial:
        frame.to_hdf(partial, key=TABLE_KEY, mode="w", format="table", data_columns=True, index=False)
    return len(frame)


def reference_lines(reference: dict[str, Any]) -> list[str]:
    """The original's numbers for people, with counts."""
    return [
        "The original's numbers (D2 alone, its filters; K):",
        f"  bayes   median {_kelvin(reference['bayes_median'])}  RSD {_kelvin(reference['bayes_RSD'])}"
        f"  of {reference['bayes_count']}",
        f"  unet    median {_kelvin(reference['unet_median'])}  RSD {_kelvin(reference['unet_RSD'])}"
        f"  of {reference['unet_count']}",
        f"  agreement {_share(reference['agreement'])} of {reference['rows_with_mask']} rows"
        f" ({reference['rows_after_filters']} of {reference['rows']} pass the filters)",
    ]


def statistics_lines(records: list[dict[str, Any]]) -> list[str]:
    """The records as a table for people."""
    header = f"{'algorithm':10}{'time':7}{'mask':7}{'count':>8}{'coverage':>10}{'median K':>10}{'RSD K':>9}"
    lines = [
        f"{record['algorithm']:10}{record['time_of_day']:7}{record['mask']:7}{record['count']:8d}"
        f"{_share(record['coverage']):>10}{_kelvin(record['median']):>10}{_kelvin(record['rsd']):>9}"
        for record in records
    ]
    return ["Satellite minus buoy, all masks on the same match-ups:", header, *lines]


def _kelvin(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(run("jaxmask.sst", SstConfig, main))
