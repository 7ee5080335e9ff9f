"""Masks against labels and truth as charts: confusion by surface and light, reliability, ROC, precision and recall."""

from __future__ import annotations

from collections.abc import Iterator

from jaxmask.figures_confusion import Confusion, confusion_bars
from jaxmask.figures_diagram import NO_SERIES, Bins, Curve, Diagram, Place, diagram, reliability_diagram
from jaxmask.report_numbers import MASK_NAMES, STRATUM_ORDER, Chart, Record, number, share, spoken
from jaxmask.report_scores import OUTCOMES, part_words, shown_part

TARGETS = {"label": "the Bayes label", "truth": "truth"}
COMPARISONS = (("unet", "label"), ("unet", "truth"), ("bayes", "truth"))
SERIES = {"label": 0, "truth": 1}  # colour and line of what is against it
BAYES_SERIES = 2


def agreement_charts(evaluation: Record) -> tuple[Chart, ...]:
    """The charts of `evaluation.json`, in the order of the page: those that its records and curves suffice for."""
    part = shown_part(evaluation)
    records = [record for record in evaluation["records"] if record["part"] == part]
    overall = {(record["mask"], record["against"]): record for record in records if record["stratum"] == "all"}
    curves = [
        curve
        for curve in evaluation.get("curves", ())
        if (curve["part"], curve["stratum"]) == (part, "all") and curve["cloud"] and curve["clear"]
    ]
    return (*_confusions(records, part), *_reliability(curves, overall), *_roc(curves, overall), *_precision(curves))


def _confusions(records: list[Record], part: str) -> Iterator[Chart]:
    for mask, against in COMPARISONS:
        found = [record for record in records if (record["mask"], record["against"]) == (mask, against)]
        named = {record["stratum"]: record for record in found if record["count"] and record.keys() >= OUTCOMES}
        rows = [_confusion(named[name]) for name in STRATUM_ORDER if name in named]
        if rows:
            yield _confusion_chart(mask, against, rows, part)


def _confusion(record: Record) -> Confusion:
    cells = ("true_positive", "false_negative", "false_positive", "true_negative")
    return Confusion(record["stratum"].replace("_", " "), *(int(record[cell]) for cell in cells))


def _confusion_chart(mask: str, against: str, rows: list[Confusion], part: str) -> Chart:
    title = f"{MASK_NAMES[mask]} against {TARGETS[against]}, by surface and light"
    told = "; ".join(
        f"{row.name}, {row.total:,} pixels: cloud in both {_of(row.both_cloud, row)}, missed cloud "
        f"{_of(row.missed, row)}, false alarms {_of(row.false_alarms, row)}, clear in both {_of(row.both_clear, row)}"
        for row in rows
    )
    what = "the label" if against == "label" else "the truth"
    caption = (
        f"{title}: {part_words(part)}pixels. Missed cloud is in {what} alone, a false alarm in the mask alone; both in "
        f"per cent of the stratum's pixels (k: thousand, M: million). A pixel may be of several strata."
    )
    return Chart(confusion_bars(f"confusion-{mask}-{against}", title, rows, told), caption)


def _of(count: int, row: Confusion) -> str:
    return f"{share(count / row.total).text} %"


def _reliability(curves: list[Record], overall: dict[tuple[str, str], Record]) -> Iterator[Chart]:
    series = [_bins(curve, overall.get(("unet", curve["against"]), {})) for curve in curves if curve.get("reliability")]
    if not series:
        return
    title = "Reliability: how often there is cloud where the U-Net's probability says so"
    told = "; ".join(
        f"{bins.name}: "
        + ", ".join(
            f"P {number(p, 2).text} cloud {share(found).text} % of {count:,} pixels"
            for p, found, count in zip(bins.probability, bins.cloud_share, bins.counts, strict=True)
        )
        for bins in series
    )
    caption = (
        f"{title}. 15 bins of P(cloud); ECE is the expected calibration error: the mean distance from the dotted line, "
        "over pixels. Below: pixels in each bin."
    )
    yield Chart(reliability_diagram("reliability", title, series, told), caption)


