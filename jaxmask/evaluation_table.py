"""The figures of an evaluation as tables of at most 80 columns: all pixels first, then stratum by stratum."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from jaxmask.evaluation_records import Record, right_share
from jaxmask.strata import ALL

NAMES = {"unet": "U-Net", "bayes": "label"}
# Headings, and the figures of a record below them; `right` is its agreement or accuracy.
OVERALL = (("right", "right"), ("precis", "precision"), ("recall", "recall"), ("false", "false_alarms"),
           ("F1", "f1"), ("IoU", "iou"))  # fmt: skip
AREAS = (("ROC", "roc_area"), ("PR", "precision_recall_area"), ("ECE", "expected_calibration_error"))
ALONE = (("right", "right"), ("missed", "missed_cloud"), *OVERALL[3:], ("major", "majority"), ("ROC", "roc_area"))
SIDE_BY_SIDE = (("right", "right"), ("miss", "missed_cloud"), ("false", "false_alarms"))
CORRECTED = (("corr", "corrected_share"), ("spoil", "spoiled_share"))
LEGEND = (
    "right: agreement with the label, accuracy against truth; miss: of the cloud, what is called clear; "
    "false: of the clear pixels, what is called cloud; major: right by always saying the commoner class."
)
CORRECTED_LEGEND = " corr: of the label's errors, those put right; spoil: of its right pixels, those put wrong."
WIDTH = 80
MANY = 10**6  # pixels, from which on they are counted in millions


def evaluation_lines(records: Sequence[Record], part: str, products: int) -> list[str]:
    """The whole table. part: what was judged; products: how many."""
    what = "products" if part == "all" else f"products of the {part} part"
    everything = [record for record in records if record["stratum"] == ALL.name]
    judged = [record for record in records if record["part"] == part]
    with_truth = any(record["against"] == "truth" for record in judged)
    strata = [record for record in judged if record["stratum"] != ALL.name]
    return [
        f"Cloud masks of {products} {what}, % of pixels; areas, ECE 0-1:",
        *_overall_lines(everything),
        *(line for record in everything if record["part"] == part for line in _baseline_lines(record)),
        *textwrap.wrap(LEGEND + (CORRECTED_LEGEND if with_truth else ""), WIDTH),
        *(["", "Against the label:"] if with_truth else []),
        *_strata_lines(strata, "label", [("unet", heading, name) for heading, name in ALONE]),
        *(_truth_lines(strata) if with_truth else []),
    ]


def _overall_lines(records: Sequence[Record]) -> Iterator[str]:
    headings = "".join(f"{heading:>{max(6, len(heading) + 1)}}" for heading, _ in OVERALL)
    yield f"{'mask':6}{'vs':6}{'pixels':>9}{headings}" + "".join(f"{heading:>7}" for heading, _ in AREAS)
    parts = list(dict.fromkeys(record["part"] for record in records))
    for part in parts:
        if len(parts) > 1:
            yield f"{part}:"
        for record in (record for record in records if record["part"] == part):
            shares = "".join(
                f"{_percent(_value(record, name), 2)[:5]:>{max(6, len(heading) + 1)}}" for heading, name in OVERALL
            )
            areas = "".join(f"{_number(record.get(name)):>7}" for _, name in AREAS)
            yield f"{NAMES[record['mask']]:6}{record['against']:6}{_count(record['count']):>9}{shares}{areas}"


def _baseline_lines(record: Record) -> Iterator[str]:
    """What masks that know nothing would get, once for each target; and the label's errors that the mask puts right."""
    if record["mask"] != "unet":
        return
    yield from textwrap.wrap(
        f"A mask that is all cloud agrees with the {record['against']} on {_percent(record['all_cloud'], 2)} % "
        f"(F1 {_percent(record['all_cloud_f1'], 2)} %), one all clear on {_percent(record['all_clear'], 2)} %.",
        WIDTH,
    )
    if "label_errors" in record:
        yield from textwrap.wrap(
            f"Label errors corrected: {_percent(record['corrected_share'], 2)} % of {record['label_errors']:,}; "
            f"right labels spoiled: {_percent(record['spoiled_share'], 2)} % of {record['right_labels']:,}.",
            WIDTH,
        )


def _truth_lines(records: Sequence[Record]) -> Iterator[str]:
    """The mask and the label beside each other, both against the truth."""
    columns = [(mask, heading, name) for mask in ("unet", "bayes") for heading, name in SIDE_BY_SIDE]
    yield from ("", "Against the truth:", f"{'':29}{'U-Net':>18}{'label':>18}{'U-Net':>12}")
    yield from _strata_lines(records, "truth", [*columns, *(("unet", heading, name) for heading, name in CORRECTED)])


def _strata_lines(records: Sequence[Record], against: str, columns: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """One line a stratum, of the records against one target. columns: a mask, its heading, and its figure."""
    groups: dict[tuple[str, str, int], dict[str, Record]] = {}
    for record in sorted(records, key=lambda record: _order(records, record)):
        if record["against"] == against:
            key = (record["dimension"], record["stratum"], record["count"])
            groups.setdefault(key, {})[record["mask"]] = record
    yield f"{'stratum':15}{'pixels':>14}" + "".join(f"{heading:>{_width(heading)}}" for _, heading, _ in columns)
    dimension = ""
    for (found, stratum, count), group in groups.items():
        if found != dimension:
            yield f"by {found.replace('_', ' ')}:"
            dimension = found
        cells = (f"{_cell(group.get(mask, {}), name):>{_width(heading)}}" for mask, heading, name in columns)
        yield f"  {stratum:13}{count:14,d}{''.join(cells)}"


def _order(records: Sequence[Record], record: Record) -> tuple[int, int]:
    """By dimension and stratum as they first come, which the sort keeps."""
    dimensions = list(dict.fromkeys(each["dimension"] for each in records))
    names = list(dict.fromkeys(each["stratum"] for each in records))
    return dimensions.index(record["dimension"]), names.index(record["stratum"])


def _cell(record: Record, name: str) -> str:
    value = _value(record, name) if record else None
    return _number(value) if name == "roc_area" else _percent(value, 1)


def _value(record: Record, name: str) -> float | None:
    value: float | None = right_share(record) if name == "right" else record.get(name)
    return value


def _width(heading: str) -> int:
    return 7 if "ROC" in heading else max(6, len(heading) + 1)


def _count(pixels: int) -> str:
    """At most 8 letters up to a million millions; the file has it in full."""
    return f"{pixels:,}" if pixels < MANY else f"{pixels / MANY:.{1 if pixels < 1000 * MANY else 0}f} M"


def _percent(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
