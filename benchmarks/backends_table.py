"""backends.py's figures for people, as Markdown; pure."""

from __future__ import annotations

from typing import Any

from measure import on_what

HEADS = (
    "backend", "precision", "s a scene", "CPU s", "times jax", "first scene, s", "peak memory, MB",
    "largest difference of logits", "of q", "decisions that differ",
)  # fmt: skip


def text(report: dict[str, Any] | None) -> str:
    """What it was measured on, and a row for each backend and precision; that it wasn't measured, without a report."""
    if report is None:
        return "**Not measured yet.**"
    results = report["results"]
    first, model = results[0], report["model"]
    versions = ", ".join(f"{name} {report['versions'][name]}" for name in ("jax", "openvino"))
    kind = "trained" if model["trained"] else "random"
    rows = [
        f"{on_what(report)}; {report['cores']} cores; {versions}; {model['features']} features, scene "
        f"{report['scene']}, medians of {report['rounds']} rounds; differences over {first['pixels']:,} pixels of "
        f"{first['scenes']} scenes, {kind} parameters.",
        "",
        f"| {' | '.join(HEADS)} |",
        "|---" * len(HEADS) + "|",
    ]
    for row in results:
        cells = [
            row["backend"],
            row["precision"],
            f"{row['median_s']:.2f}",
            f"{row['cpu_s']:.2f}",
            f"{first['median_s'] / row['median_s']:.2f}",
            f"{row['first_s']:.2f}",
            f"{row['peak_mb']:.0f}",
            f"{row['logit']:.1e}",
            f"{row['q']:.1e}",
            f"{row['changed'] / row['pixels']:.3%}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
