"""What the benchmarks of preprocessing share: clocks, memory, fresh processes, copies of a product, the machine."""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from preprocess.cores import available_cores
from preprocess.pool import as_workers

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PACKAGES = ("numpy", "scipy", "h5py", "netCDF4", "deflate", "isal", "scikit-image", "xarray")


@dataclass(frozen=True)
class Clock:
    """Seconds that one piece of work took: by the clock on the wall, and of the processor's time."""

    wall_s: float
    cpu_s: float


def clocked(work: Callable[[], object]) -> Clock:
    """Do `work` once."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Clock(time.perf_counter() - wall, time.process_time() - cpu)


def summary(clocks: list[Clock]) -> dict[str, float]:
    """Median, fastest and slowest by the wall clock, and the median of processor time, s."""
    walls = [clock.wall_s for clock in clocks]
    return {
        "median_s": statistics.median(walls),
        "fastest_s": min(walls),
        "slowest_s": max(walls),
        "cpu_s": statistics.median(clock.cpu_s for clock in clocks),
    }


def in_turn(work: dict[str, Callable[[], object]], runs: int) -> dict[str, dict[str, float]]:
    """The summary of each piece of work, over `runs` rounds that do each once, after a round that is not counted."""
    clocks: dict[str, list[Clock]] = {name: [] for name in work}
    for _ in range(runs + 1):
        for name, piece in work.items():
            clocks[name].append(clocked(piece))
    return {name: summary(found[1:]) for name, found in clocks.items()}


def in_fresh_process(function: Callable[..., T], *arguments: Any, one_core: bool = True, worker: bool = False) -> T:
    """Call `function` in a new process, on one core with one thread a library unless told; it must be picklable.

    `worker`: with the settings of a command's own workers.
    """
    os.environ.update(ONE_THREAD)
    pin = _pin_to_one_core if one_core else None
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=pin) as pool:
        with as_workers() if worker else nullcontext():
            begun = pool.submit(function, *arguments)
        return begun.result()


def _pin_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def peak_memory_mb(process: int | str = "self") -> float:
    """The most memory that a process has had so far (Linux: VmHWM, which, unlike getrusage, forgets its parent)."""
    status = Path(f"/proc/{process}/status")
    with suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024 / 1e6
    return float("nan")


def copy_product(product: Path, folder: Path, number: int) -> Path:
    """The product again in `folder`, as if sensed `number` times three minutes later: its files are linked, not copied.

    Its name's start time is all that differs, so that every copy gets a shard of its own.
    """
    start = re.search(r"\d{8}T\d{6}", product.name)
    if start is None:
        raise ValueError(f"{product.name} is not the name of a product")
    moved = datetime.strptime(start[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) + number * timedelta(minutes=3)
    copy = folder / product.name.replace(start[0], moved.strftime("%Y%m%dT%H%M%S"), 1)
    copy.mkdir(parents=True)
    for file in product.iterdir():
        (copy / file.name).symlink_to(file.resolve())
    return copy


def command_throughput(product: Path, scratch: Path, copies: int, rounds: int) -> dict[str, Any]:
    """The convert command over `copies` and twice as many copies of a product, with one worker and with two, s.

    The difference of the two is what more products cost when everything has started. Medians over `rounds`.
    """
    folders = {count: scratch / f"{count} products" for count in (copies, 2 * copies)}
    for count, folder in folders.items():
        for number in range(count):
            copy_product(product, folder, number)
    walls: dict[tuple[int, int], list[float]] = {}
    for turn in range(rounds):
        for workers in (1, 2):
            for count, folder in folders.items():
                output = scratch / f"{turn} {workers} {count}"
                run = partial(run_convert, folder, output, workers)
                walls.setdefault((workers, count), []).append(clocked(run).wall_s)
                shutil.rmtree(output)
    median = {key: statistics.median(found) for key, found in walls.items()}
    marginal = {workers: (median[workers, 2 * copies] - median[workers, copies]) / copies for workers in (1, 2)}
    return {
        "copies": copies,
        "wall_s": {f"{workers} workers, {count} products": wall for (workers, count), wall in median.items()},
        "marginal_s_a_product": {f"{workers} workers": seconds for workers, seconds in marginal.items()},
        "two_over_one": marginal[1] / marginal[2],
        "two_over_one_with_start": median[1, 2 * copies] / median[2, 2 * copies],
    }


def throughput_lines(found: dict[str, Any] | None) -> list[str]:
    """command_throughput for people."""
    if found is None:
        return []
    lines = [f"{'the command':34}{'wall s':>9}"]
    lines += [f"  {name:32}{wall:9.2f}" for name, wall in found["wall_s"].items()]
    lines += [f"  one more product, {name:14}{wall:9.3f}" for name, wall in found["marginal_s_a_product"].items()]
    lines.append(f"  {'two workers do, as one does 1':32}{found['two_over_one']:9.2f}")
    lines.append(f"  {'with starting and ending':32}{found['two_over_one_with_start']:9.2f}")
    return lines


def run_convert(products: Path, output: Path, workers: int) -> dict[str, Any]:
    """The convert command in a process of its own; its summary. Raises RuntimeError if it fails."""
    command = [sys.executable, "-m", "preprocess.convert", str(products), str(output), "--workers", str(workers)]
    done = subprocess.run([*command, "--json", "--quiet"], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tell(report: dict[str, Any], lines: list[str], output: Path | None) -> None:
    """Print the table to stderr and the report as JSON to stdout; write that to `output` too, if given."""
    text = json.dumps(report, indent=2)
    if output:
        output.write_text(text + "\n")
    print("\n".join(lines), file=sys.stderr)
    print(text)


def machine() -> dict[str, Any]:
    """When, and on what, the figures were taken; "load" is how many processes ran already (of the last minute)."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": available_cores(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def on_what(report: dict[str, Any]) -> str:
    """machine() for people: a load much above 0 says that others used the processor too."""
    return f"{report['processor']}, {report['when'][:10]}; load before: {report['load']:.1f}"


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
