"""faults_infer.py's counts for people, as Markdown; pure."""

from __future__ import annotations

from typing import Any

from measure import on_what


def text(report: dict[str, Any] | None) -> str:
    """On what it ran, a row for each kind of fault, what was violated; without a report, that none was run."""
    if report is None:
        return "**Not run yet.**"
    kinds = report["trials"]
    tried = sum(counts["tried"] for counts in kinds.values())
    kept = sum(counts["passed"] for counts in kinds.values())
    lines = [
        f"{on_what(report)}; seed {report['seed']}; {kept} of {tried} trials kept the promise.",
        "",
        "| command: fault | trials | kept |",
        "|---|---|---|",
    ]
    lines += [f"| {kind} | {counts['tried']} | {counts['passed']} |" for kind, counts in kinds.items()]
    lines += [f"\nViolated: {found['kind']}, {found['what']}" for found in report["violations"]]
    return "\n".join(lines)
