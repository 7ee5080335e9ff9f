"""An outcome for every item, whatever becomes of its worker."""

from __future__ import annotations

import errno
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from preprocess import pool
from preprocess.errors import UserError
from preprocess.pool import Outcome, map_items, one_line

ROOT = Path(__file__).resolve().parents[1]


def square(number: int) -> int:
    if number == 3:
        raise UserError("three is\nrefused")
    if number == 4:
        raise ValueError("four")
    return number**2


def full_at_two(number: int) -> int:
    if number == 2:
        raise OSError(errno.ENOSPC, "No space left on device", "out/2.hdf")
    if number == 3:
        raise OSError(errno.EFBIG, "File too large", "out/3.hdf")
    return number**2


def die_at_two(number: int) -> int:
    if number == 2:
        os._exit(9)
    return number**2


def die_the_first_time(mark: Path) -> str:
    if not mark.exists():
        mark.touch()
        os._exit(9)
    return "done"


def threads_allowed(name: str) -> str | None:
    return os.environ.get(name)


def unpicklable(number: int) -> Callable[[], int]:
    return lambda: number


def die_or_unpicklable(number: int) -> Callable[[], int]:
    die_at_two(number)
    return unpicklable(number)


EXPECTED = {
    1: Outcome(1, value=1),
    2: Outcome(2, value=4),
    3: Outcome(3, error="three is refused"),
    4: Outcome(4, error="ValueError: four"),
    5: Outcome(5, value=25),
}


@pytest.mark.quick
@pytest.mark.parametrize("workers", [0, 2])
def test_every_item_has_its_value_or_its_reason(workers: int) -> None:
    outcomes = list(map_items(square, list(EXPECTED), workers=workers))
    assert {outcome.item: outcome for outcome in outcomes} == EXPECTED
    assert len(outcomes) == len(EXPECTED)


def test_no_items_no_outcomes() -> None:
    assert list(map_items(square, [], workers=2)) == []


def test_a_worker_that_dies_costs_its_own_item_alone() -> None:
    outcomes = {outcome.item: outcome for outcome in map_items(die_at_two, range(8), workers=2)}
    assert outcomes.pop(2).error == "the worker process died (out of memory, or a crash in a file library)"
    assert outcomes == {number: Outcome(number, value=number**2) for number in (0, 1, 3, 4, 5, 6, 7)}


def test_an_item_whose_worker_died_by_chance_is_tried_again(tmp_path: Path) -> None:
    """As when the system, short of memory, kills the process that has most of it."""
    (outcome,) = map_items(die_the_first_time, [tmp_path / "died"], workers=1)
    assert (outcome.value, outcome.error) == ("done", None)


def test_workers_keep_libraries_to_one_thread_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    outcomes = map_items(threads_allowed, names, workers=2)
    assert {outcome.item: outcome.value for outcome in outcomes} == dict(zip(names, "113", strict=True))
    assert "OMP_NUM_THREADS" not in os.environ  # ours is as it was


def page_faults_of_large_arrays(rounds: int) -> int:
    """Pages that are faulted in where an array of 24 MB is made and given back, again and again."""
    found = []
    for _ in range(rounds + 1):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray(24_000_000)[::4096] = bytes(-(-24_000_000 // 4096))
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return sum(found[1:])


def deaf_to_sigterm(heard: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    heard.set()
    time.sleep(60)


def test_an_executor_can_end_workers_that_leave_sigterm_to_it() -> None:
    """It terminates them, and waits without end, where one of them died while Ctrl-C was pressed twice."""
    context = pool._Workers()
    heard = context.Event()
    worker = context.Process(target=deaf_to_sigterm, args=(heard,))
    worker.start()
    assert heard.wait(30)
    worker.terminate()
    worker.join(30)
    assert worker.exitcode == -signal.SIGKILL


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have settings of their own")
def test_workers_keep_the_memory_that_an_item_gives_back() -> None:
    """24 MB are 5859 pages of 4 KiB; without the settings each round would fault them in."""
    (outcome,) = map_items(page_faults_of_large_arrays, [4], workers=1)
    assert outcome.value is not None
    assert outcome.value < 1000


def test_a_value_that_cannot_travel_is_that_items_error() -> None:
    (outcome,) = map_items(unpicklable, [1], workers=1)
    assert outcome.value is None
    assert "pickle" in (outcome.error or "")


def test_a_value_that_cannot_travel_beside_an_item_that_kills_its_worker() -> None:
    outcomes = {outcome.item: outcome.error or "" for outcome in map_items(die_or_unpicklable, [2, 1], workers=1)}
    assert "the worker process died" in outcomes[2]
    assert "pickle" in outcomes[1]


def test_a_consumer_that_stops_ends_the_pool() -> None:
    outcomes = map_items(square, list(range(100, 200)), workers=1)
    assert next(outcomes).value is not None
    outcomes.close()  # returns: no item is left running


WAITING = """
import sys, time
from pathlib import Path
from preprocess.pool import map_items

def wait(number):
    import os
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    list(map_items(wait, [1, 2], workers=2))
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    pids = tmp_path / "pids"
    pids.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script, pids], env=environment, stderr=subprocess.DEVNULL) as parent:
        until(lambda: len(list(pids.iterdir())) == 2)
        parent.kill()
    until(lambda: not any(is_alive(int(path.name)) for path in pids.iterdir()))


def until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen within a minute")


def is_alive(pid: int) -> bool:
    # A killed process may stay as a zombie where nothing reaps orphans.
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_reasons_are_one_line() -> None:
    assert one_line(UserError("a\n  b")) == "a b"
    assert one_line(KeyError("x")) == "KeyError: 'x'"
    refused = PermissionError(13, "Permission denied", "a.zip")
    assert one_line(refused) == "a.zip: Permission denied; mend this and run again"
    assert one_line(OSError("odd")) == "OSError: odd"


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_full_disk_stops_what_is_not_yet_begun(workers: int) -> None:
    full = "out/2.hdf: No space left on device; mend this and run again"
    found = {outcome.item: outcome for outcome in map_items(full_at_two, range(100), workers=workers)}
    assert len(found) == 100
    assert found[2].error == full
    undone = [item for item, outcome in found.items() if outcome.error == f"not begun after this: {full}"]
    begun = 3 if workers == 0 else 3 + workers * pool.QUEUE_PER_WORKER + 1  # those queued meanwhile go on
    assert len(undone) >= 100 - begun
    assert all(found[item].value == item**2 for item in found if item not in (2, 3, *undone))


def test_a_file_too_large_for_its_disk_stops_nothing_else() -> None:
    found = list(map_items(full_at_two, [3, 4], workers=0))
    assert [outcome.error for outcome in found] == ["out/3.hdf: File too large; mend this and run again", None]
