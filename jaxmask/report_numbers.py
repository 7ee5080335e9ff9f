"""The numbers of a run as text for its report: units everywhere, and where there is no number, the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxmask.figures import Sample
from jaxmask.matchups import (
    ALGORITHMS,
    BAYES_THRESHOLD,
    PUBLISHED,
    Algorithm,
    Table,
    bayes_clear,
    differences,
    median_and_rsd,
    quality_filter,
)

Record = Mapping[str, Any]
MASK_NAMES = {
    "bayes": "Bayes",
    "bayes_nadir": "Bayes, nadir view alone",
    "bayes_half": "Bayes at 0.5",
    "unet": "U-Net",
    "unet_bayes_oblique": "U-Net, and Bayes in the oblique view",
    "truth": "truth",
    "none": "no mask",
}
MASK_ORDER = tuple(MASK_NAMES)
# What the report shows; the rest of the strata (sun zenith, latitude, distance to an edge...) is in evaluation.csv.
STRATUM_ORDER = (
    "all", "day", "night", "twilight", "dark", "sea", "land", "coast", "inland_water", "snow", "glint",
)  # fmt: skip
DEFAULT_THRESHOLD = 0.5
PART_NAMES = {"train": "training part", "validation": "validation part", "test": "test part"}
SCORES = ("precision", "recall", "f1", "iou")
SCORE_HEADINGS = ("precision, %", "recall, %", "F1, %", "IoU, %")
MAJORITY = "The majority class is what always giving the commoner answer would score."
EVALUATIONS = {
    "label": (f"Against the Bayes label, which errs too: the share of pixels that agree. {MAJORITY}", "agreement, %"),
    "truth": (f"Against the hidden truth of simulated products: the share that is right. {MAJORITY}", "accuracy, %"),
}
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
STATISTICS_CAPTION = (
    "Satellite minus buoy where a mask says clear, all masks on the same eligible match-ups. RSD, the robust standard "
    "deviation, is 1.4826 times the median absolute deviation. Algorithms: N of the nadir view, D of both; 2 and 3 are "
    "how many channels they use."
)


@dataclass(frozen=True)
class Cell:
    """One entry of a table or card: `text`, or, where there is none, the `reason` for it."""

    text: str = ""
    reason: str = ""
    number: bool = False


@dataclass(frozen=True)
class TableText:
    """A table ready to be shown; every heading carries its unit."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Card:
    """One headline number, with the line that says what it counts."""

    label: str
    value: Cell
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """An inline SVG and the sentence under it."""

    svg: str
    caption: str


def number(value: float | None, digits: int, reason: str = "no data") -> Cell:
    """`value` with a fixed number of digits; where it is missing or not finite, a cell with the reason instead."""
    if value is None or not np.isfinite(value):
        return Cell(reason=reason, number=True)
    return Cell(f"{value:,.{digits}f}".replace("-", MINUS), number=True)


def share(value: float | None, reason: str = "no data") -> Cell:
    """A share 0..1 in per cent, with one digit."""
    return number(None if value is None else 100 * value, 1, reason)


def spoken(cell: Cell, unit: str = "") -> str:
    """The cell within a sentence: "0.25 K", or a dash and the reason."""
    return f"{cell.text}{unit}" if cell.text else f"{DASH} ({cell.reason})"


def evaluation_tables(evaluation: Record) -> tuple[TableText, ...]:
    """Masks against the label, then against truth, by stratum: the test part where there is one, else all parts."""
    records = [record for record in evaluation["records"] if record["stratum"] in STRATUM_ORDER]
    chosen = [record for record in records if record["part"] == "test"] or records
    tables = []
    for against, (caption, heading) in EVALUATIONS.items():
        rows = sorted((record for record in chosen if record["against"] == against), key=_evaluation_order)
        if rows:
            headings = ("mask", "part", "stratum", "pixels", heading, "majority class, %", *SCORE_HEADINGS)
            tables.append(TableText(caption, headings, tuple(_evaluation_row(record) for record in rows)))
    return tuple(tables)


def _evaluation_order(record: Record) -> tuple[Any, ...]:
    return _rank(MASK_ORDER, record["mask"]), record["part"], _rank(STRATUM_ORDER, record["stratum"])


def _evaluation_row(record: Record) -> tuple[Cell, ...]:
    why = "no pixels" if not record["count"] else "undefined"
    names = (_mask_name(record), record["part"], record["stratum"])
    scores = (score(record), record.get("majority"), *(record.get(name) for name in SCORES))
    return (*map(Cell, names), number(record["count"], 0), *(share(value, why) for value in scores))


