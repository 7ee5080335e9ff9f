"""Trials of the fault campaign: each harms one run of extract or convert, and tells what it then found wrong.

Every trial yields `Finding`s: what was tried, and the violations of the promise (fault_bench.py), none if it was kept.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

from fault_bench import (
    LONGEST_S,
    UNSHARE,
    Bench,
    Finding,
    command,
    crashed,
    digest,
    rerun,
    start,
    temporary,
    wait_until_begun,
    workers_left,
    wrong_failures,
    wrong_outputs,
)  # fmt: skip

# As a shell starts commands in the foreground; those in the background are told to ignore Ctrl-C.
HEED_SIGNALS = "signal.signal(signal.SIGINT, signal.SIG_DFL)"


def killed(bench: Bench, rounds: int, seed: int) -> Iterator[Finding]:
    """kill -9 at random moments, of all processes at once or of the parent alone."""
    draws = random.Random(seed)
    for number in range(rounds):
        delay_s, alone = draws.uniform(0, bench.work_s), number % 3 == 2
        output = bench.scratch / f"killed-{number}"
        with start(bench, output) as process:
            wait_until_begun(process, output)
            time.sleep(delay_s)
            with suppress(ProcessLookupError):
                (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
            found = list(workers_left(process.pid))
            process.communicate(timeout=LONGEST_S)
        found += [*wrong_outputs(bench, output), *rerun(bench, output)]
        who = "parent" if alone else "all"
        yield Finding(f"{bench.stage}: kill -9", f"{who} after {delay_s:.3f} s", tuple(found))
        shutil.rmtree(output)


def interrupted(bench: Bench, rounds: int, seed: int) -> Iterator[Finding]:
    """SIGTERM or Ctrl-C to all processes at random moments: nothing temporary is left even before the rerun."""
    draws = random.Random(seed)
    for number in range(rounds):
        sent, code = ((signal.SIGTERM, 143), (signal.SIGINT, 130))[number % 2]
        delay_s, output = draws.uniform(0, bench.work_s), bench.scratch / f"interrupted-{number}"
        with start(bench, output, before=HEED_SIGNALS) as process:
            wait_until_begun(process, output)
            time.sleep(delay_s)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sent)
            told, _ = process.communicate(timeout=LONGEST_S)
        found = [*workers_left(process.pid), *crashed(process.returncode, told), *wrong_outputs(bench, output)]
        found += [f"{name} remains" for name in temporary(output)]
        # Python itself ends so when the signal comes after the work, while it tidies up.
        late = process.returncode == -sent and digest(output) == bench.expected
        if process.returncode not in (0, code) and not late:
            found.append(f"it ended with {process.returncode}, not {code}: {told[-300:]}")
        yield Finding(f"{bench.stage}: {sent.name}", f"after {delay_s:.3f} s", (*found, *rerun(bench, output)))
        shutil.rmtree(output)


def limited(bench: Bench, rounds: int, seed: int) -> Iterator[Finding]:
    """No file may grow beyond a random size, as on a full disk: each error names the file, none is a crash."""
    draws = random.Random(seed)
    sizes = [path.stat().st_size for path in (bench.scratch / "undisturbed").rglob("*") if path.is_file()]
    for number in range(rounds):
        limit = int(draws.choice(sizes) * draws.uniform(0.05, 0.999))
        output = bench.scratch / f"limited-{number}"
        before = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
        with start(bench, output, before) as process:
            told, _ = process.communicate(timeout=LONGEST_S)
        found = [*crashed(process.returncode, told), *wrong_outputs(bench, output), *wrong_failures(bench, output)]
        found += [f"{name} remains" for name in temporary(output)]
        if process.returncode != 3 or "File too large" not in told:
            found.append(f"it ended with {process.returncode}: {told[-300:]}")
        yield Finding(f"{bench.stage}: file size", f"{limit} bytes", (*found, *rerun(bench, output)))
        shutil.rmtree(output)


def full_disk(bench: Bench, rounds: int, seed: int) -> Iterator[Finding]:
    """The output folder is a file system of its own, too small by a random share."""
    draws = random.Random(seed)
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        yield Finding(f"{bench.stage}: full disk", "skipped: mounting is not allowed here")
        return
    total = sum(path.stat().st_size for path in (bench.scratch / "undisturbed").rglob("*") if path.is_file())
    for number in range(rounds):
        size = int(total * draws.uniform(0.02, 0.95)) // 4096 * 4096 + 8192
        output, kept = bench.scratch / f"full-{number}", bench.scratch / f"kept-{number}"
        output.mkdir()
        script = (
            f'o="$1"; k="$2"; shift 2; mount -t tmpfs -o size={size} none "$o"; "$@"; c=$?; cp -a "$o" "$k"; exit $c'
        )
        done = subprocess.run(
            [*UNSHARE, "sh", "-c", script, "sh", str(output), str(kept), *command(bench, output)],
            capture_output=True, text=True, timeout=LONGEST_S, check=False,
        )  # fmt: skip
        found = [*crashed(done.returncode, done.stderr), *wrong_outputs(bench, kept), *wrong_failures(bench, kept)]
        found += [f"{name} remains" for name in temporary(kept)]
        if done.returncode not in (2, 3) or not any(word in done.stderr for word in ("No space", "make room")):
            found.append(f"it ended with {done.returncode}: {done.stderr[-300:]}")
        yield Finding(f"{bench.stage}: full disk", f"{size} bytes", (*found, *rerun(bench, kept)))
        shutil.rmtree(kept)


def read_only(bench: Bench) -> Iterator[Finding]:
    """The output folder lies on a file system that is mounted read-only: nothing is started, and it is named."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        yield Finding(f"{bench.stage}: read-only", "skipped: mounting is not allowed here")
        return
    output = bench.scratch / "read-only"
    output.mkdir()
    script = 'o="$1"; shift; mount -t tmpfs none "$o" && mount -o remount,ro "$o" && exec "$@"'
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", script, "sh", str(output), *command(bench, output)],
        capture_output=True, text=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip
    found = list(crashed(done.returncode, done.stderr))
    if done.returncode != 2 or "Read-only file system" not in done.stderr or str(output) not in done.stderr:
        found.append(f"it ended with {done.returncode}: {done.stderr[-300:]}")
    yield Finding(f"{bench.stage}: read-only", "", (*found, *rerun(bench, output)))


