"""Edge: the command that judges masks against labels (agreement) and against a simulated archive's truth (accuracy)."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from jaxmask.mask_samples import cloud_at, sample_masks
from jaxmask.maskfile import find_masks, read_attributes
from jaxmask.matchup_table import read_table
from jaxmask.matchups import REQUIRED_COLUMNS, statistics
from jaxmask.parts import part_finder
from jaxmask.product_scores import Job, ProductScore, score_product
from jaxmask.scores import STRATA, add, shares
from jaxmask.split import PARTS, recorded_split
from jaxmask.sst import statistics_lines
from jaxmask.truth import read_truth
from preprocess.command import Failure, finish, log, run, sort_out
from preprocess.errors import UserError
from preprocess.files import whole_file, write_json
from preprocess.flags import Parallel, check
from preprocess.pool import map_items, one_line
from preprocess.shard import find_shards

RESULT_NAME = "evaluation.json"
TABLE_NAME = "evaluation.csv"
MODEL_RECORD = "config.json"
FAILURES_NAME = "evaluation_failures.json"  # failures.json there is of infer
SEEN = {"train": "trained on", "validation": "chosen by its loss on"}
# What is judged, against what, and what the share of equal pixels is called.
COMPARISONS = (("unet", "label", "agreement"), ("unet", "truth", "accuracy"), ("bayes", "truth", "accuracy"))


@dataclass(frozen=True)
class EvaluateConfig(Parallel):
    """Judge masks against the labels of their shards, and against the truth where an archive is simulated."""

    shards: Positional[Annotated[Path, arg(metavar="SHARDS")]]
    """Folder of shards that hold the labels."""
    predictions: Positional[Annotated[Path, arg(metavar="PREDICTIONS")]]
    """Folder of masks; evaluation.json and evaluation.csv are written there."""
    model: Path | None = None
    """Model folder, whose split says which products were trained on."""
    truth: Path | None = None
    """Folder of a simulated archive's truth."""
    matchups: Path | None = None
    """Table of match-ups; with --truth, their statistics under a perfect mask are added."""
    part: Literal["test", "validation", "train", "all"] | None = None
    """Products to judge: by default the test part if --model is given, else all, with the records of each part that is
    known beside those of all together."""
    threshold: float | None = None
    """A pixel is cloud where the mask exceeds this; by default the mask file's own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.threshold is None or 0 < self.threshold < 1, "threshold", "between 0 and 1", self.threshold)
        check(self.matchups is None or self.truth is not None, "matchups", "given with --truth", self.matchups)


def main(config: EvaluateConfig) -> int:
    """Count, write evaluation.json and evaluation.csv, print the table; returns the exit code."""
    masks, shards = find_masks(config.predictions), {path.stem: path for path in find_shards(config.shards)}
    if config.truth is not None and not config.truth.is_dir():
        raise UserError(f"{config.truth}: no such folder; expected the truth/ of an archive of preprocess.simulate")
    part = config.part or ("test" if config.model else "all")
    jobs = _jobs(config, part, masks, shards)
    scores, failures = _scores(config, jobs)
    if not scores:
        raise UserError(f"none of {len(jobs)} masks could be judged; the first failed so: {failures[0].error}")
    _warn(scores, part, len(masks) - len(jobs))
    records = make_records(scores, part)
    matchups = truth_matchups(config.matchups, masks, config.truth) if config.matchups and config.truth else []
    products = [score.row() for score in sorted(scores, key=lambda score: score.product)]
    result = {"records": records, "products": products, "matchups": matchups}
    write_json(config.predictions / RESULT_NAME, result)
    write_csv(config.predictions / TABLE_NAME, records)
    for line in [*record_lines(records), *(statistics_lines(matchups) if matchups else [])]:
        log.info("%s", line)
    message = f"{len(scores)} products judged ({part}); results in {config.predictions / RESULT_NAME}"
    return finish(config, {"message": message, **result}, failures, config.predictions, FAILURES_NAME)


def make_records(scores: Sequence[ProductScore], part: str) -> list[dict[str, Any]]:
    """One record for each comparison and stratum that some product has, of summed counts; of "all" then each part's."""
    records = []
    if part == "all":
        parts = {name: [score for score in scores if score.part == name] for name in PARTS}
        records = [record for name, found in parts.items() for record in make_records(found, name)]
    return [*_part_records(scores, part), *records]


