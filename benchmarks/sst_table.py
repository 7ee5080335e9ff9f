"""sst.py's figures for people, as Markdown; pure."""

from __future__ import annotations

from typing import Any

from measure import on_what

ORIGINAL_S = 1.10  # published, 100 products
LIMITS_S = {"points": 1.1, "everything": 30.0}
NAMES = {
    "table": "reading the table",
    "masks": "locating pixels and reading masks there",
    "estimates": "all point estimates",
    "points": "these three: point estimates after start-up",
    "textbook": "the textbook way: pandas, whole masks, two masks of D2",
    "everything": "the command: with intervals, and files written",
}


def text(report: dict[str, Any] | None) -> str:
    """What it was measured on, and a row for each piece; that it wasn't measured, if there is no report."""
    if report is None:
        return "**Not measured yet.**"
    options = report["options"]
    size = " x ".join(map(str, options["size"]))
    lines = [
        f"{on_what(report)}; {report['cores']} cores; {options['masks']} masks of {size}, {options['rows']:,} "
        f"match-ups, {options['bootstrap']:,} resamples; medians of {options['rounds']} rounds.",
        "",
        "| what | s | s of the processor | s the first time | aim, s |",
        "|---|---|---|---|---|",
    ]
    for name, words in NAMES.items():
        found = report["seconds"][name]
        limit = LIMITS_S.get(name)
        numbers = " | ".join(f"{found[key]:.2f}" for key in ("median_s", "cpu_s", "first_s"))
        lines.append(f"| {words} | {numbers} | {'' if limit is None else limit} |")
    points = report["seconds"]["points"]["median_s"]
    textbook = report["seconds"]["textbook"]["median_s"]
    lines += [
        "",
        f"The original's published {ORIGINAL_S:.2f} s are {ORIGINAL_S / points:.1f} times the point estimates' time, "
        f"the textbook way's here {textbook / points:.1f} times.",
    ]
    return "\n".join(lines)
