"""The training of a run as charts and tables: scores by epoch, how fast it went, what it waited for."""

from __future__ import annotations

from jaxmask.figures import Line, curves
from jaxmask.report_numbers import PART_NAMES, Cell, Chart, Record, TableText, number, share, spoken


def training_charts(history: tuple[Record, ...]) -> tuple[Chart, ...]:
    """Loss and accuracy by epoch, of each part there is."""
    if not history:
        return ()
    epochs = [epoch["epoch"] for epoch in history]
    charts = []
    for key, label in (("loss", "loss, nats"), ("accuracy", "accuracy, share of pixels")):
        lines = [
            Line(name, [(epoch.get(part) or {}).get(key) for epoch in history])
            for part, name in PART_NAMES.items()
            if any(epoch.get(part) for epoch in history)
        ]
        first, last = spoken(number(lines[0].values[0], 3)), spoken(number(lines[0].values[-1], 3))
        title = f"{key.capitalize()} by epoch, {epochs[0]} to {epochs[-1]}; on the training part from {first} to {last}"
        charts.append(Chart(curves(f"training-{key}", title, epochs, lines, "epoch", label), title))
    return tuple(charts)


def training_table(epoch: Record) -> TableText:
    """The last epoch's scores."""
    names = ("loss", "accuracy", "precision", "recall", "f1", "iou")
    rows = []
    for part, name in PART_NAMES.items():
        scores = epoch.get(part) or {}
        if part == "validation" and not scores:
            continue
        why = "undefined" if scores else "no test part"
        rows.append(
            (Cell(name), number(scores.get("loss"), 3, why), *(share(scores.get(key), why) for key in names[1:]))
        )
    headings = ("part", "loss, nats", "accuracy, %", "precision, %", "recall, %", "F1, %", "IoU, %")
    scored = "mean weighted cross entropy, and scores against the Bayes label, on patches less their border"
    caption = f"Epoch {epoch['epoch']}: {scored}"
    return TableText(caption, headings, tuple(rows))
