"""Edge: the command that judges masks by sea-surface temperature: satellite minus buoy where a mask says clear."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from jaxmask.mask_samples import Locate, MaskSamples, sample_masks
from jaxmask.maskfile import PREDICTIONS_NAME, find_masks
from jaxmask.matchup_groups import StatisticsSettings
from jaxmask.matchup_statistics import match_up_statistics
from jaxmask.matchup_table import read_table
from jaxmask.matchups import BAYES_THRESHOLD, REQUIRED_COLUMNS, Select, Table, reference_numbers
from jaxmask.place_offset import offset_lines
from jaxmask.resampling import REPLICATES
from jaxmask.sampling_notes import warn_of_seen
from jaxmask.sst_files import write_predictions, write_statistics_csv
from jaxmask.sst_lines import excluded_text, paired_lines, reference_lines, statistics_lines
from preprocess.command import finish, log, run
from preprocess.files import writable_folder, write_json
from preprocess.flags import Output, check

STATISTICS_NAME = "sst.json"
TABLE_NAME = "sst.csv"
FAILURES_NAME = "sst_failures.json"  # failures.json there is of infer
LEAST_REPLICATES = 40  # fewer have no 2.5 % at either end
BOOTSTRAP_BOUND = f"0, or {LEAST_REPLICATES} or more"


@dataclass(frozen=True)
class SstConfig(Output):
    """Compare satellite and buoy temperatures under each mask; writes sst.json, sst.csv and sst_predictions.h5."""

    matchups: Positional[Annotated[Path, arg(metavar="MATCHUPS")]]
    """Table of match-ups: pandas HDF, CSV, Parquet or netCDF."""
    predictions: Positional[Annotated[Path, arg(metavar="PREDICTIONS")]]
    """Folder of masks that jaxmask.infer wrote."""
    locate: Locate | None = None
    """A match-up's pixel: the table's row and column (index), or the one nearest to latitude_an, longitude_an
    (position). By default position in masks of the product's own grid that hold positions, index in others."""
    select: Select = "type"
    """The rows that an algorithm is judged by: those whose sst_algorithm_type it is (type), or every row that has its
    temperature (all)."""
    bootstrap: int = REPLICATES
    """Resamples of whole scenes, from which 95 % intervals come; 0 for none."""
    seed: int = 0
    """Seed of the resamples, and of lots between equal values at equal coverage."""
    bayes_threshold: float = BAYES_THRESHOLD
    """The Bayes mask calls a match-up clear below this probability of cloud."""
    threshold: float | None = None
    """The network calls a match-up clear below this value; by default the mask file's own, 0.5 in the original's."""

    def __post_init__(self) -> None:
        check(self.bootstrap == 0 or self.bootstrap >= LEAST_REPLICATES, "bootstrap", BOOTSTRAP_BOUND, self.bootstrap)
        check(self.seed >= 0, "seed", "0 or more", self.seed)
        check(0 < self.bayes_threshold <= 1, "bayes_threshold", "above 0 and at most 1", self.bayes_threshold)
        check(self.threshold is None or 0 < self.threshold < 1, "threshold", "between 0 and 1", self.threshold)

    @property
    def settings(self) -> StatisticsSettings:
        """What the statistics are made by."""
        return StatisticsSettings(self.select, self.bayes_threshold, self.bootstrap, self.seed)


def main(config: SstConfig) -> int:
    """Read table and masks, write the statistics, print them; returns the exit code."""
    table = read_table(config.matchups, REQUIRED_COLUMNS)
    masks = find_masks(config.predictions)
    writable_folder(config.predictions)
    samples = sample_masks(table, masks, config.threshold, config.locate)
    warn_of_seen(samples.made)
    results = judge(table, samples, config.settings) | {"threshold": config.threshold}
    kept = write_predictions(config.predictions / PREDICTIONS_NAME, table, samples, config.select)
    write_statistics_csv(config.predictions / TABLE_NAME, results)
    write_json(config.predictions / STATISTICS_NAME, results)
    for line in lines(results):
        log.info("%s", line)
    message = (
        f"{len(table['isst'])} match-ups, {len(masks)} masks; rows without a decision: "
        f"{excluded_text(results['excluded'])}. Statistics in {config.predictions / STATISTICS_NAME}, {kept} rows in "
        f"{config.predictions / PREDICTIONS_NAME}"
    )
    summary = {"message": message, "rows_written": kept, **results}
    return finish(config, summary, samples.failures, config.predictions, FAILURES_NAME)


def judge(table: Table, samples: MaskSamples, settings: StatisticsSettings) -> dict[str, Any]:
    """The whole of sst.json: what `match_up_statistics` gives, with `reference` of the pixels that the table counts.

    Beside it `excluded`, how many rows have no decision and why; `located`, how many masks were read by index and by
    position; `masks`, of whom they are; `offset` between the two in pixels; `time_of_day`, by what rows were told to be
    of day or night; and bayes_threshold.
    """
    reference = reference_numbers(table, samples.indexed, samples.threshold, settings.bayes_threshold)
    return match_up_statistics(table, samples.row_samples, settings) | {
        "reference": reference,
        "excluded": samples.excluded,
        "located": samples.located,
        "masks": samples.made,
        "offset": samples.offset,
        "time_of_day": samples.time_of_day,
        "bayes_threshold": settings.bayes_threshold,
    }


def lines(results: dict[str, Any]) -> list[str]:
    """The results for people."""
    located = results["located"]
    return [
        *reference_lines(results["reference"]),
        *statistics_lines(results["statistics"]),
        *paired_lines(results["paired"]),
        f"Pixels by position in {located['position']} masks, by index in {located['index']}",
        *offset_lines(results["offset"]),
    ]


if __name__ == "__main__":
    sys.exit(run("jaxmask.sst", SstConfig, main))
