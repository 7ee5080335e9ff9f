"""Extract and convert on a real Dask cluster: a scheduler and two workers as processes, of which some die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from preprocess import cluster
from preprocess.command import run
from preprocess.convert import ConvertConfig
from preprocess.convert import main as convert
from preprocess.errors import UserError
from preprocess.extract import ExtractConfig
from preprocess.extract import main as extract
from preprocess.outcome import Outcome
from preprocess.pool import map_items
from tests.fault_campaign import fault_bench
from tests.products import NAME, write_product, zip_product

distributed = pytest.importorskip("distributed")

# Third-party: distributed's own, on interpreters and clients that end while a worker or a scheduler is gone.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).resolve().parents[1]
LONGEST_S = 120


@dataclass(frozen=True)
class Cluster:
    """The address of a scheduler, its process, and those of its workers."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: tuple[subprocess.Popen[bytes], ...]


def dask(command: str, folder: Path, *flags: str) -> subprocess.Popen[bytes]:
    """A process of the cluster; it finds this program's packages, and the tests', but runs in a folder of its own."""
    log = (folder / f"{command}-{len(list(folder.iterdir()))}.log").open("wb")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{command}", "--no-dashboard", "--host", "127.0.0.1",
             "--scheduler-file", str(folder / "scheduler.json"), *flags],
            cwd=folder, env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}, stdout=log, stderr=log,
        )  # fmt: skip


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One scheduler, and two workers of one thread without a nanny that would start them again."""
    folder = tmp_path_factory.mktemp("cluster")
    scheduler = dask("scheduler", folder, "--port", "0")
    until(lambda: (folder / "scheduler.json").exists())
    flags = ("--nworkers", "1", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
    workers = tuple(dask("worker", folder, *flags) for _ in range(2))
    address = json.loads((folder / "scheduler.json").read_text())["address"]
    with distributed.Client(address) as client:
        client.wait_for_workers(2, timeout=LONGEST_S)
    yield Cluster(address, scheduler, workers)
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


def until(holds: Callable[[], bool]) -> None:
    for _ in range(LONGEST_S * 50):
        if holds():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen within two minutes")


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small products."""
    folder = tmp_path_factory.mktemp("inputs")
    for number in range(12):
        name = NAME.replace("T102338", f"T10{number:02}38")
        zip_product(write_product(folder / "products", name=name), folder / "zips" / f"{name}.zip")
    return folder / "zips"


def test_a_worker_that_is_killed_costs_nothing(running: Cluster, zips: Path, tmp_path: Path) -> None:
    """kill -9 as soon as the first shard is there: all are, equal to those made here, and no temporary file."""
    flags = ["--shape", "8x10", "--quiet"]
    assert run("preprocess.convert", ConvertConfig, convert, [str(zips), str(tmp_path / "here"), *flags]) == 0
    command = [sys.executable, "-m", "preprocess.convert", str(zips), "there", *flags, "--scheduler", running.address]
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    ) as process:
        until(lambda: bool(list((tmp_path / "there").glob("day/*.hdf"))) or process.poll() is not None)
        running.workers[0].kill()
        _, told = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, told.decode()
    expected = fault_bench.digest(tmp_path / "here")
    assert len(expected) == 12
    assert fault_bench.digest(tmp_path / "there") == expected
    assert not fault_bench.temporary(tmp_path / "there")


