"""An outcome for every item, whatever becomes of its worker."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from preprocess import pool
from preprocess.errors import UserError
from preprocess.pool import Outcome, available_cores, map_items, one_line

ROOT = Path(__file__).resolve().parents[1]


def square(number: int) -> int:
    if number == 3:
        raise UserError("three is\nrefused")
    if number == 4:
        raise ValueError("four")
    return number**2


def die_at_two(number: int) -> int:
    if number == 2:
        os._exit(9)
    return number**2


def unpicklable(number: int) -> Callable[[], int]:
    return lambda: number


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


def test_a_value_that_cannot_travel_is_that_items_error() -> None:
    (outcome,) = map_items(unpicklable, [1], workers=1)
    assert outcome.value is None
    assert "pickle" in (outcome.error or "")


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


@pytest.mark.quick
def test_cores_are_those_this_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = len(os.sched_getaffinity(0))
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(pool, "CGROUP_CPU_MAX", limit)
    assert available_cores() == allowed  # no such file
    for text, expected in (("max 100000", allowed), ("150000 100000", 1), ("50000 100000", 1), ("nonsense", allowed)):
        limit.write_text(text)
        assert available_cores() == min(allowed, expected)


def test_reasons_are_one_line() -> None:
    assert one_line(UserError("a\n  b")) == "a b"
    assert one_line(KeyError("x")) == "KeyError: 'x'"
    refused = PermissionError(13, "Permission denied", "a.zip")
    assert one_line(refused) == "a.zip: Permission denied; mend this and run again"
    assert one_line(OSError("odd")) == "OSError: odd"


def test_a_dask_cluster_gives_the_same_outcomes() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp"
    ) as cluster:
        outcomes = list(map_items(square, list(EXPECTED), scheduler=cluster.scheduler_address))
    assert {outcome.item: outcome for outcome in outcomes} == EXPECTED


def test_a_dask_worker_that_dies_with_a_finished_value_costs_that_item_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a future is done without an exception; only fetching its value fails (KilledWorker)."""

    class Lost:
        def exception(self) -> None:
            return None

        def result(self) -> None:
            raise RuntimeError("all those workers died while running it")

    class Kept(Lost):
        def result(self) -> Outcome[int, int]:  # type: ignore[override]
            return Outcome(1, value=1)

    class Client(contextlib.nullcontext[None]):
        def submit(self, function: object, call: object, item: int, pure: bool) -> Lost:
            return Kept() if item == 1 else Lost()

    monkeypatch.setattr(pool, "_dask_client", lambda scheduler: (Client(), iter))
    outcomes = list(map_items(square, [0, 1], scheduler="tcp://here:1"))
    assert outcomes == [
        Outcome(0, error="RuntimeError: all those workers died while running it"), Outcome(1, value=1),
    ]  # fmt: skip


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")

    def refuse(address: str, timeout: str) -> None:
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(UserError, match=r"--scheduler tcp://nowhere:1: no Dask scheduler answers there \(timed out\)"):
        list(map_items(square, [1], scheduler="tcp://nowhere:1"))