def score(record: Record) -> float | None:
    """The share of pixels that agree with the label, or are right by the truth."""
    return record.get("agreement") if record["against"] == "label" else record.get("accuracy")


def find_record(evaluation: Record | None, mask: str, against: str) -> Record | None:
    """The record of all held-out pixels; of all pixels, or those seen in training, where only these were judged."""
    records = [r for r in (evaluation or {}).get("records", ()) if r["stratum"] == "all"]
    for part in ("test", "all", "validation", "train"):
        for record in records:
            if (record["mask"], record["against"], record["part"]) == (mask, against, part):
                return record
    return None


def statistics_table(records: Iterable[Record]) -> TableText:
    """The match-up statistics, algorithm by algorithm, each mask with its count."""
    names = [algorithm.name for algorithm in ALGORITHMS]
    ordered = sorted(
        records, key=lambda r: (_rank(names, r["algorithm"]), r["time_of_day"], _rank(MASK_ORDER, r["mask"]))
    )
    rows = tuple(
        (
            Cell(record["algorithm"]),
            Cell(record["time_of_day"]),
            Cell(_mask_name(record)),
            number(record["count"], 0),
            share(record["coverage"], "none eligible"),
            number(record["median"], 3, "none kept"),
            number(record["rsd"], 3, "none kept"),
            _interval_cell(record),
            *(share(record.get(tail), "none kept") for tail in ("cold_tail", "warm_tail")),
        )
        for record in ordered
    )
    headings = ("algorithm", "time of day", "clear by", "match-ups kept", "kept, %", "median, K", "RSD, K")
    tails = (f"colder than {MINUS}1 K, %", "warmer than +1 K, %")
    return TableText(STATISTICS_CAPTION, (*headings, "RSD: 95 % interval, K", *tails), rows)


def _interval_cell(record: Record) -> Cell:
    bounds = (record.get("intervals") or {}).get("rsd")
    if not bounds or None in bounds:
        return Cell(reason=record.get("no_interval_because") or "not recorded", number=True)
    return Cell(" to ".join(number(bound, 3).text for bound in bounds), number=True)


def statistics_of(sst: Record | None, evaluation: Record | None) -> tuple[Record, ...]:
    """The records of `sst.json`, then those of the hidden truth where `evaluate` knew it."""
    return (*(sst or {}).get("statistics", ()), *(evaluation or {}).get("matchups", ()))


def histogram_samples(
    matchups: Table, algorithm: Algorithm, threshold: float, bayes_threshold: float = BAYES_THRESHOLD
) -> tuple[Sample, ...]:
    """Differences in K where Bayes and where the U-Net say clear, of the rows that the statistics use at the
    algorithm's own time of day."""
    eligible = eligible_rows(matchups, algorithm)
    difference = differences(matchups, algorithm)
    clear = {
        "Bayes": bayes_clear(matchups, dual_view=algorithm.dual_view, threshold=bayes_threshold),
        "U-Net": matchups["model_mask"] < threshold,
    }
    return tuple(_named_sample(name, difference[eligible & rows]) for name, rows in clear.items())


def eligible_rows(matchups: Table, algorithm: Algorithm) -> np.ndarray:
    """The rows, (N,) bool, that the statistics use at the algorithm's own time of day."""
    eligible = quality_filter(matchups, algorithm)
    if "in_statistics" in matchups:
        eligible &= np.asarray(matchups["in_statistics"]) > 0
    if "time_of_day" in matchups:
        eligible &= np.asarray(matchups["time_of_day"]) == algorithm.time_of_day
    return eligible


def histogram_algorithm(records: Sequence[Record]) -> Algorithm | None:
    """D2, which the published figures are of; where it has no match-up the one with most; None if all are empty."""
    counts = {
        algorithm: max((r["count"] for r in records if r["algorithm"] == algorithm.name), default=0)
        for algorithm in ALGORITHMS
    }
    if counts[PUBLISHED]:
        return PUBLISHED
    best = max(counts, key=lambda algorithm: counts[algorithm])
    return best if counts[best] else None


def _named_sample(name: str, values: np.ndarray) -> Sample:
    median, rsd = median_and_rsd(values)
    spread = f"median {number(median, 2).text} K, RSD {number(rsd, 2).text} K" if values.size else "no match-ups"
    return Sample(f"clear by {name}, N = {len(values):,}: {spread}", values)


def _mask_name(record: Record) -> str:
    return MASK_NAMES.get(record["mask"], str(record["mask"]))


def _rank(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)
