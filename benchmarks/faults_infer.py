"""A campaign of faults on infer, evaluate and sst, which must keep their promise as extract and convert do.

    python benchmarks/faults_infer.py [--kills 30] [--judged 10] [--others 3] [--products 6] [--seed 0]
                                      [--scratch FOLDER] [--output FILE]

On a small simulated archive and a network of 2 features, trained for one epoch. infer, with quicklooks and netCDF files
and two reading processes, is killed (-9: all its processes, or the first alone), a reading process of it is, it is
stopped by signals, starved of file sizes and of disk, raced by others in its folder, and the folder taken away. Then
evaluate and sst are killed and starved. After each trial: only whole and right files lie under their names, a
rerun completes, its files are those of an undisturbed run, nothing temporary remains. The table goes to stderr, JSON to
stdout; the exit code is 1 if anything was violated. What is damaged deterministically is in
tests/test_judging_faults.py.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import fault_trials
import measure
from fault_bench import (
    LAUNCH_IMPORTS,
    LONGEST_S,
    Bench,
    Finding,
    add_shared_flags,
    crashed,
    file_digest,
    prepare,
    rerun,
    start,
    temporary,
    wrong_outputs,
)  # fmt: skip
from faults import report

INFER_FLAGS = ("--workers", "2", "--png", "--netcdf", "--cpu-only")
TRAIN_FLAGS = ("--features", "2", "--patch-size", "64", "--global-batch-size", "8", "--epochs", "1", "--cpu-only")
RESULTS = {
    "evaluate": ("evaluation.json", "evaluation.csv"),
    "sst": ("sst.json", "sst.csv", "sst_predictions.h5"),
}
LEAST_LIMIT_BYTES = 64


def run_stage(module: str, *words: object) -> None:
    """Run one command to its end."""
    subprocess.run([sys.executable, "-m", module, *map(str, words), "--quiet"], check=True, cwd=measure.ROOT)


def prepared(scratch: Path, products: int) -> Bench:
    """archive/, hdf/ and model/ in `scratch`, and what infer makes of them."""
    run_stage("preprocess.simulate", scratch / "archive", "--products", products)
    run_stage("preprocess.convert", scratch / "archive", scratch / "hdf", "--shape", "native")
    run_stage("jaxmask.train", scratch / "hdf", scratch / "model", "--mix", "all", *TRAIN_FLAGS)
    model = (str(scratch / "model"),)
    return prepare("infer", scratch / "hdf", scratch / "infer", INFER_FLAGS, module="jaxmask", before=model)


def campaign(arguments: argparse.Namespace, scratch: Path) -> Iterator[Finding]:
    """Every trial in turn."""
    bench, few, seed = prepared(scratch, arguments.products), arguments.others, arguments.seed
    yield from fault_trials.killed(bench, arguments.kills, seed)
    yield from reader_killed(bench, few, seed)
    yield from fault_trials.interrupted(bench, few, seed)
    yield from fault_trials.limited(bench, few, seed)
    yield from fault_trials.full_disk(bench, few, seed)
    yield from fault_trials.read_only(bench)
    yield from fault_trials.together(bench, few, seed)
    yield from fault_trials.removed(bench, few, seed)
    masks = scratch / "infer" / "undisturbed"
    words = {
        "evaluate": [scratch / "hdf", "--truth", scratch / "archive" / "truth", "--part", "all", "--workers", "2"],
        "sst": [scratch / "archive" / "sst_matchups.h5", "--bootstrap", "40"],
    }
    for stage, (inputs, *flags) in words.items():
        yield from judging(stage, str(inputs), tuple(map(str, flags)), masks, scratch / stage, arguments)


def reader_killed(bench: Bench, rounds: int, seed: int) -> Iterator[Finding]:
    """kill -9 of one reading process at a random moment: what it read is read again, the masks are the same."""
    draws = random.Random(seed)
    for number in range(rounds):
        delay_s, output = draws.uniform(0, bench.work_s / 2), bench.scratch / f"reader-{number}"
        with start(bench, output) as process:
            while process.poll() is None and not children(process.pid):
                time.sleep(0.01)
            time.sleep(delay_s)
            readers = children(process.pid)
            if readers:
                with suppress(ProcessLookupError):
                    os.kill(draws.choice(readers), signal.SIGKILL)
            told, _ = process.communicate(timeout=LONGEST_S)
        found = [*crashed(process.returncode, told), *wrong_outputs(bench, output)]
        if process.returncode:
            found.append(f"it ended with {process.returncode}: {told[-300:]}")
        what = f"after {delay_s:.3f} s" if readers else "skipped: there was none"
        yield Finding("infer: kill -9 of a reader", what, (*found, *rerun(bench, output)))
        shutil.rmtree(output)


def children(parent: int) -> list[int]:
    """The processes that work for a parent: not the one that keeps Python's books of shared memory."""
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    found = []
    with suppress(OSError):
        for child in map(int, listed.read_text().split()):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def judging(
    stage: str, inputs: str, flags: tuple[str, ...], masks: Path, scratch: Path, arguments: argparse.Namespace
) -> Iterator[Finding]:
    """Kills at random moments of a command that judges, and limits of its files' sizes; the masks must stay."""
    draws = random.Random(arguments.seed)
    words = [sys.executable, "-m", f"jaxmask.{stage}", inputs]
    expected, seconds = undisturbed(stage, words, flags, masks, scratch)
    smallest = min((scratch / "undisturbed" / name).stat().st_size for name in RESULTS[stage]) - 1
    for number in range(arguments.judged + arguments.others):
        folder = scratch / f"trial-{number}"
        shutil.copytree(masks, folder)
        command = [*words, str(folder), *flags]
        if number < arguments.judged:
            delay_s = draws.uniform(0, seconds)
            kind, what, found = "kill -9", f"after {delay_s:.3f} s", killed_after(command, delay_s)
        else:
            limit = draws.randint(LEAST_LIMIT_BYTES, smallest)
            kind, what, found = "file size", f"{limit} bytes", limited_to(command, limit)
        found += wrong_results(stage, folder, masks, expected, missing=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
        if done.returncode:
            found.append(f"the rerun ended with {done.returncode}: {done.stderr[-300:]}")
        found += [*wrong_results(stage, folder, masks, expected), *(f"{name} remains" for name in temporary(folder))]
        yield Finding(f"{stage}: {kind}", what, tuple(found))
        shutil.rmtree(folder)


def undisturbed(
    stage: str, words: list[str], flags: tuple[str, ...], masks: Path, scratch: Path
) -> tuple[dict[str, str], float]:
    """The digests of a command's results, and how long it took."""
    shutil.copytree(masks, scratch / "undisturbed")
    began = time.monotonic()
    subprocess.run([*words, str(scratch / "undisturbed"), *flags], check=True, capture_output=True)
    seconds = time.monotonic() - began
    return {name: file_digest(scratch / "undisturbed" / name) for name in RESULTS[stage]}, seconds


def killed_after(command: list[str], delay_s: float) -> list[str]:
    """Kill a command and its children; nothing is wrong by itself."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return []


def limited_to(command: list[str], limit: int) -> list[str]:
    """What is wrong with how a command ends whose files may not grow beyond `limit` bytes."""
    code = f"{LAUNCH_IMPORTS}; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; os.execv(sys.argv[1], sys.argv[1:])", *command],
        capture_output=True, text=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip
    found = list(crashed(done.returncode, done.stderr))
    if done.returncode != 2 or "File too large" not in done.stderr:
        found.append(f"it ended with {done.returncode}: {done.stderr[-300:]}")
    return found


def wrong_results(
    stage: str, folder: Path, masks: Path, expected: dict[str, str], *, missing: bool = False
) -> Iterator[str]:
    """Results that are not those of the undisturbed run, and masks that are no longer what they were."""
    for name in RESULTS[stage]:
        path = folder / name
        if not path.exists():
            if not missing:
                yield f"{name} is missing"
        elif file_digest(path) != expected[name]:
            yield f"{name} is not as an undisturbed run makes it"
    if any(file_digest(path) != file_digest(folder / path.name) for path in masks.iterdir()):
        yield "a mask has changed"


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="of infer")
    parser.add_argument("--judged", type=int, default=10, help="kills of evaluate, and of sst")
    parser.add_argument("--others", type=int, default=3, help="trials of each other kind")
    add_shared_flags(parser, products=6)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the campaign; 1 if anything was violated."""
    arguments = parse(argv)
    began = time.monotonic()
    findings = []
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(scratch) / "compiled")
        for finding in campaign(arguments, Path(scratch)):
            findings.append(finding)
            told = f"VIOLATED: {'; '.join(finding.violations)}" if finding.violations else "kept"
            print(f"{time.monotonic() - began:6.0f} s {finding.kind}: {finding.what}: {told}", file=sys.stderr)
    found = measure.machine() | report(findings, time.monotonic() - began, arguments)
    lines = [f"{kind:28}{n['passed']:4} of {n['tried']:4} kept" for kind, n in found["trials"].items()]
    measure.tell(found, lines, arguments.output)
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
