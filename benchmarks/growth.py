"""How cost and memory grow with the number of products: the convert command over 1, 4, 16 and 64 of them.

    python benchmarks/growth.py [PRODUCT.SEN3] [--counts 1 4 16 64] [--workers 2] [--runs 3] [--output FILE]

The products are one, linked under as many names; without PRODUCT it is the first, small one of a simulated archive. The
whole command is measured, from starting Python to its exit: the clock, the processor time of all its processes,
and the most memory that the parent and any of its workers ever had. "one more" is what each product beyond the row
before cost; with more than one worker the first step up holds their start as well. A table on stderr, JSON on stdout.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measure

SAMPLE_S = 0.01


def main(argv: list[str] | None = None) -> int:
    """Measure every count, print it, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("product", type=Path, nargs="?", help=".SEN3 folder (default: a simulated one)")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16, 64], help="numbers of products, rising")
    parser.add_argument("--workers", type=int, default=2, help="processes of the command")
    parser.add_argument("--runs", type=int, default=3, help="runs of each count; the median is told")
    parser.add_argument("--scratch", type=Path, help="folder to write in (default: the system's for temporary files)")
    parser.add_argument("--output", type=Path, help="write the JSON here too")
    options = parser.parse_args(argv)
    if options.counts != sorted(set(options.counts)) or min(options.counts) < 1:
        parser.error(f"--counts must be 1 or more and rise; found {options.counts}")
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        product = options.product or simulated_product(Path(scratch))
        rows = grown(product, Path(scratch), options.counts, options.workers, options.runs)
    report = measure.machine() | {"workers": options.workers, "runs": options.runs, "rows": rows}
    measure.tell(report, table(report), options.output)
    return 0


def simulated_product(scratch: Path) -> Path:
    """The first product of a simulated archive, unpacked."""
    archive = scratch / "archive"
    command = [sys.executable, "-m", "preprocess.simulate", str(archive), "--products", "1", "--quiet"]
    subprocess.run(command, check=True, cwd=measure.ROOT)
    with zipfile.ZipFile(next(archive.rglob("*.zip"))) as zipped:
        zipped.extractall(scratch / "product")
    return next((scratch / "product").rglob("*.SEN3"))


def grown(product: Path, scratch: Path, counts: list[int], workers: int, runs: int) -> list[dict[str, float]]:
    """A row a count: seconds, memory, and what each product beyond the row before cost."""
    rows: list[dict[str, float]] = []
    for count in counts:
        folder = scratch / f"{count} products"
        for number in range(count):
            measure.copy_product(product, folder, number)
        measured = [run(folder, scratch / f"shards {count} {turn}", workers) for turn in range(runs)]
        median = {name: statistics.median(found[name] for found in measured) for name in measured[0]}
        rows.append({"products": count} | median | per_product(median, count, rows))
    return rows


def per_product(median: dict[str, float], count: int, before: list[dict[str, float]]) -> dict[str, float]:
    """Seconds for each product beyond the row before; of the first row, for each product, the start included."""
    last = before[-1] if before else {"products": 0, "wall_s": 0.0, "cpu_s": 0.0}
    more = count - last["products"]
    return {f"one_more_{name}": (median[name] - last[name]) / more for name in ("wall_s", "cpu_s")}


def run(products: Path, output: Path, workers: int) -> dict[str, float]:
    """One run of the command: wall and processor seconds, and peak memory of the parent and of any worker, MB."""
    command = [sys.executable, "-m", "preprocess.convert", str(products), str(output), "--workers", str(workers)]
    with tempfile.TemporaryFile("w+") as messages:
        begun = time.perf_counter()
        process = subprocess.Popen([*command, "--shape", "native", "--quiet"], cwd=measure.ROOT, stderr=messages)
        with watched(process.pid) as peaks:
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {messages.read()}")
    parent = peaks.pop(process.pid, float("nan"))
    return {
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "parent_mb": parent,
        "worker_mb": max(peaks.values(), default=float("nan")),
    }


@contextmanager
def watched(pid: int) -> Iterator[dict[int, float]]:
    """Keep looking at a process and its children; the most memory that each has had, MB, by process."""
    peaks: dict[int, float] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(SAMPLE_S):
            for process in (pid, *children(pid)):
                peak = measure.peak_memory_mb(process)
                if peak == peak:
                    peaks[process] = peak

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and that still run (Linux)."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def table(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    lines = [f"{measure.on_what(report)}; {report['workers']} workers"]
    lines.append("products   wall s    CPU s  one more: wall s    CPU s  parent MB  worker MB")
    for row in report["rows"]:
        lines.append(
            f"{row['products']:8}{row['wall_s']:9.2f}{row['cpu_s']:9.2f}{row['one_more_wall_s']:18.3f}"
            f"{row['one_more_cpu_s']:9.3f}{row['parent_mb']:11.0f}{row['worker_mb']:11.0f}"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
