"""The benchmark's tables of many trainings: a row a run, with its speed-up and efficiency over the smallest alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxmask.split import PARTS

# What runs must share so that one's speed can be told relative to another's: device, patches and their computation.
SAME_TASK = ("device_kind", "train_patches", "patch_size", "features", "precision", "deterministic")
# Columns beside the benchmark's own, in the order of the CSV file.
EXTRA_COLUMNS = (
    "run", "device_kind", "processes", "global_batch_size", "precision", "accumulate", "cache", "features",
    "patch_size", "deterministic", "train_patches", "validation_patches", "test_patches", "epochs_asked",
    "stopped_early", "wait_share", "validation_loss", "validation_accuracy", "published_imgs_per_s_first_epoch",
    "published_imgs_per_s_second_epoch", "relative_to", "speed_up", "efficiency",
)  # fmt: skip
RATES = ("imgs_per_s_second_epoch", "imgs_per_s_first_epoch")
NONE = "-"

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a table for people."""

    heading: str
    text: Callable[[Row], str]


def with_speed_up(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, of one task after the other, by devices, with relative_to, speed_up and efficiency.

    rows: with the benchmark's columns and EXTRA_COLUMNS. A run's speed is relative to that of the run with the fewest
    devices (the first such) of the same SAME_TASK values: patches/s of the second epoch, or where a run of that task
    has but one, of the first, which compiles. efficiency: speed_up per device of the other's, 1 where it grows with
    the devices. None where a speed is not known.
    """
    tasks: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        tasks.setdefault(tuple(row[name] for name in SAME_TASK), []).append(row)
    made = []
    for task in tasks.values():
        ordered = sorted(task, key=lambda row: row["num_ranks"])
        rate = next((name for name in RATES if all(row[name] for row in ordered)), RATES[-1])
        made += [row | _relative(row, ordered[0], rate) for row in ordered]
    return [row | {"index": index} for index, row in enumerate(made)]


def markdown_tables(rows: Sequence[Row]) -> str:
    """Return the tables of speed and of scores in Markdown, with what their columns mean."""
    return "\n\n".join([_markdown(SPEED, rows), _markdown(SCORES, rows), *notes(rows)])


def notes(rows: Sequence[Row]) -> list[str]:
    """Return what the columns mean."""
    compiled = sorted({row["run"] for row in rows if row["rate"] == RATES[-1] and row["speed_up"]})
    found = [
        "patches/s: patches trained on in a second of training. published images/s: all patches of an epoch, tested "
        "ones too, over the seconds of training alone, as the published figures count. waiting: share of the time of "
        "training in which the step waited for its input.",
        "speed-up: of patches/s in epoch 2, over the run with the fewest devices of the same task "
        f"({', '.join(name.replace('_', ' ') for name in SAME_TASK)}), which is named; efficiency: speed-up over the "
        "growth in devices.",
    ]
    if compiled:
        found.append(f"Of epoch 1, which compiles too, as there is no second one everywhere: {', '.join(compiled)}.")
    return found


def csv_row(row: Row, columns: Sequence[str]) -> Row:
    """The row's values of the benchmark's `columns` and EXTRA_COLUMNS, in that order."""
    return {name: row[name] for name in (*columns, *EXTRA_COLUMNS)}


def patches_of(epoch: Mapping[str, Any]) -> dict[str, int]:
    """The patches of each part in an epoch of history; 0 where there were none."""
    return {f"{part}_patches": int(epoch.get(f"{part}_patches") or 0) for part in PARTS}


def _relative(row: Row, base: Row, rate: str) -> Row:
    speed_up = row[rate] / base[rate] if row[rate] and base[rate] else None
    growth = row["num_ranks"] / base["num_ranks"]
    efficiency = None if speed_up is None else speed_up / growth
    return {"relative_to": base["run"], "speed_up": speed_up, "efficiency": efficiency, "rate": rate}


def _number(name: str, digits: int, scale: float = 1) -> Callable[[Row], str]:
    return lambda row: NONE if row[name] is None else f"{scale * row[name]:.{digits}f}"


def _text(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


def _ended(row: Row) -> str:
    return f"early, of {row['epochs_asked']}" if row["stopped_early"] else "all"


def _base(row: Row) -> str:
    return "itself" if row["relative_to"] == row["run"] else str(row["relative_to"])


SPEED = (
    Column("run", _text("run")),
    Column("device", _text("device_kind")),
    Column("devices", _text("num_ranks")),
    Column("processes", _text("processes")),
    Column("patches a step", _text("global_batch_size")),
    Column("parts a step", _text("accumulate")),
    Column("precision", _text("precision")),
    Column("cache", _text("cache")),
    Column("patches/s, epoch 1", _number("imgs_per_s_first_epoch", 1)),
    Column("patches/s, epoch 2", _number("imgs_per_s_second_epoch", 1)),
    Column("published images/s, epoch 2", _number("published_imgs_per_s_second_epoch", 1)),
    Column("waiting, %", _number("wait_share", 0, 100)),
    Column("epoch 2, s", _number("second_epoch_time", 1)),
    Column("in all, s", _number("total_time", 1)),
    Column("speed-up", _number("speed_up", 2)),
    Column("efficiency, %", _number("efficiency", 0, 100)),
    Column("relative to", _base),
)
SCORES = (
    Column("run", _text("run")),
    Column("epochs", _text("epochs")),
    Column("ended", _ended),
    Column("step size", _text("learning_rate")),
    Column("train loss", _number("train_loss", 4)),
    Column("train accuracy, %", _number("train_accuracy", 2, 100)),
    Column("validation loss", _number("validation_loss", 4)),
    Column("validation accuracy, %", _number("validation_accuracy", 2, 100)),
    Column("test loss", _number("test_loss", 4)),
    Column("test accuracy, %", _number("test_accuracy", 2, 100)),
)


def _markdown(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """A table whose columns are padded to be read as plain text too: names to the left, the rest to the right."""
    cells = [[column.heading for column in columns]]
    cells += [[column.text(row).replace("|", "\\|") for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    names, *numbers = widths
    lines = [
        " | ".join([f"{name:<{names}}", *(f"{cell:>{width}}" for cell, width in zip(rest, numbers, strict=True))])
        for name, *rest in cells
    ]
    rule = "|".join(["-" * (names + 2), *("-" * (width + 1) + ":" for width in numbers)])
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])