def _part_records(scores: Sequence[ProductScore], part: str) -> list[dict[str, Any]]:
    records = []
    for mask, against, right in COMPARISONS:
        for stratum in STRATA:
            key = (mask, against, stratum)
            found = [score.counts[key] for score in scores if key in score.counts]
            if found:
                names = {"mask": mask, "against": against, "part": part, "stratum": stratum}
                records.append(names | shares(add(found), right))
    return records


def truth_matchups(matchups: Path, masks: Sequence[Path], truth: Path) -> list[dict[str, Any]]:
    """Match-up statistics under a perfect mask (clear where cloud changes S8 by at most 0.2 K), at the masks' rows."""
    table = read_table(matchups, REQUIRED_COLUMNS)
    samples = sample_masks(table, masks)

    def sst_cloud(name: str) -> Any:
        found = read_truth(truth, name)
        return None if found is None else found.sst_cloud

    cloud, known = cloud_at(sst_cloud, table)
    return statistics(table, samples.valid & known, {"truth": ~cloud})


def write_csv(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """The records as a table, agreement and accuracy each in a column of its own; empty where there is no number."""
    names = list(dict.fromkeys(name for record in records for name in record))
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(records)


def record_lines(records: Sequence[dict[str, Any]]) -> list[str]:
    """The records as a table for people."""
    columns = ("precision", "recall", "f1", "iou", "majority")
    header = f"{'part':11}{'mask':7}{'against':9}{'stratum':9}{'pixels':>13}"
    header += "".join(f"{column:>11}" for column in ("right", *columns))
    lines = ["Masks by pixel (right: agreement with the label, accuracy against truth; precision and so on of cloud):"]
    for record in records:
        right = record["agreement"] if record["against"] == "label" else record["accuracy"]
        values = "".join(f"{_number(value):>11}" for value in (right, *(record[c] for c in columns)))
        names = f"{record['part']:11}{record['mask']:7}{record['against']:9}{record['stratum']:9}"
        lines.append(f"{names}{record['count']:13,d}{values}")
    return [lines[0], header, *lines[1:]]


def _jobs(config: EvaluateConfig, part: str, masks: Sequence[Path], shards: dict[str, Path]) -> list[Job]:
    """The masks of the part that have a shard; UserError if there is none."""
    part_of = _part_reader(config.model)
    matched = [path for path in masks if path.stem in shards]
    if not matched:
        raise UserError(
            f"no mask in {config.predictions} has a shard in {config.shards}: masks such as {masks[0].stem}, shards "
            f"such as {next(iter(shards))}; give the folder whose products were predicted"
        )
    jobs = [Job(path, shards[path.stem], config.truth, config.threshold, part_of(path)) for path in matched]
    chosen = [job for job in jobs if part in ("all", job.part)]
    if not chosen:
        raise UserError(
            f"none of the {len(jobs)} masks with a shard is of the model's {part} part; "
            "give the --model that made them, or judge --part all"
        )
    return chosen


def _part_reader(model: Path | None) -> Callable[[Path], str]:
    """From a mask file to its product's part: as the model's record says, else as `infer` noted in the mask."""
    if model is None:
        return _noted_part
    try:
        part = part_finder(recorded_split(json.loads((model / MODEL_RECORD).read_text())["split"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{model} doesn't say what it was trained on; expected a model folder whose {MODEL_RECORD} has a 'split' "
            f"({one_line(error)})"
        ) from error
    return lambda path: part(path.stem)


def _noted_part(path: Path) -> str:
    try:
        return str(read_attributes(path).get("part", "none"))
    except UserError:
        return "none"  # judging it will say what is wrong


def _scores(config: EvaluateConfig, jobs: Sequence[Job]) -> tuple[list[ProductScore], list[Failure]]:
    outcomes = map_items(
        score_product, jobs, workers=config.workers, scheduler=config.scheduler, label="evaluate", quiet=config.quiet
    )
    return sort_out(outcomes, lambda job: job.mask)


def _warn(scores: Sequence[ProductScore], part: str, left_out: int) -> None:
    for seen, how in SEEN.items():
        found = [score.product for score in scores if score.part == seen]
        if part == "all" and found:
            log.warning("warning: the model was %s %d of these products, such as %s", how, len(found), found[0])
    unlabelled = sum(not score.labelled for score in scores)
    if unlabelled:
        log.info("%d products without labels count no pixels", unlabelled)
    if left_out:
        log.info("%d masks are of another part or have no shard", left_out)
    if len({score.model for score in scores}) > 1:
        log.warning("warning: these masks are of more than one model")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    sys.exit(run("jaxmask.evaluate", EvaluateConfig, main))
