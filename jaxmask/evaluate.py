"""Edge: the command that judges masks against labels (agreement) and against a simulated archive's truth (accuracy)."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxmask.evaluate_config import EvaluateConfig
from jaxmask.evaluation_records import Record, make_curves, make_records
from jaxmask.evaluation_table import evaluation_lines
from jaxmask.evaluation_warnings import common_line, remarks_of, warnings_of
from jaxmask.judged import JudgedProduct
from jaxmask.maskfile import find_masks, read_attributes
from jaxmask.parts import part_finder
from jaxmask.probability import ProbabilityFit
from jaxmask.probability_file import read_fits
from jaxmask.product_scores import Job, score_product
from jaxmask.split import PARTS, recorded_split
from jaxmask.strata import ALL, meanings
from jaxmask.tally import Stratum, Tallies, Tally, add_strata, empty
from preprocess.command import Failure, finish, log, run, sort_out
from preprocess.errors import UserError
from preprocess.files import whole_file, writable_folder, write_json
from preprocess.outcome import Outcome
from preprocess.pool import map_items, one_line
from preprocess.shard import find_shards

if TYPE_CHECKING:
    from jaxmask.calibrate import Source

RESULT_NAME = "evaluation.json"
TABLE_NAME = "evaluation.csv"
MODEL_RECORD = "config.json"
CALIBRATED = "validation"  # part, by --calibrate
FAILURES_NAME = "evaluation_failures.json"  # failures.json there is of infer

Totals = dict[str, dict[Stratum, Tally]]  # by part


def main(config: EvaluateConfig) -> int:
    """Count, write evaluation.json and evaluation.csv, print the table; returns the exit code."""
    masks, shards = find_masks(config.predictions), {path.stem: path for path in find_shards(config.shards)}
    if config.truth is not None and not config.truth.is_dir():
        raise UserError(f"{config.truth}: no such folder; expected the truth/ of an archive of preprocess.simulate")
    writable_folder(config.predictions)
    fits = read_fits(config.model) if config.model else ()
    source = _calibration_source(config, [mask for mask in masks if mask.stem in shards])
    part, jobs = _jobs(config, masks, shards)
    products, totals, failures = _judge(config, jobs)
    if not products:
        raise UserError(f"none of {len(jobs)} masks could be judged; the first failed so: {failures[0].error}")
    for line in warnings_of(products, truth_asked=config.truth is not None):
        log.warning("warning: %s", line)
    for line in remarks_of(products, len(masks) - len(jobs)):
        log.info("%s", line)
    result = _result(config, products, totals, part, fits)
    result["matchups"], lines = _matchups(config, masks)
    if source is not None:
        result["calibration"] = _calibrate(source, products, totals)
    write_json(config.predictions / RESULT_NAME, result)
    write_csv(config.predictions / TABLE_NAME, result["records"])
    if not (config.json or config.quiet):
        print("\n".join([*evaluation_lines(result["records"], part, len(products)), *lines]))
    message = f"{len(products)} products judged ({part}); results in {config.predictions / RESULT_NAME}"
    return finish(config, {"message": message, **result}, failures, config.predictions, FAILURES_NAME)


def _result(
    config: EvaluateConfig,
    products: Sequence[JudgedProduct],
    totals: Totals,
    part: str,
    fits: Sequence[ProbabilityFit],
) -> dict[str, Any]:
    """What evaluation.json holds: of "all" products each known part's records, then those of all together."""
    summed = {ALL: empty()} | add_strata(list(totals.values()))
    known: dict[str, Tallies] = {name: totals[name] for name in PARTS if name in totals} if part == "all" else {}
    line = common_line(products, fits)
    return {
        "part": part,
        "cosmetic": config.cosmetic,
        "thresholds": sorted({product.notes.threshold for product in products}),
        "models": sorted({product.notes.model for product in products}),
        "probability": None if line is None else {"slope": line.slope, "intercept": line.intercept},
        "strata": meanings(),
        "records": make_records({**known, part: summed}, part, line),
        "curves": make_curves(summed, part, line),
        "products": [product.row for product in sorted(products, key=lambda product: product.product)],
    }


