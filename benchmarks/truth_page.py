"""The truth test's report as Markdown, table by table; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from measure import on_what

METRICS = {"accuracy": "right", "missed": "missed cloud", "false_alarms": "false alarms"}
PIXELWISE, UNET = "pixelwise, as cloudy as the label", "U-Net, as cloudy as the label"
BESIDE = {"label": "label", "pixelwise": PIXELWISE, "U-Net": UNET, "U-Net on truth": "U-Net on truth"}
MINUS = {"U-Net minus label": f"{UNET} - label", "U-Net minus pixelwise": f"{UNET} - {PIXELWISE}"}
CLEAR, CLOUDY = ("clear", "faint cloud"), ("stratus", "cumulus", "thin cirrus", "cirrus", "convection")
SURFACES = ("sea", "vegetation", "desert", "snow", "ice", "coast", "glint")
TIMES = ("day", "twilight", "night")
NAMES = ("run", "overall", "differences", "strata", "control", "sst")
NOTHING = "**Not measured yet.**"
RULES = {
    "single_moderate": "`single_moderate` (nadir view, P(cloud) of 0.9 or more)",
    "any": "`any` (the original's: P(cloud) of 0.5 or more, from the nadir or the oblique view)",
}
SECONDS_A_MINUTE = 60

Numbers = dict[str, Any]


def texts(report: dict[str, Any] | None) -> dict[str, str]:
    """The tables by the names of their marks, "truth run" and so on."""
    if report is None:
        return {f"truth {name}": NOTHING for name in NAMES}
    made = (_run(report), _overall(report), _differences(report), _strata(report), _control(report), _sst(report))
    return {f"truth {name}": text for name, text in zip(NAMES, made, strict=True)}


def percent(numbers: Numbers, signed: bool = False) -> str:
    """A share in per cent with its interval, "81.23 (80.1 to 82.4)"; signed: a difference, "+1.20 (+0.3 to +2.1)"."""
    if numbers["value"] is None:
        return "-"
    sign = "+" if signed else ""
    value = f"{100 * numbers['value']:{sign}.2f}"
    if numbers["low"] is None:
        return value
    return f"{value} ({100 * numbers['low']:{sign}.1f} to {100 * numbers['high']:{sign}.1f})"


def _run(report: dict[str, Any]) -> str:
    study = report["study"]
    minutes = sum(found["cpu_s"] for found in report["seconds"].values()) / SECONDS_A_MINUTE
    return (
        f"{on_what(report)}; {report['cores']} cores, {minutes:.0f} minutes of processor time (of each stage "
        "its last start alone: what was done before a kill is not in it).\n\n"
        f"    {report['command']}\n\n"
        f"{study['products']} small products simulated to train on (seed {study['archive_seed']}), {study['products']} "
        f"to judge on (seed {study['held_out_seed']}, shifted parameters), of which {report['scenes']} scenes count "
        f"(labelled, one copy of each): {report['pixels']:,} pixels with S8 and S9 measured. U-Nets of "
        f"{study['features']} features, {study['epochs']} epochs of patches of {study['patch_size']} pixels a side "
        f"(the outer {study['clip_offset']} pixels left out), batches of {study['batch_size']}, Adam from "
        f"{study['learning_rate']} down to 0 by half a cosine; seeds {', '.join(map(str, study['seeds']))}. "
        f"Intervals: 95 %, {report['replicates']:,} draws of scenes."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _overall(report: dict[str, Any]) -> str:
    lines = []
    for rule, found in report["labels"].items():
        rows = []
        for mask, strata in found["masks"].items():
            numbers = strata["all"]
            seeds = numbers["accuracy"].get("seeds", [])
            spread = f"{100 * min(seeds):.2f} to {100 * max(seeds):.2f}" if seeds else ""
            rows.append([mask, *(percent(numbers[metric]) for metric in METRICS), spread])
        head = ("mask", *(f"{name}, %" for name in METRICS.values()), "right, seed by seed")
        lines += [f"Label: {RULES.get(rule, rule)}.", "", *_table(head, rows), ""]
    return "\n".join(lines[:-1])


def _differences(report: dict[str, Any]) -> str:
    lines = []
    for rule, found in report["labels"].items():
        rows = [
            [pair.replace(" - ", " minus "), *(percent(strata["all"][metric], signed=True) for metric in METRICS)]
            for pair, strata in found["differences"].items()
        ]
        head = ("percentage points", *METRICS.values())
        lines += [f"Label: {RULES.get(rule, rule)}.", "", *_table(head, rows), ""]
    return "\n".join(lines[:-1])


def _strata(report: dict[str, Any]) -> str:
    kinds = (
        ("missed", "missed cloud, % of its pixels", CLOUDY),
        ("false_alarms", "false alarms, % of its pixels", CLEAR),
        ("accuracy", "right, %", (*SURFACES, *TIMES)),
    )
    lines = []
    for rule, found in report["labels"].items():
        masks, minus = found["masks"], found["differences"]
        lines += [f"Label: {RULES.get(rule, rule)}.", ""]
        for metric, what, strata in kinds:
            rows = [
                [
                    stratum,
                    f"{masks['label'][stratum]['pixels']:,}",
                    *(percent(masks[mask][stratum][metric]) for mask in BESIDE.values()),
                    *(percent(minus[pair][stratum][metric], signed=True) for pair in MINUS.values()),
                ]
                for stratum in strata
                if masks["label"][stratum]["pixels"]
            ]
            head = (what, "pixels", *BESIDE, *MINUS)
            lines += [*_table(head, rows), ""]
    return "\n".join(lines[:-1])


def _control(report: dict[str, Any]) -> str:
    found = report["control"]
    rows = [
        [mask, *(percent(strata["all"][metric]) for metric in METRICS)] for mask, strata in found["masks"].items()
    ] + [
        [pair.replace(" - ", " minus "), *(percent(strata["all"][metric], signed=True) for metric in METRICS)]
        for pair, strata in found["differences"].items()
    ]
    agreement = ", ".join(f"{100 * share:.2f}" for share in found["agreement"])
    told = f"The U-Net says what the control label says on {agreement} % of the pixels, seed by seed."
    return "\n".join([*_table(("mask", *(f"{name}, %" for name in METRICS.values())), rows), "", told])


def _sst(report: dict[str, Any]) -> str:
    found = report["sst"]
    head = ["mask", *(f"{name}: {part['kept']:,} of {part['rows']:,} kept" for name, part in found.items())]
    rows = []
    for mask in next(iter(found.values()))["masks"]:
        cells = [percent(part["masks"][mask]["cold"]) for part in found.values()]
        rows.append([_quoted(mask), *cells])
    lines = _table(head, rows)
    for other in ("Bayes, operational", "Bayes, nadir only"):
        minus = [
            [_quoted(mask), *(percent(part["masks"][mask][f"minus {other}"], signed=True) for part in found.values())]
            for mask in next(iter(found.values()))["masks"]
            if mask != other
        ]
        lines += ["", *_table([f"minus {other}, percentage points", *found], minus)]
    return "\n".join(lines)


def _quoted(mask: str) -> str:
    """A mask's name with the rule of its label as code."""
    rule, colon, rest = mask.partition(":")
    return f"`{rule}`{colon}{rest}" if colon else mask
