"""The statistics of match-ups as text for people: at most 80 columns, every number with its count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

Record = Mapping[str, Any]

PERCENT = 100.0
# Of a record: what is shown, its unit, by what it is multiplied, its digits.
SHOWN = (("median", "median K", 1.0, 3), ("rsd", "RSD K", 1.0, 3), ("cold_tail", "< -1 K, %", PERCENT, 1))
NAME, COUNT, SHARE, WIDTHS = 20, 7, 7, (16, 16, 14)


def statistics_lines(records: Sequence[Record]) -> list[str]:
    """Records of `statistics` as a table, group by group, with 95 % intervals where there are any."""
    lines = [
        "Satellite minus buoy where a mask says clear, all masks on the same match-ups",
        "[95 % interval]:",
    ]
    empty = []
    for names, found in groupby(records, key=lambda record: (record["algorithm"], record["time_of_day"])):
        group = list(found)
        if not group[0].get("eligible", 1):
            empty.append(" by ".join(names))
            continue
        headings = (heading for _, heading, _, _ in SHOWN)
        titles = "".join(f"{title:>{width}}" for title, width in zip(headings, WIDTHS, strict=True))
        lines += _headings(names, group[0])
        lines.append(f"  {'mask':{NAME - 2}}{'count':>{COUNT}}{'kept %':>{SHARE}}{titles}".rstrip())
        lines += [line for record in group for line in _statistics_lines(record)]
    return [*lines, f"No eligible match-ups: {', '.join(empty)}"] if empty else lines


def paired_lines(records: Sequence[Record], first: str = "unet", second: str = "bayes") -> list[str]:
    """The differences between two masks, group by group, at native and at equal coverage."""
    chosen = [record for record in records if (record["mask"], record["minus"]) == (first, second)]
    lines = []
    for record in chosen:
        if record["eligible"]:
            names = f"{record['algorithm']} {record['time_of_day']}, {record['at'].replace('_', ' ')}"
            lines += _with_intervals(f"  {names}", record["differences"], record.get("intervals"))
    titles = (
        f"{first} minus {second} on the same match-ups and resamples;",
        "at equal coverage both keep as many [95 % interval]:",
    )
    return [*titles, *lines] if lines else []


def reference_lines(reference: Record) -> list[str]:
    """The original's numbers, with counts."""
    rows = [
        f"  {mask:8}median {_number(reference[f'{mask}_median'], 1, 3)}  RSD {_number(reference[f'{mask}_RSD'], 1, 3)}"
        f"  of {reference[f'{mask}_count']}"
        for mask in ("bayes", "unet")
    ]
    agreement = (
        f"  agreement {_number(reference['agreement'], 1, 3)} of {reference['rows_with_mask']} rows"
        f" ({reference['rows_after_filters']} of {reference['rows']} pass the filters)"
    )
    return ["The original's numbers (D2 alone, its filters, by index; K):", *rows, agreement]


def excluded_text(excluded: Mapping[str, int]) -> str:
    """Why rows have no decision, with counts."""
    found = [f"{count} {reason.replace('_', ' ')}" for reason, count in excluded.items() if count]
    return ", ".join(found) or "none"


def _headings(names: Iterable[str], record: Record) -> list[str]:
    text = " by ".join(names)
    if "eligible" in record:
        text += f": {record['eligible']} eligible match-ups"
    if "eligible_scenes" in record:
        text += f" in {record['eligible_scenes']} scenes"
    why = record.get("no_interval_because")
    return [text, f"  no intervals: {why}"] if why else [text]


def _statistics_lines(record: Record) -> list[str]:
    share = _number(record["coverage"], PERCENT, 1)
    head = f"  {record['mask']:{NAME - 2}}{record['count']:{COUNT}d}{share:>{SHARE}}"
    return _with_intervals(head, record, record.get("intervals"))


def _with_intervals(head: str, values: Record, intervals: Mapping[str, Sequence[float] | None] | None) -> list[str]:
    """A line of numbers behind its head, and where there are any a line of their intervals below them."""
    numbers, below = "", ""
    for (name, _, factor, digits), width in zip(SHOWN, WIDTHS, strict=True):
        interval = (intervals or {}).get(name)
        text = _number(values[name], factor, digits) if name in values else ""
        limits = "" if interval is None else ",".join(_number(bound, factor, digits) for bound in interval)
        numbers += f"{text:>{width}}"
        below += f"{f'[{limits}]' if limits else '':>{width}}"
    room = NAME + COUNT + SHARE
    return [f"{head:{room}}{numbers}".rstrip(), *([" " * room + below] if below.strip() else [])]


def _number(value: float | None, factor: float, digits: int) -> str:
    return "-" if value is None else f"{round(factor * value, digits) + 0.0:.{digits}f}"  # never -0.000
