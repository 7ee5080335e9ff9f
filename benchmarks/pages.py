"""What whole archives cost, worked out from the measured cost of one product.

    python benchmarks/pages.py [benchmarks/measured] [--update docs/scaling.md benchmarks/README.md]

The folder holds conversion.json and growth.json, which `conversion.py` and `growth.py` write by --output. The tables go
to stdout as Markdown; --update writes them into pages, between their marks, so that their figures are always measured
ones.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import backends_table
import cpu_table
import faults_table
import gpu_table
import infer_table
import measure
import report_table
import science_page
import sst_table
import training_scale
import truth_page

MEASURED = Path(__file__).resolve().parent / "measured"
READ = (
    "backends", "cpu", "faults_infer", "gpu", "inference", "input", "report", "science", "sst", "training_scaling",
    "truth",
)  # fmt: skip
# The one-day set of the published benchmark; 480 granules of three minutes a day; two satellites since 2016 and 2018.
SETS = {"one day, both satellites": 971, "one year, one satellite": 175_000, "both whole archives": 3_500_000}
# The manifest of the measured product (collection 002) lists 110 files of 485.8 MB in all; a zip of such files, which
# are deflated already, is 4 % smaller.
ZIP_MB = 466.0
ORIGINAL_SHARD_MB = 244.8  # (1200, 1500, 17) float64
CORES = (2, 64, 1024)
LINKS_GBIT_S = (1, 10)
SECONDS_AN_HOUR, HOURS_A_DAY = 3600, 24


class Cost(NamedTuple):
    """One product, as measured."""

    native_s: float  # from a zip to the finished shard, one core
    peer_s: float  # the textbook way, one core
    bands_s: float  # the textbook way, tightened
    efficiency: float  # of two workers: what each does, as a share of one alone
    read_mb: float  # of the zip, read in place
    shard_mb: float
    worker_mb: float  # peak memory


def main(argv: list[str] | None = None) -> int:
    """Print the tables, or write them into a page, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, nargs="?", default=MEASURED, help="conversion.json and growth.json")
    parser.add_argument("--update", type=Path, nargs="+", default=[], help="pages with the marks of some tables")
    options = parser.parse_args(argv)
    conversion = json.loads((options.measured / "conversion.json").read_text())
    further = {name: read(options.measured / f"{name}.json") for name in READ}
    texts = {
        "conversion": conversion_table(conversion),
        "scaling": tables(conversion),
        "growth": growth_table(json.loads((options.measured / "growth.json").read_text())),
        "backends": backends_table.text(further["backends"]),
        "cpu": cpu_table.text(further["cpu"]),
        "faults": faults_table.text(further["faults_infer"]),
        "gpu": gpu_table.text(further["gpu"]),
        "inference": infer_table.text(further["inference"]),
        "report": report_table.text(further["report"]),
        "sst": sst_table.text(further["sst"]),
        "training": training_scale.text(further | {"conversion": conversion}),
        **science_page.texts(further["science"]),
        **truth_page.texts(further["truth"]),
    }
    for page in options.update:
        page.write_text(updated(page.read_text(), texts))
    if not options.update:
        print("\n\n".join(texts.values()))
    return 0


def read(path: Path) -> Any:
    """A report; None if it hasn't been made."""
    return json.loads(path.read_text()) if path.exists() else None


def updated(page: str, texts: dict[str, str]) -> str:
    """The page with each text between the marks of its name, where it has them; raises ValueError if it has none."""
    count = 0
    for name, text in texts.items():
        begin, end = (re.escape(f"<!-- {name}: {part} -->") for part in ("begin", "end"))
        replace = partial(_between, text)
        page, found = re.subn(f"({begin}\n).*?({end})", replace, page, flags=re.DOTALL)
        count += found
    if not count:
        raise ValueError(
            f"the page must hold the marks of {', '.join(texts)}: <!-- NAME: begin -->, <!-- NAME: end -->"
        )
    return page


def _between(text: str, marks: re.Match[str]) -> str:
    return f"{marks[1]}{text}\n{marks[2]}"


