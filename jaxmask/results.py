"""Edge: the command that prints the benchmark's row of one training, or its tables of many."""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxmask.history import read_history
from jaxmask.results_row import COLUMNS, published_units, read_results
from jaxmask.results_runs import model_folder, read_runs
from jaxmask.results_table import EXTRA_COLUMNS, Row, csv_row, markdown_tables, with_speed_up
from jaxmask.results_text import plain_tables
from preprocess.command import log, print_summary, run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED, UserError
from preprocess.files import whole_file
from preprocess.flags import Output


@dataclass(frozen=True)
class ResultsConfig(Output):
    """Print the benchmark's row of a finished training; of many, its tables, with speed-up and efficiency."""

    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN")]]
    """Model folders that jaxmask.train wrote, or folders that hold one called model."""
    published_units: bool = False
    """Count images per second as the published figures do: test patches too, over the time of training alone."""
    output: Path | None = None
    """File for the tables in Markdown."""
    csv: Path | None = None
    """File for a row a run: the benchmark's columns, then ours."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise UserError("RUN must be one model folder or more; found none")


def main(config: ResultsConfig) -> int:
    """Print the row of one run, a column a line, or the tables of many; returns the exit code."""
    if len(config.runs) == 1 and config.output is None and config.csv is None:
        return _one(config, model_folder(config.runs[0]))
    rows, failures = read_runs(config.runs, published=config.published_units)
    for failure in failures:
        log.error("not shown: %s", failure.error)
    if not rows:
        raise UserError(f"none of the {len(config.runs)} runs can be shown; the first for this: {failures[0].error}")
    rows = with_speed_up(rows)
    if config.output is not None:
        text = markdown_tables(rows)
        if failures:
            text += "\n\nNot shown:\n\n" + "\n".join(f"- {failure.error}" for failure in failures)
        with whole_file(config.output) as partial:
            partial.write_text(text + "\n")
    if config.csv is not None:
        write_csv(config.csv, rows)
    told = [csv_row(row, COLUMNS) for row in rows]
    print_summary(
        config, {"message": plain_tables(rows), "runs": told, "failures": [dataclasses.asdict(one) for one in failures]}
    )
    return EXIT_SOME_FAILED if failures else EXIT_DONE


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows, a run each, with their header."""
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, (*COLUMNS, *EXTRA_COLUMNS))
        writer.writeheader()
        writer.writerows(csv_row(row, COLUMNS) for row in rows)


def _one(config: ResultsConfig, folder: Path) -> int:
    row = read_results(folder)
    if config.published_units:
        row = published_units(row, read_history(folder))
    print_summary(config, row | {"message": "\n".join(f"{name:24} {value}" for name, value in row.items())})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run("jaxmask.results", ResultsConfig, main))
