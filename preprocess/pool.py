"""Edge: map a function over many items, here or on a Dask cluster: an outcome for every item, whatever happens."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from preprocess.errors import UserError

T = TypeVar("T")
Item = TypeVar("Item")

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
QUEUE_PER_WORKER = 2


@dataclass(frozen=True)
class Outcome(Generic[Item, T]):
    """What became of one item: its value, or the one-line reason why there is none."""

    item: Item
    value: T | None = None
    error: str | None = None


def available_cores() -> int:
    """The cores this process may use: its affinity, capped by its cgroup's quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_CPU_MAX.read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, cores)


def map_items(
    function: Callable[[Item], T],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    label: str = "",
    quiet: bool = False,
) -> Iterator[Outcome[Item, T]]:
    """Yield one Outcome for each item as it is done, with a progress bar on stderr.

    `function` and the items must be picklable. `workers` processes on this machine (None: `available_cores()`;
    0: in this process), or the Dask cluster at `scheduler`. An exception, or the death of a worker,
    is that item's error; the rest go on.
    """
    if scheduler is not None:
        outcomes = _map_dask(function, items, scheduler)
    elif workers == 0:
        outcomes = (_attempt(function, item) for item in items)
    else:
        outcomes = _map_processes(function, items, min(workers or available_cores(), max(1, len(items))))
    with tqdm(total=len(items), desc=label, unit="", disable=None if not quiet else True, dynamic_ncols=True) as bar:
        for outcome in outcomes:
            bar.update()
            yield outcome


def one_line(error: BaseException) -> str:
    """The reason a user reads: a UserError's own words, which file the system refused, else type and text; one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; mend this and run again"
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def _attempt(function: Callable[[Item], T], item: Item) -> Outcome[Item, T]:
    try:
        return Outcome(item, value=function(item))
    except Exception as error:
        return Outcome(item, error=one_line(error))


def _map_processes(function: Callable[[Item], T], items: Iterable[Item], workers: int) -> Iterator[Outcome[Item, T]]:
    """Submit a bounded number; when a worker dies, try those in flight again one by one, each in its own process."""
    remaining = iter(items)
    while True:
        suspects: list[Item] = []
        with _executor(workers) as pool:
            pending: dict[Future[Outcome[Item, T]], Item] = {}
            try:
                while True:
                    room = 0 if suspects else workers * QUEUE_PER_WORKER - len(pending)
                    for item in islice(remaining, room):
                        pending[_submit(pool, function, item)] = item
                    if not pending:
                        break
                    for future in wait(pending, return_when=FIRST_COMPLETED).done:
                        item = pending.pop(future)
                        error = future.exception()
                        if isinstance(error, BrokenProcessPool):
                            suspects.append(item)
                        elif isinstance(error, Exception):  # the item or its value could not be pickled
                            yield Outcome(item, error=one_line(error))
                        else:
                            yield future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        if not suspects:
            return
        for item in suspects:
            yield _alone(function, item)


def _executor(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_die_with_the_parent
    )


def _die_with_the_parent() -> None:
    """In a worker: leave Ctrl-C to the parent, and end when the parent is killed, which the pool does not see."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _submit(pool: ProcessPoolExecutor, function: Callable[[Item], T], item: Item) -> Future[Outcome[Item, T]]:
    try:
        return pool.submit(_attempt, function, item)
    except BrokenProcessPool as error:
        failed: Future[Outcome[Item, T]] = Future()
        failed.set_exception(error)
        return failed


def _alone(function: Callable[[Item], T], item: Item) -> Outcome[Item, T]:
    with _executor(1) as pool:
        try:
            return pool.submit(_attempt, function, item).result()
        except BrokenProcessPool:
            return Outcome(item, error="the worker process died (out of memory, or a crash in a file library)")


def _map_dask(function: Callable[[Item], T], items: Sequence[Item], scheduler: str) -> Iterator[Outcome[Item, T]]:
    client, as_completed = _dask_client(scheduler)
    with client:
        futures = {client.submit(_attempt, function, item, pure=False): item for item in items}
        for future in as_completed(list(futures)):
            item = futures.pop(future)
            # Even a finished item may fail here: its worker may die before the value has been fetched.
            try:
                outcome = future.result()
            except Exception as error:
                outcome = Outcome(item, error=one_line(error))
            yield outcome


def _dask_client(scheduler: str) -> tuple[Any, Any]:
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise UserError("--scheduler needs the package 'distributed': pip install 'jaxmask[cluster]'") from error
    try:
        return Client(scheduler, timeout="20s"), as_completed
    except (OSError, ValueError) as error:
        raise UserError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from error
