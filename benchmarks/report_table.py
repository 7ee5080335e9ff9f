"""report.py's figures for people, as Markdown; pure."""

from __future__ import annotations

from typing import Any

from measure import on_what

LIMIT_S, LIMIT_MB = 2.0, 60.0


def text(report: dict[str, Any] | None) -> str:
    """What it was measured on, and a row for each run; that it wasn't measured, if there is no report."""
    if report is None:
        return "**Not measured yet.**"
    lines = [
        f"{on_what(report)}; {report['browser']}; medians of {report['rounds']} rounds, each in a new context of the "
        f"browser. Aims: {LIMIT_S:g} s and {LIMIT_MB:g} MB for 500 products.",
        "",
        "| products | file, MB | opened, s | sorted, s | both, s |",
        "|---|---|---|---|---|",
    ]
    for found in report["pages"]:
        both = found["opened_s"] + found["sorted_s"]
        lines.append(
            f"| {found['products']} | {found['mb']:.1f} | {found['opened_s']:.2f} | {found['sorted_s']:.2f} "
            f"| {both:.2f} |"
        )
    drawn = report["drawn"]
    lines += [
        "",
        "| one product of 1200 x 1500, drawn | s of the processor | kB |",
        "|---|---|---|",
        f"| its line in the table | {drawn['line']['cpu_s']:.2f} | {drawn['line']['kb']:.0f} |",
        f"| and the page of its full scene | {drawn['scene']['cpu_s']:.2f} | {drawn['scene']['kb']:.0f} |",
    ]
    return "\n".join(lines)
