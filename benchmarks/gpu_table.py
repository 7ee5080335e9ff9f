"""gpu.py's figures for people, as Markdown, and how they stand to the targets; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpu_plan import TARGETS, trained_patches

NOT_MEASURED = (
    "**Not measured yet.** No GPU was at hand. The command is ready, and tested on the CPU at tiny sizes "
    "(`tests/test_gpu_benchmark.py`)."
)
Report = dict[str, Any]
Piece = dict[str, Any]


def line(name: str, piece: Piece) -> str:
    """One piece on one line, for those who wait."""
    if not piece["contenders"]:
        return f"{name}: {piece['left_out']}"
    told = []
    for who, found in piece["contenders"].items():
        rate = found.get("rate")
        kinds = ", ".join(f"{kind} {time:.0f} us" for kind, time in found.get("kinds", {}).items())
        told.append(f"{who} {kinds or found.get('error', '')}" if rate is None else f"{who} {rate:.4g}/s")
    return f"{name}: {'; '.join(told)}"


def text(report: Report | None) -> str:
    """All tables; None is a report that doesn't exist yet."""
    if report is None:
        return NOT_MEASURED
    parts = [head(report), chip_table(report), work_table(report, "training"), work_table(report, "inference")]
    parts += [fed_table(report), attempts_table(report), profile_table(report), targets(report), missing(report)]
    return "\n\n".join(part for part in parts if part)


def head(report: Report) -> str:
    """On what, when and by which command."""
    ours, peer = report["frameworks"]["jax"], report["frameworks"].get("torch", {})
    jax_version = ours.get("versions", {}).get("jax", "not known")
    beside = f", PyTorch {peer['version']}" if "version" in peer else "; PyTorch was not there"
    return f"{ours.get('device')}, {report['when'][:10]}; jax {jax_version}{beside}; `{report['command']}`."


def of_group(report: Report, group: str) -> Iterator[tuple[str, Piece]]:
    """The pieces of a group that were measured."""
    for name, piece in report["pieces"].items():
        if piece["group"] == group and piece["contenders"]:
            yield name, piece


def rate(piece: Piece, who: str) -> float | None:
    """Items a second of a contender; None where it failed."""
    found: float | None = piece["contenders"].get(who, {}).get("rate")
    return found


def matrix_rates(report: Report) -> dict[str, float]:
    """By precision, operations a second of the faster framework's matrix products: the ceiling."""
    found = {}
    for _, piece in of_group(report, "chip"):
        reached = [rate(piece, who) or 0.0 for who in ("jax", "torch")]
        if "precision" in piece and max(reached) > 0:
            found[piece["precision"]] = max(reached) * piece["flops_an_item"]
    return found


def chip_table(report: Report) -> str:
    """What the chip gives to the simplest work."""
    rows = []
    for name, piece in of_group(report, "chip"):
        for who in piece["contenders"]:
            found = rate(piece, who)
            if found is not None:
                many, unit = (piece["flops_an_item"], "TFLOP/s") if "flops_an_item" in piece else (2, "TB/s")
                scale = many if unit == "TFLOP/s" else piece["bytes_an_item"]
                rows.append([name, who, f"{found * scale / 1e12:.4g} {unit}"])
    return table(["the chip", "by", "rate"], rows)


def work_table(report: Report, group: str) -> str:
    """Ours beside PyTorch's."""
    ceilings, rows = matrix_rates(report), []
    for name, piece in of_group(report, group):
        ours, peer = rate(piece, "jax"), rate(piece, "torch")
        speed = ours * piece["flops_an_item"] if ours else None
        ceiling = ceilings.get(piece["precision"])
        rows.append([
            name, told(ours, piece, "jax"), told(peer, piece, "torch"),
            f"{ours / peer:.2f}" if ours and peer else "", f"{speed / 1e12:.3g}" if speed else "",
            f"{speed / ceiling:.0%}" if speed and ceiling else "",
        ])  # fmt: skip
    heads = [group, "jaxmask, a second", "compiled PyTorch", "times", "TFLOP/s", "of the matrix rate"]
    return table(heads, rows)


def fed_table(report: Report) -> str:
    """Training end to end."""
    rows = []
    for name, piece in of_group(report, "fed"):
        found = rate(piece, "jax")
        seconds = f"{trained_patches() / found:.0f}" if found else ""
        rows.append([name, told(found, piece, "jax"), seconds])
    return table(["end to end", "patches/s", f"{trained_patches():,} patches (the published 30 epochs), s"], rows)


def attempts_table(report: Report) -> str:
    """Each attempt beside the step as it is."""
    rows = []
    for name, piece in of_group(report, "attempts"):
        changed = next(who for who in piece["contenders"] if who != "as it is")
        before, after = rate(piece, "as it is"), rate(piece, changed)
        times = f"{after / before:.2f}" if before and after else ""
        rows.append([name, told(before, piece, "as it is"), told(after, piece, changed), times])
    return table(["attempt", "as it is, patches/s", "with it", "times"], rows)


def profile_table(report: Report) -> str:
    """What a step's time is spent on."""
    for _, piece in of_group(report, "profile"):
        found = piece["contenders"]["jax"]
        if found.get("kinds"):
            whole = sum(found["kinds"].values())
            rows = [[kind, f"{time:.0f}", f"{time / whole:.0%}"] for kind, time in found["kinds"].items()]
            head_row = [f"a step of {piece['batch']}, {piece['precision']}", "microseconds", "share"]
            return f"{table(head_row, rows)}\n\nKernels are busy {found['busy_share']:.0%} of the time."
    return ""


def best(report: Report, who: str) -> float | None:
    """The most patches a second of a framework's training, whatever the batch and precision."""
    found = [rate(piece, who) for _, piece in of_group(report, "training")]
    if who == "torch":  # its other modes too, so that the peer is at its best
        tried = [piece for name, piece in of_group(report, "attempts") if name.startswith("PyTorch")]
        found += [one.get("rate") for piece in tried for one in piece["contenders"].values()]
    return max((one for one in found if one), default=None)


def targets(report: Report) -> str:
    """Each aim beside what was reached."""
    ours, peer = best(report, "jax"), best(report, "torch")
    fed = [one for _, piece in of_group(report, "fed") if (one := rate(piece, "jax"))]
    rows = [
        ["times compiled PyTorch, each at its best", f"{TARGETS['times_compiled_pytorch']}",
         f"{ours / peer:.2f}" if ours and peer else "not measured"],
        ["patches/s of the step (on an H100)", f"{TARGETS['patches_per_second']:,.0f}",
         f"{ours:,.0f}" if ours else "not measured"],
        ["the published 30 epochs end to end, s", f"below {TARGETS['seconds_of_published_run']:.0f}",
         f"{trained_patches() / max(fed):.0f}" if fed else "not measured"],
    ]  # fmt: skip
    return table(["aim", "", "reached"], rows)


def missing(report: Report) -> str:
    """What was not measured, by name and reason."""
    reasons: dict[str, list[str]] = {}
    for name, piece in report["pieces"].items():
        if "left_out" in piece:
            reasons.setdefault(piece["left_out"], []).append(name)
        for who, found in piece["contenders"].items():
            if "error" in found:
                reasons.setdefault(found["error"], []).append(f"{name} ({who})")
    return "\n".join(f"Not measured: {'; '.join(names)}: {why}." for why, names in reasons.items())


def told(value: float | None, piece: Piece, who: str) -> str:
    """A rate, or that it failed."""
    if value is not None:
        return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"
    return "failed" if "error" in piece["contenders"].get(who, {}) else ""


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Markdown; nothing without rows."""
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