def conversion_table(report: dict[str, Any]) -> str:
    """conversion.py's figures as Markdown."""
    native = report["ways"]["native"]["median_s"]
    lines = [
        f"{measure.on_what(report)}; median of {report['runs']} rounds.",
        "",
        "| product to shard, one core | seconds | CPU seconds | times as fast as the peer | shard, MB | memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in report["ways"].items():
        peak = report["peak_memory_mb"].get(name)
        lines.append(
            f"| {name} | {found['median_s']:.2f} | {found['cpu_s']:.2f} | {found['times']:.1f} "
            f"| {report['shard_mb'][name]:.0f} | {'' if peak is None else f'{peak:.0f}'} |"
        )
    alone = {name: found["median_s"] for name, found in report["alone"].items()}
    told = (f"{name} {seconds:.2f} s ({alone['peer'] / seconds:.1f} times)" for name, seconds in alone.items())
    lines += ["", f"Each alone in a process of its own, product after product: {', '.join(told)}."]
    lines += [
        "",
        "| native, stage by stage; then what any reader must do | seconds | share of native |",
        "|---|---|---|",
    ]
    for name, found in (report["stages"] | report["floors"]).items():
        lines.append(f"| {name} | {found['median_s']:.3f} | {found['median_s'] / native:.0%} |")
    command = report["command"]
    if command:
        lines += [
            "",
            f"The convert command, one more product: {command['marginal_s_a_product']['1 workers']:.2f} s with one "
            f"worker, {command['marginal_s_a_product']['2 workers']:.2f} s with two, which are "
            f"{command['two_over_one']:.2f} times as fast;",
            f"over {2 * command['copies']} products, with starting and ending, "
            f"{command['two_over_one_with_start']:.2f} times.",
        ]
    return "\n".join(lines)


def growth_table(report: dict[str, Any]) -> str:
    """growth.py's rows as Markdown."""
    lines = [
        f"{measure.on_what(report)}; {report['workers']} workers.",
        "",
        "| products | seconds | CPU seconds | each further one, seconds | CPU seconds | parent, MB | worker, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        lines.append(
            f"| {row['products']} | {row['wall_s']:.1f} | {row['cpu_s']:.1f} | {row['one_more_wall_s']:.3f} "
            f"| {row['one_more_cpu_s']:.3f} | {row['parent_mb']:.0f} | {row['worker_mb']:.0f} |"
        )
    return "\n".join(lines)


def cost(report: dict[str, Any]) -> Cost:
    """The figures of conversion.py that the tables rest on."""
    ways = report["ways"]
    return Cost(
        native_s=ways["native, from a zip"]["median_s"],
        peer_s=ways["peer"]["median_s"],
        bands_s=ways["peer, band by band"]["median_s"],
        efficiency=min(1.0, report["command"]["two_over_one"] / 2) if report["command"] else 1.0,
        read_mb=report["needed_mb"],
        shard_mb=report["shard_mb"]["native"],
        worker_mb=report["peak_memory_mb"]["native, from a zip"],
    )


def tables(report: dict[str, Any]) -> str:
    """What was measured, and what follows from it, as Markdown."""
    one = cost(report)
    measured = [
        ("a zip to a finished native shard, one core", f"{one.native_s:.2f} s"),
        ("the textbook way (peer.py), one core", f"{one.peer_s:.2f} s; tightened {one.bands_s:.2f} s"),
        ("what each of two workers does, one alone being 1", f"{one.efficiency:.2f}"),
        ("read of the zip", f"{one.read_mb:.0f} MB of {ZIP_MB:.0f} MB"),
        ("a shard", f"{one.shard_mb:.0f} MB"),
        ("peak memory of a worker", f"{one.worker_mb:.0f} MB"),
    ]
    lines = [f"Measured for one product: {measure.on_what(report)}.", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in measured]
    lines += ["", f"| | {' | '.join(SETS)} |", "|---|" + "---|" * len(SETS)]
    rows = [derived(one, count) for count in SETS.values()]
    lines += [f"| {name} | {' | '.join(row[name] for row in rows)} |" for name in rows[0]]
    rate = 64 * one.efficiency / one.native_s
    return "\n".join(
        [
            *lines,
            "",
            f"64 busy cores take {rate:.0f} products/s: they read {rate * one.read_mb / 1000:.1f} GB/s, write "
            f"{rate * one.shard_mb / 1000:.1f} GB/s, and have {64 * one.worker_mb / 1000:.0f} GB of memory at most.",
        ]
    )


def derived(one: Cost, count: int) -> dict[str, str]:
    """What `count` products cost: each figure is a product of one measured figure and the count."""
    core_hours = count * one.native_s / one.efficiency / SECONDS_AN_HOUR
    found = {
        "products": f"{count:,}",
        "core hours": quantity(core_hours),
        **{f"on {cores:,} cores": duration(core_hours / cores) for cores in CORES},
        "core hours, the textbook way": quantity(count * one.peer_s / SECONDS_AN_HOUR),
        "shards, TB": quantity(count * one.shard_mb / 1e6),
        "the original's shards, TB": quantity(count * ORIGINAL_SHARD_MB / 1e6),
        "zips, TB": quantity(count * ZIP_MB / 1e6),
        "read of the zips, TB": quantity(count * one.read_mb / 1e6),
    }
    for link in LINKS_GBIT_S:
        hours = count * ZIP_MB * 8 / (link * 1000) / SECONDS_AN_HOUR
        found[f"download at {link} Gbit/s"] = duration(hours)
    return found


def quantity(value: float) -> str:
    """Two figures are what such an estimate is worth; whole numbers from 10 on."""
    return f"{value:.2g}" if value < 10 else f"{float(f'{value:.2g}'):,.0f}"


def duration(hours: float) -> str:
    """In the greatest unit of which there are two."""
    for unit, length in (("days", HOURS_A_DAY), ("hours", 1), ("minutes", 1 / 60)):
        if hours >= 2 * length:
            return f"{quantity(hours / length)} {unit}"
    return f"{quantity(hours * SECONDS_AN_HOUR)} seconds"


if __name__ == "__main__":
    sys.exit(main())
