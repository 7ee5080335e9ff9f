"""The four outcomes of masks against labels and truth as tables, and which part of an evaluation is shown."""

from __future__ import annotations

from jaxmask.report_numbers import STRATUM_ORDER, Cell, Record, TableText, number, share

OUTCOMES = {"true_positive", "false_negative", "false_positive", "true_negative"}
PARTS_SHOWN = ("test", "all", "validation", "train")  # held-out pixels before those that training saw
PART_WORDS = {"test": "held-out ", "validation": "validation ", "train": "training "}
HEADINGS = (
    "stratum", "pixels", "cloud in both", "missed cloud", "false alarms", "clear in both",
    "missed, % of cloud", "false, % of clear",
)  # fmt: skip
CAPTIONS = {
    (
        "unet",
        "label",
    ): "U-Net against the Bayes label, in pixels: missed is cloud of the label alone, false of the mask alone.",
    ("unet", "truth"): "U-Net against the hidden truth, in pixels.",
    ("bayes", "truth"): "Bayes against the hidden truth, in pixels.",
}


def shown_part(evaluation: Record) -> str:
    """The part whose records charts and cards are of: the test part where there is one."""
    parts = [record["part"] for record in evaluation["records"]]
    return next((part for part in PARTS_SHOWN if part in parts), parts[0] if parts else "all")


def part_words(part: str) -> str:
    """The part before the word "pixels": "held-out "."""
    return PART_WORDS.get(part, "")


def confusion_tables(evaluation: Record) -> tuple[TableText, ...]:
    """For each comparison the four outcomes by stratum, in pixels; older evaluations don't hold them."""
    part = shown_part(evaluation)
    records = [r for r in evaluation["records"] if r["part"] == part and r.keys() >= OUTCOMES and r["count"]]
    tables = []
    for (mask, against), caption in CAPTIONS.items():
        named = {r["stratum"]: r for r in records if (r["mask"], r["against"]) == (mask, against)}
        rows = tuple(_row(named[name]) for name in STRATUM_ORDER if name in named)
        if rows:
            tables.append(TableText(caption, HEADINGS, rows))
    return tuple(tables)


def _row(record: Record) -> tuple[Cell, ...]:
    hit, missed = record["true_positive"], record["false_negative"]
    false, clear = record["false_positive"], record["true_negative"]
    return (
        Cell(record["stratum"].replace("_", " ")),
        *(number(count, 0) for count in (record["count"], hit, missed, false, clear)),
        share(missed / (hit + missed) if hit + missed else None, "no cloud"),
        share(false / (false + clear) if false + clear else None, "no clear pixel"),
    )
