"""infer.py's figures for people, as Markdown; pure."""

from __future__ import annotations

from typing import Any

from measure import on_what

COLUMNS = {
    "seconds a scene": "wall_s",
    "CPU s": "cpu_s",
    "of the device": "of_the_device",
    "times the original": "times_original",
    "tightened": "times_tightened",
    "by CPU time": "times_original_by_cpu_time",
}
WAITED = ("readers", "devices", "writers")


def text(report: dict[str, Any] | None) -> str:
    """What it was measured on, and a row for each backend and source; that it wasn't measured, if there is none."""
    if report is None:
        return "**Not measured yet.**"
    devices = ", ".join(sorted(set(report["devices"].values())))
    rows = [
        f"{on_what(report)}; {report['cores']} cores; {devices}; {report['scenes']} scenes; medians of "
        f"{report['rounds']} rounds. {_original(report)}",
        "",
        f"| backend | from | {' | '.join(COLUMNS)} | waited for readers, devices, writers, s |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for variant, found in report["results"].items():
        batch = report["batch"][variant]
        name = variant.replace("/", " ") + (f", {batch} at once" if batch > 1 else "")
        for what, row in found.items():
            cells = [name, what, *(_cell(key, row.get(key)) for key in COLUMNS.values())]
            waited = ", ".join(f"{row['waited_s'][whom]:.2f}" for whom in WAITED) if "waited_s" in row else ""
            rows.append(f"| {' | '.join([*cells, waited])} |")
    return "\n".join(rows)


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if key == "of_the_device":
        return f"{value:.0%}"
    return f"{value:.1f}" if key.startswith("times") else f"{value:.3f}"


def _original(report: dict[str, Any]) -> str:
    peer, found = report["peer"], report["the original's way"]
    if found is None:
        return f"The original's way was left out: {peer['skipped']}."
    versions = " ".join(map(" ".join, peer["versions"].items()))
    return (
        f"The original's way: {found['wall_s']:.1f} s, {found['read_s']:.1f} of it reading ({peer['reader']}; "
        f"tightened {found['inputs_s']:.1f}) and "
        f"{found['predict_s']:.1f} predicting ({versions})."
    )