def _matchups(config: EvaluateConfig, masks: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """The match-ups' statistics under the truth, and their table; nothing unless asked for."""
    if config.matchups is None or config.truth is None:
        return [], []
    from jaxmask.truth_matchups import matchup_lines, truth_matchups  # which reads tables, with pandas

    records = truth_matchups(config.matchups, masks, config.truth)
    return records, matchup_lines(records)


def _calibration_source(config: EvaluateConfig, masks: Sequence[Path]) -> Source | None:
    """For --calibrate, what is to be fitted: refused before anything is counted."""
    if not config.calibrate or config.model is None:
        return None
    from jaxmask.calibrate import calibration_source  # which reads the model, with jax

    return calibration_source(config.model, masks)


def _calibrate(source: Source, products: Sequence[JudgedProduct], totals: Totals) -> dict[str, Any]:
    from jaxmask.calibrate import calibrate, calibration_line

    names = [product.product for product in products if product.part == CALIBRATED and product.labelled]
    record = calibrate(source, names, totals.get(CALIBRATED, {}).get(ALL, empty()).score_bins("label"))
    log.info("%s", calibration_line(record))
    return record


def _judge(config: EvaluateConfig, jobs: Sequence[Job]) -> tuple[list[JudgedProduct], Totals, list[Failure]]:
    """Judge one product after the other; counts are summed as they come, by part, and not kept."""
    outcomes = map_items(
        score_product, jobs, workers=config.workers, scheduler=config.scheduler,
        label="evaluate", unit="products", quiet=config.quiet,
    )  # fmt: skip
    totals: Totals = {}
    products, failures = sort_out(_summed(outcomes, totals), lambda job: job.mask)
    return products, totals, failures


def _summed(outcomes: Iterable[Outcome[Job, JudgedProduct]], totals: Totals) -> Iterator[Outcome[Job, JudgedProduct]]:
    """The outcomes without their counts, which `totals` takes up."""
    for outcome in outcomes:
        score = outcome.value
        if score is None:
            yield outcome
            continue
        totals[score.part] = add_strata([totals.get(score.part, {}), score.tallies])
        yield Outcome(outcome.item, score.without_tallies())


def write_csv(path: Path, records: Sequence[Record]) -> None:
    """The records as a table, agreement and accuracy each in a column of its own; empty where there is no number."""
    names = list(dict.fromkeys(name for record in records for name in record))
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(records)


def _jobs(config: EvaluateConfig, masks: Sequence[Path], shards: Mapping[str, Path]) -> tuple[str, list[Job]]:
    """The part to judge, and its masks that have a shard; UserError if there is none."""
    part_of = _part_reader(config.model)
    matched = [path for path in masks if path.stem in shards]
    if not matched:
        raise UserError(
            f"no mask in {config.predictions} has a shard in {config.shards}: masks such as {masks[0].stem}, shards "
            f"such as {next(iter(shards))}; give the folder whose products were predicted"
        )
    jobs = [
        Job(path, shards[path.stem], config.truth, config.threshold, part_of(path), config.cosmetic) for path in matched
    ]
    part = config.part or _usual_part(config, jobs)
    chosen = [job for job in jobs if part in ("all", job.part)]
    if not chosen:
        raise UserError(
            f"none of the {len(jobs)} masks with a shard is of the model's {part} part; "
            "give the --model that made them, or judge --part all"
        )
    return part, chosen


def _usual_part(config: EvaluateConfig, jobs: Sequence[Job]) -> str:
    if config.calibrate:
        return CALIBRATED
    return "test" if config.model or any(job.part == "test" for job in jobs) else "all"


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


if __name__ == "__main__":
    sys.exit(run("jaxmask.evaluate", EvaluateConfig, main))
