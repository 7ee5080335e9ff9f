"""The training of a run as charts and tables: scores by epoch, how fast it went, what it waited for."""

from __future__ import annotations

from jaxmask.figures import Line, Mark, curves
from jaxmask.figures_training import speed_panels
from jaxmask.report_numbers import PART_NAMES, Cell, Chart, Record, TableText, number, share, spoken

# Scores of history.jsonl: what the axis calls them, their factor there, and digits in a sentence.
SHOWN = {
    "loss": ("Loss", "loss, nats", 1.0, 3),
    "accuracy": ("Agreement with Bayes", "agreement, %", 100.0, 1),
    "iou": ("IoU of cloud", "IoU of cloud, %", 100.0, 1),
}


def training_charts(history: tuple[Record, ...]) -> tuple[Chart, ...]:
    """Loss, agreement and IoU by epoch, of each part there is; then the speed."""
    if not history:
        return ()
    best = best_epoch(history)
    charts = [_score_chart(history, key, best) for key in SHOWN if _known(history, key)]
    return (*charts, *_speed_chart(history))


def best_epoch(history: tuple[Record, ...]) -> tuple[int, str] | None:
    """The epoch of the best checkpoint and what chose it; of equal ones the latest; None without a part to choose by.

    As checkpoint.py and record.best_by have it: the lowest loss of the validation part, without one of the test part.
    """
    for part in ("validation", "test"):
        losses = {epoch["epoch"]: loss for epoch in history if (loss := _score(epoch, part, "loss")) is not None}
        if losses:
            return min(reversed(losses), key=losses.__getitem__), f"{part} loss"
    return None


def _score_chart(history: tuple[Record, ...], key: str, best: tuple[int, str] | None) -> Chart:
    name, label, factor, digits = SHOWN[key]
    epochs = [epoch["epoch"] for epoch in history]
    lines = [
        Line(part_name, [_scaled(_score(epoch, part, key), factor) for epoch in history])
        for part, part_name in PART_NAMES.items()
        if any(_score(epoch, part, key) is not None for epoch in history)
    ]
    unit = label.rsplit(", ", 1)[1]
    told = "; ".join(_course(line, digits, unit) for line in lines)
    title = f"{name} by epoch, {epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else f"{name} of epoch {epochs[0]}"
    mark = Mark(f"best, epoch {best[0]}", best[0]) if best and len(epochs) > 1 else None
    kept = f" Marked: epoch {best[0]}, the lowest {best[1]}, kept as the best checkpoint." if best and mark else ""
    svg = curves(f"training-{name.split()[0].lower()}", title, epochs, lines, "epoch", label, mark, f"{told}.{kept}")
    return Chart(svg, f"{title}: {told}.{kept}")


def _course(line: Line, digits: int, unit: str) -> str:
    values = [value for value in line.values if value is not None]
    first, last = (f"{number(value, digits).text} {unit}" for value in (values[0], values[-1]))
    return f"{line.name} {last}" if len(values) == 1 else f"{line.name} from {first} to {last}"


def _speed_chart(history: tuple[Record, ...]) -> tuple[Chart, ...]:
    rates = [epoch.get("patches_per_second") for epoch in history]
    waits = [_scaled(epoch.get("wait_share"), 100) for epoch in history]
    if all(rate is None for rate in rates):
        return ()
    title = "Speed of training by epoch, and the share of its time that it waited for data"
    first, last = (spoken(number(rates[place], 1), " patches/s") for place in (0, -1))
    waited = f"; waiting {spoken(number(waits[-1], 1), ' %')} in the last" if waits[-1] is not None else ""
    told = f"{first} in epoch {history[0]['epoch']}, {last} in epoch {history[-1]['epoch']}{waited}"
    if len(history) == 1:
        told = f"{first}{waited.replace(' in the last', '')}"
    caption = f"{title}: {told}. The first epoch of a run includes compilation."
    return (Chart(speed_panels("training-speed", title, [e["epoch"] for e in history], rates, waits, told), caption),)


def _known(history: tuple[Record, ...], key: str) -> bool:
    return any(_score(epoch, part, key) is not None for epoch in history for part in PART_NAMES)


def _score(epoch: Record, part: str, key: str) -> float | None:
    value: float | None = (epoch.get(part) or {}).get(key)
    return value


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


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
    headings = ("part", "loss, nats", "agreement, %", "precision, %", "recall, %", "F1, %", "IoU, %")
    scored = "mean weighted cross entropy, and scores against the Bayes label, on patches less their border"
    caption = f"Epoch {epoch['epoch']}: {scored}"
    return TableText(caption, headings, tuple(rows))
