"""Edge: map a function over many items on an existing Dask cluster, a bounded number at a time."""

from __future__ import annotations

import importlib.metadata
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

from preprocess.errors import UserError
from preprocess.outcome import Item, Outcome, T, attempt, one_line

CONNECT_S = 20
CHECK_S = 5.0  # how often the cluster is asked for its workers
POLL_S = 0.1
WORKERLESS_S = 600.0  # clusters that grow on demand need minutes for their first worker
QUEUE_PER_THREAD = 4  # a thread never waits for us, and a million items are not in the scheduler at once
DISTRIBUTION = "jaxmask"
KILLED = "every worker that tried it died (out of memory, or a crash in a file library)"


def map_cluster(function: Callable[[Item], T], items: Iterable[Item], scheduler: str) -> Iterator[Outcome[Item, T]]:
    """Yield one Outcome for each item as it is done on the cluster whose scheduler has this address.

    Items whose worker dies go to others. One that has seen as many die as the scheduler's `allowed-failures` permits
    may be another's neighbour only, as Dask blames all that a worker holds: it is done once more, alone, after the
    others, and fails if they die again. Raises UserError if no scheduler answers, if it or a worker has another
    version of this program, if the scheduler is lost, or if there is no worker for ten minutes.
    """
    with _client(scheduler) as client:
        _check_versions(client, scheduler)
        workers = _Workers(client, scheduler)
        suspects: list[Item] = []
        for item, outcome in _map(client, workers, function, items):
            if outcome is None:
                suspects.append(item)
            else:
                yield outcome
        for suspect in suspects:
            for item, outcome in _map(client, workers, function, [suspect]):
                yield outcome or Outcome(item, error=KILLED)


def _map(
    client: Any, workers: _Workers, function: Callable[[Item], T], items: Iterable[Item]
) -> Iterator[tuple[Item, Outcome[Item, T] | None]]:
    """Each item as it is done; None for the outcome of one whose workers died."""
    remaining = iter(items)
    pending: dict[Any, Item] = {}
    finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
    while True:
        for item in islice(remaining, max(0, QUEUE_PER_THREAD * workers.threads() - len(pending))):
            future = client.submit(attempt, function, item, pure=False)
            pending[future] = item
            future.add_done_callback(finished.put)
        if not pending:
            return
        try:
            future = finished.get(timeout=CHECK_S)
        except queue.Empty:
            continue
        if future.status == "cancelled":
            raise _lost(workers.scheduler)
        if future.status == "lost":  # its worker died before the value was fetched; another does it again
            time.sleep(POLL_S)
            finished.put(future)
            continue
        item = pending.pop(future)
        yield item, _outcome(future, item)


def _outcome(future: Any, item: Item) -> Outcome[Item, T] | None:
    from distributed import KilledWorker

    # Even a finished item may fail here: its worker may die before the value has been fetched.
    try:
        outcome: Outcome[Item, T] = future.result()
    except KilledWorker:
        return None
    except Exception as error:
        return Outcome(item, error=one_line(error))
    # The item as we know it: the cluster's copy of it may not be equal to ours.
    return replace(outcome, item=item)


class _Workers:
    """How many threads the cluster has, asked now and then; UserError if there is none for too long."""

    def __init__(self, client: Any, scheduler: str) -> None:
        self.client, self.scheduler = client, scheduler
        self.count = 0
        self.asked_s = -CHECK_S
        self.last_seen_s = time.monotonic()

    def threads(self) -> int:
        now_s = time.monotonic()
        if now_s - self.asked_s >= CHECK_S:
            try:
                self.count = sum(self.client.nthreads().values())
            except (OSError, RuntimeError, ValueError) as error:
                raise _lost(self.scheduler) from error
            self.asked_s = now_s
        if self.count:
            self.last_seen_s = now_s
        elif now_s - self.last_seen_s > WORKERLESS_S:
            raise UserError(
                f"--scheduler {self.scheduler}: no worker has been there for {WORKERLESS_S:.0f} seconds; "
                "start some, and run the same command to go on"
            )
        return max(1, self.count)


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise UserError("--scheduler needs the package 'distributed': pip install 'jaxmask[cluster]'") from error
    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise UserError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from error
    try:
        yield client
    finally:
        client.close(timeout=CHECK_S)


def _check_versions(client: Any, scheduler: str) -> None:
    """Raise UserError unless the scheduler and all its workers can import this program, of this version."""
    try:
        found = {"the scheduler": client.run_on_scheduler(_version), **client.run(_version)}
    except (OSError, RuntimeError) as error:
        raise _lost(scheduler) from error
    except Exception as error:
        raise UserError(
            f"--scheduler {scheduler}: it or a worker can't import this program ({one_line(error)}); "
            f"install {DISTRIBUTION} {_version()} on each"
        ) from error
    others = {where: version for where, version in found.items() if version != _version()}
    if others:
        where, version = next(iter(others.items()))
        raise UserError(
            f"--scheduler {scheduler}: {where} has {DISTRIBUTION} {version}, this is {_version()}; "
            "install one version everywhere"
        )


def _version() -> str:
    return importlib.metadata.version(DISTRIBUTION)


def _lost(scheduler: str) -> UserError:
    return UserError(
        f"--scheduler {scheduler}: the scheduler was lost or restarted; whatever was finished is whole, "
        "run the same command to go on"
    )