def test_extract_runs_there_too(running: Cluster, zips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With paths that only this process's folder gives a meaning."""
    monkeypatch.chdir(zips.parent)
    (tmp_path / "bad.txt").write_text("zips/absent.zip\n" + "\n".join(f"zips/{path.name}" for path in zips.iterdir()))
    argv = [str(tmp_path / "bad.txt"), str(tmp_path / "out"), "--scheduler", running.address, "--quiet"]
    assert run("preprocess.extract", ExtractConfig, extract, argv) == 3
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert failure["item"] == str(zips / "absent.zip")
    assert "no such zip" in failure["error"]
    assert len(list((tmp_path / "out").glob("*.SEN3"))) == 12


def square(number: int) -> int:
    if number == 3:
        raise UserError("three is refused")
    return number**2


def test_many_items_are_submitted_as_there_is_room(running: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads: never more than 4 a thread at once."""
    waiting, most = set(), 0

    class Counting(distributed.Client):
        def submit(self, *args: object, **flags: object) -> distributed.Future:
            nonlocal most
            future = super().submit(*args, **flags)
            waiting.add(future.key)
            most = max(most, len(waiting))
            return future

    monkeypatch.setattr(distributed, "Client", Counting)
    told = cluster._outcome

    def outcome(future: distributed.Future, item: int) -> Outcome[int, int]:
        waiting.discard(future.key)
        return told(future, item)

    monkeypatch.setattr(cluster, "_outcome", outcome)
    outcomes = {found.item: found for found in map_items(square, range(60), scheduler=running.address)}
    assert outcomes.pop(3).error == "three is refused"
    assert {item: found.value for item, found in outcomes.items()} == {n: n**2 for n in range(60) if n != 3}
    assert most == 8


def kill_at_two(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_an_item_that_kills_its_workers_fails_alone(tmp_path: Path) -> None:
    """With nannies, as usual: each worker that dies is started again. Dask gives an item four of them."""
    scheduler = dask("scheduler", tmp_path, "--port", "0")
    until(lambda: (tmp_path / "scheduler.json").exists())
    worker = dask("worker", tmp_path, "--nworkers", "1", "--nthreads", "1", "--local-directory", str(tmp_path))
    address = json.loads((tmp_path / "scheduler.json").read_text())["address"]
    try:
        outcomes = {found.item: found for found in map_items(kill_at_two, range(6), scheduler=address)}
    finally:
        for process in (worker, scheduler):
            process.terminate()
            process.wait(LONGEST_S)
    assert outcomes.pop(2).error == "every worker that tried it died (out of memory, or a crash in a file library)"
    found = {item: (found.value, found.error) for item, found in outcomes.items()}
    assert found == {number: (number, None) for number in (0, 1, 3, 4, 5)}


def test_an_item_that_dask_blames_for_its_neighbour_is_done_once_more(
    running: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, asked = cluster._outcome, list[int]()

    def outcome(future: distributed.Future, item: int) -> Outcome[int, int] | None:
        asked.append(item)
        return None if item == 4 and asked.count(4) == 1 else told(future, item)

    monkeypatch.setattr(cluster, "_outcome", outcome)
    outcomes = {
        found.item: (found.value, found.error) for found in map_items(square, range(9), scheduler=running.address)
    }
    assert outcomes == {n: (None, "three is refused") if n == 3 else (n**2, None) for n in range(9)}
    assert asked[-1] == 4
    assert sorted(asked) == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_a_scheduler_that_is_lost_is_an_error_not_a_wait(running: Cluster) -> None:
    outcomes = map_items(sleep, [0.0, *[600.0] * 20], scheduler=running.address)
    assert next(outcomes).value == 0
    running.scheduler.kill()
    with pytest.raises(UserError, match=r"the scheduler was lost or restarted; whatever was finished is whole, run"):
        list(outcomes)


def test_a_cluster_without_workers_is_an_error_in_the_end(running: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CHECK_S", 0.1)
    monkeypatch.setattr(cluster, "WORKERLESS_S", 0.5)
    outcomes = map_items(sleep, [0.0, *[600.0] * 20], scheduler=running.address)
    assert next(outcomes).value == 0
    for worker in running.workers:
        worker.kill()
    with pytest.raises(UserError, match=r"no worker has been there for 0 seconds; start some"):
        list(outcomes)


def test_another_version_on_the_cluster_is_refused(running: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.metadata, "version", lambda name: "9.9")
    with pytest.raises(UserError, match=r"the scheduler has jaxmask \S+, this is 9.9; install one version everywhere"):
        list(map_items(square, [1], scheduler=running.address))


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str, timeout: float) -> None:
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(UserError, match=r"--scheduler tcp://nowhere:1: no Dask scheduler answers there \(timed out\)"):
        list(map_items(square, [1], scheduler="tcp://nowhere:1"))


def test_without_the_extra_the_flag_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"--scheduler needs the package 'distributed': pip install 'jaxmask\[cluster"):
        list(map_items(square, [1], scheduler="tcp://nowhere:1"))
