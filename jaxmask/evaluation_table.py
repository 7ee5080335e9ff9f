"""The figures of an evaluation as a table of at most 100 columns: all pixels first, then stratum by stratum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jaxmask.evaluation_records import CLOUD_EDGE, Record, right_share
from jaxmask.strata import ALL

NAMES = {"unet": "U-Net", "bayes": "label"}
# Headings, and the figures of a record below them; `right` is its agreement or accuracy.
OVERALL = (("right", "right"), ("precis", "precision"), ("recall", "recall"), ("false", "false_alarms"),
           ("F1", "f1"), ("IoU", "iou"), ("major", "majority"))  # fmt: skip
AREAS = (("ROC", "roc_area"), ("PR", "precision_recall_area"), ("ECE", "expected_calibration_error"))
ALONE = (("right", "right"), ("missed", "missed_cloud"), *OVERALL[3:], ("ROC", "roc_area"))  # without any truth
SIDE_BY_SIDE = (("right", "right"), ("miss", "missed_cloud"), ("false", "false_alarms"))
CORRECTED = (("corr", "corrected_share"), ("spoil", "spoiled_share"))
LEGEND = (
    "right: agreement with the label, accuracy against truth; miss: of the cloud, what is called clear;",
    "false: of the clear pixels, what is called cloud; major: right by always saying the commoner class.",
)
CORRECTED_LEGEND = "corr: of the label's errors, those put right; spoil: of its right pixels, those put wrong."


def evaluation_lines(records: Sequence[Record], part: str, products: int) -> list[str]:
    """The whole table. part: what was judged; products: how many."""
    what = "products" if part == "all" else f"products of the {part} part"
    everything = [record for record in records if record["stratum"] == ALL.name]
    judged = [record for record in records if record["part"] == part]
    with_truth = any(record["against"] == "truth" for record in judged)
    return [
        f"Cloud masks of {products} {what}, % of pixels (areas and ECE from 0 to 1):",
        *_overall_lines(everything),
        *(line for record in everything if record["part"] == part for line in _baseline_lines(record)),
        *LEGEND,
        *([CORRECTED_LEGEND] if with_truth else []),
        *_strata_lines([record for record in judged if record["stratum"] != ALL.name], with_truth),
    ]


def _overall_lines(records: Sequence[Record]) -> Iterator[str]:
    headings = "".join(f"{heading:>7}" for heading, _ in (*OVERALL, *AREAS))
    yield f"{'mask':6}{'against':8}{'pixels':>13}{headings}"
    parts = list(dict.fromkeys(record["part"] for record in records))
    for part in parts:
        if len(parts) > 1:
            yield f"{part}:"
        for record in (record for record in records if record["part"] == part):
            shares = "".join(f"{_percent(_value(record, name), 2):>7}" for _, name in OVERALL)
            areas = "".join(f"{_number(record.get(name)):>7}" for _, name in AREAS)
            yield f"{NAMES[record['mask']]:6}{record['against']:8}{record['count']:13,d}{shares}{areas}"


def _baseline_lines(record: Record) -> Iterator[str]:
    """What masks that know nothing would get, once for each target; and the label's errors that the mask puts right."""
    if record["mask"] != "unet":
        return
    yield (
        f"A mask that is all cloud agrees with the {record['against']} on {_percent(record['all_cloud'], 2)} % "
        f"(F1 {_percent(record['all_cloud_f1'], 2)} %), one all clear on {_percent(record['all_clear'], 2)} %."
    )
    if "label_errors" in record:
        yield (
            f"Label errors corrected: {_percent(record['corrected_share'], 2)} % of {record['label_errors']:,}; "
            f"right labels spoiled: {_percent(record['spoiled_share'], 2)} % of {record['right_labels']:,}."
        )


def _strata_lines(records: Sequence[Record], with_truth: bool) -> Iterator[str]:
    """One line a stratum; where its pixels are others for each target (distance to the edge) one line for each."""
    groups: dict[tuple[str, str, int, str], dict[str, Record]] = {}
    for record in sorted(records, key=lambda record: _order(records, record)):
        target = record["against"] if record["dimension"] == CLOUD_EDGE else ""
        key = (record["dimension"], record["stratum"], record["count"], target)
        groups.setdefault(key, {})[f"{record['mask']} {record['against']}"] = record
    pairs = ("unet label", "unet truth", "bayes truth") if with_truth else ("unet label",)
    columns = [(pair, heading, name) for pair in pairs for heading, name in (SIDE_BY_SIDE if with_truth else ALONE)]
    if with_truth:
        columns += [("unet truth", heading, name) for heading, name in CORRECTED]
        titles = "".join(f"{title:>18}" for title in ("U-Net : label", "U-Net : truth", "label : truth"))
        yield f"{'':29}{titles}"
    yield f"{'stratum':15}{'pixels':>14}" + "".join(f"{heading:>{_width(heading)}}" for _, heading, _ in columns)
    dimension = ""
    for (found, stratum, count, _), group in groups.items():
        if found != dimension:
            yield f"by {found.replace('_', ' ')}:"
            dimension = found
        cells = (f"{_cell(group.get(pair, {}), name):>{_width(heading)}}" for pair, heading, name in columns)
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


def _percent(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