def together(bench: Bench, rounds: int, seed: int, commands: int = 2) -> Iterator[Finding]:
    """Several commands write to one folder at once, begun a random moment apart; each must succeed."""
    draws = random.Random(seed)
    for number in range(rounds):
        output, found, told = bench.scratch / f"together-{number}", [], []
        processes = []
        for _ in range(commands):
            processes.append(start(bench, output))
            time.sleep(draws.uniform(0, bench.work_s) if number % 2 else 0)
        for process in processes:
            with process:
                told.append(process.communicate(timeout=LONGEST_S)[0])
            if process.returncode:
                found.append(f"one ended with {process.returncode}: {told[-1][-600:]}")
        found += [f"{name} remains" for name in temporary(output)]
        if digest(output) != bench.expected:
            found.append("the outputs are not those of an undisturbed run")
        what = f"seed {seed}, round {number}"
        yield Finding(f"{bench.stage}: {commands} at once", what, (*found, *rerun(bench, output)))
        shutil.rmtree(output)


def removed(bench: Bench, rounds: int, seed: int) -> Iterator[Finding]:
    """Someone removes the output folder while the command runs: no crash, nothing temporary, a rerun completes."""
    draws = random.Random(seed)
    for number in range(rounds):
        delay_s, output = draws.uniform(0, bench.work_s), bench.scratch / f"removed-{number}"
        with start(bench, output) as process:
            wait_until_begun(process, output)
            time.sleep(delay_s)
            with suppress(FileNotFoundError):
                output.rename(bench.scratch / "gone")
            told, _ = process.communicate(timeout=LONGEST_S)
        shutil.rmtree(bench.scratch / "gone", ignore_errors=True)
        found = [*crashed(process.returncode, told), *wrong_outputs(bench, output)]
        yield Finding(f"{bench.stage}: folder removed", f"after {delay_s:.3f} s", (*found, *rerun(bench, output)))
        shutil.rmtree(output)


def few_descriptors(bench: Bench, rounds: int, seed: int) -> Iterator[Finding]:
    """A random small number of files may be open at once: errors, not crashes."""
    draws = random.Random(seed)
    for number in range(rounds):
        limit, output = draws.randint(12, 40), bench.scratch / f"descriptors-{number}"
        before = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))"
        with start(bench, output, before) as process:
            told, _ = process.communicate(timeout=LONGEST_S)
        found = [*wrong_outputs(bench, output), *(f"{name} remains" for name in temporary(output))]
        # With too few for Python itself to start there is nothing that we could say.
        if output.exists():
            found += [*crashed(process.returncode, told), *workers_left(process.pid)]
        what = f"{limit}: exit {process.returncode}"
        yield Finding(f"{bench.stage}: open files", what, (*found, *rerun(bench, output)))
        shutil.rmtree(output)
