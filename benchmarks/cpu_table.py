"""cpu.py's figures for people, as Markdown; pure."""

from __future__ import annotations

from typing import Any

from measure import on_what

COLUMNS = {
    "a second": "a_second",
    "times the peer": "times_peer",
    "by CPU time": "times_peer_by_cpu_time",
    "CPU s each": "cpu_s_each",
    "cores used": "cores_used",
}
NAMES = {"forward": "forward, patches", "train": "training step, patches", "scene": "whole scene"}


def text(report: dict[str, Any] | None) -> str:
    """What it was measured on, and a row for each piece of work; that it wasn't measured, if there is no report."""
    if report is None:
        return "**Not measured yet.**"
    peer = report["peer"].get("skipped") or " ".join(map(" ".join, report["peer"]["versions"].items()))
    options = report["options"]
    rows = [
        f"{on_what(report)}; {report['cores']} cores; peer: {peer}; batch {options['batch']}, {options['patch']} x "
        f"{options['patch']} pixels, scene {options['scene']}; medians of {options['rounds']} rounds.",
        "",
        f"| what | who | {' | '.join(COLUMNS)} | intermediate results, MB |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for what, found in report["results"].items():
        for who, row in found.items():
            memory = report["temporary_mb"][what].get(who)
            cells = [NAMES[what], who, *(f"{row[key]:.2f}" if key in row else "" for key in COLUMNS.values())]
            rows.append(f"| {' | '.join([*cells, '' if memory is None else f'{memory:.0f}'])} |")
    return "\n".join(rows)
