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
from contextlib import contextmanager
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess

from preprocess.cluster import map_cluster
from preprocess.cores import available_cores
from preprocess.outcome import Item, Outcome, T, attempt, one_line
from preprocess.progress import progress
from preprocess.terminal import log_to_stderr

__all__ = ["Item", "Outcome", "T", "available_cores", "map_items", "one_line"]

QUEUE_PER_WORKER = 2
# A worker is one process a core: libraries that would start a thread for every core in each of them must not.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# Memory that one item gives back, the next would have to fault in again: glibc keeps it instead (mallopt(3)).
KEPT_MEMORY = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
KEPT_BYTES = 2**30
WORKER_SETTINGS = dict.fromkeys(THREADS, "1") | dict.fromkeys(KEPT_MEMORY, str(KEPT_BYTES))
FOR_THE_PARENT = (signal.SIGINT, signal.SIGTERM)


def map_items(
    function: Callable[[Item], T],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    label: str = "",
    unit: str = "items",
    quiet: bool = False,
) -> Iterator[Outcome[Item, T]]:
    """Yield one Outcome for each item as it is done, with a bar on stderr if it is a terminal, else lines.

    `function` and the items must be picklable. `workers` processes on this machine (None: `available_cores()`;
    0: in this process), or the Dask cluster at `scheduler`. An exception, or the death of a worker,
    is that item's error; the rest go on, but on a full disk, where those not yet begun fail unattempted. Raises
    UserError if the cluster can't be used, or is lost.
    """
    remaining = iter(items)  # which those who work take from
    if scheduler is not None:
        outcomes = map_cluster(function, remaining, scheduler)
    elif workers == 0:
        outcomes = (attempt(function, item) for item in remaining)
    else:
        outcomes = _map_processes(function, remaining, min(workers or available_cores(), max(1, len(items))))
    with progress(len(items), label, unit, quiet=quiet) as advance:
        for outcome in outcomes:
            advance(1, "")
            yield outcome
            if outcome.disk_full:
                for item in remaining:
                    advance(1, "")
                    yield Outcome(item, error=f"not begun after this: {outcome.error}")


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


class _Worker(SpawnProcess):
    """A worker leaves SIGTERM to its parent: an executor that has to end it, and waits for that, must kill it."""

    def terminate(self) -> None:
        """End the process at once."""
        self.kill()


class _Workers(SpawnContext):
    Process = _Worker


def _executor(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=_Workers(), initializer=_die_with_the_parent)


def _die_with_the_parent() -> None:
    """In a worker: leave Ctrl-C and SIGTERM to the parent, and end when it is killed, which the pool does not see.

    It warns as the parent does.

    So a signal to the whole process group, as batch systems send it, lets the items in work end whole.
    """
    for number in FOR_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    log_to_stderr(quiet=True, another=True)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _submit(pool: ProcessPoolExecutor, function: Callable[[Item], T], item: Item) -> Future[Outcome[Item, T]]:
    try:
        # Submitting starts the workers, and they must find all this before they import anything.
        with as_workers():
            return pool.submit(attempt, function, item)
    except BrokenProcessPool as error:
        failed: Future[Outcome[Item, T]] = Future()
        failed.set_exception(error)
        return failed


@contextmanager
def as_workers() -> Iterator[None]:
    """Processes started meanwhile take WORKER_SETTINGS, unless the user has set them otherwise.

    Nor do Ctrl-C and SIGTERM, which are for the parent, reach them while they import.
    """
    added = WORKER_SETTINGS.keys() - os.environ.keys()
    os.environ.update({name: WORKER_SETTINGS[name] for name in added})
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PARENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for name in added:
            os.environ.pop(name, None)


def _alone(function: Callable[[Item], T], item: Item) -> Outcome[Item, T]:
    with _executor(1) as pool:
        try:
            return _submit(pool, function, item).result()
        except BrokenProcessPool:
            return Outcome(item, error="the worker process died (out of memory, or a crash in a file library)")
        except Exception as error:  # the item or its value could not be pickled
            return Outcome(item, error=one_line(error))