def _bins(curve: Record, record: Record) -> Bins:
    bins, against = curve["reliability"], curve["against"]
    error = spoken(number(record.get("expected_calibration_error"), 3, "unknown"))
    return Bins(
        name=f"against {TARGETS[against]}, ECE {error}",
        low=[each["low"] for each in bins],
        high=[each["high"] for each in bins],
        counts=[each["count"] for each in bins],
        probability=[each["probability"] for each in bins],
        cloud_share=[each["cloud_share"] for each in bins],
        series=SERIES[against],
    )


def _roc(curves: list[Record], overall: dict[tuple[str, str], Record]) -> Iterator[Chart]:
    if not curves:
        return
    lines = [
        Curve(
            f"U-Net against {TARGETS[curve['against']]}, area {_area(overall, curve, 'roc_area')}",
            _shares(curve["false_positive"], curve["clear"]),
            _shares(curve["true_positive"], curve["cloud"]),
            SERIES[curve["against"]],
        )
        for curve in curves
    ]
    places = [
        Place(
            f"{MASK_NAMES[mask]} at its threshold, against {TARGETS[against]}",
            100 * record["false_positive"] / (record["false_positive"] + record["true_negative"]),
            100 * record["true_positive"] / (record["true_positive"] + record["false_negative"]),
            SERIES[against] if mask == "unet" else BAYES_SERIES,
        )
        for mask, against in COMPARISONS
        if _has_both(record := overall.get((mask, against), {}))
    ]
    title = "ROC: cloud found and clear pixels called cloud, at every threshold"
    drawn = Diagram(
        x_label="false alarms, % of clear pixels",
        y_label="cloud found, % of cloudy pixels",
        curves=lines,
        places=places,
        references=(Curve("guessing", (0, 100), (0, 100), NO_SERIES),),
    )
    told = "; ".join(
        [line.name for line in lines]
        + [f"{place.name}: finds {place.y:.1f} % with {place.x:.1f} % false alarms" for place in places]
    )
    caption = f"{title}. An area of 1 is perfect, 0.5 guessing."
    yield Chart(diagram("roc", title, drawn, told), caption)


def _has_both(record: Record) -> bool:
    """Whether the target has both cloud and clear pixels there."""
    if not record.keys() >= OUTCOMES:
        return False
    cloud = record["true_positive"] + record["false_negative"]
    return 0 < cloud < cloud + record["false_positive"] + record["true_negative"]


def _precision(curves: list[Record]) -> Iterator[Chart]:
    if not curves:
        return
    lines = [_precision_curve(curve) for curve in curves]
    shares = [
        Curve(
            f"share of cloud in {TARGETS[curve['against']]}",
            (0, 100),
            (_cloud_share(curve),) * 2,
            SERIES[curve["against"]],
        )
        for curve in curves
    ]
    title = "Precision and recall: how much of what is called cloud is cloud, at every threshold"
    drawn = Diagram(
        x_label="recall, % of cloudy pixels",
        y_label="precision, % of pixels called cloud",
        curves=lines,
        references=shares,
    )
    told = "; ".join(f"{line.name}" for line in lines)
    caption = f"{title}. Dotted: the share of cloud, the precision of calling all pixels cloud."
    yield Chart(diagram("precision-recall", title, drawn, told), caption)


def _precision_curve(curve: Record) -> Curve:
    found, false = curve["true_positive"], curve["false_positive"]
    points = [(100 * t / curve["cloud"], 100 * t / (t + f)) for t, f in zip(found, false, strict=True) if t + f]
    return Curve(
        f"U-Net against {TARGETS[curve['against']]}",
        [recall for recall, _ in points],
        [precision for _, precision in points],
        SERIES[curve["against"]],
    )


def _cloud_share(curve: Record) -> float:
    return float(100 * curve["cloud"] / (curve["cloud"] + curve["clear"]))


def _shares(counts: list[int], total: int) -> list[float]:
    return [100 * count / total for count in counts]


def _area(overall: dict[tuple[str, str], Record], curve: Record, name: str) -> str:
    return spoken(number(overall.get(("unet", curve["against"]), {}).get(name), 3, "unknown"))
