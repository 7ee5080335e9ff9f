"""Edge: threads beside the one that keeps the devices busy: reading ahead of it, writing behind it."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Generic, TypeVar

from preprocess.outcome import Item, Outcome, attempt

T = TypeVar("T")


def map_threads(function: Callable[[Item], T], items: Sequence[Item], threads: int) -> Iterator[Outcome[Item, T]]:
    """Yield an Outcome for each item, in their order, computed by `threads` threads.

    As many items are in work or done as there are threads, and one more. When the iterator is closed those in work are
    waited for, and no more are begun.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read ahead")
    try:
        ahead = deque(pool.submit(attempt, function, item) for item in islice(remaining, threads + 1))
        while ahead:
            outcome = ahead.popleft().result()
            ahead.extend(pool.submit(attempt, function, item) for item in islice(remaining, 1))
            yield outcome
            del outcome  # or it stayed until the next one is there
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class WriteBehind(Generic[Item, T]):
    """A thread that does `work` on what it is given, `depth` at most waiting; `outcomes` tells what became of each.

    Leaving the context waits for all that was given; by an exception, only for what is in work: the rest is dropped.
    After a full disk nothing more is done; `disk_full` then holds what was said.
    """

    def __init__(self, work: Callable[[T], None], depth: int) -> None:
        self.outcomes: list[Outcome[Item, None]] = []
        self.disk_full: str | None = None
        self._work = work
        self._given: queue.Queue[tuple[Item, T] | None] = queue.Queue(depth)
        self._unwanted = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="write behind")

    def __enter__(self) -> WriteBehind[Item, T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._unwanted.set()
        try:
            self._end()
        except BaseException:  # a signal
            self._unwanted.set()
            self._end()
            raise
        self._thread.join()

    def _end(self) -> None:
        # Not by joining: a join that is interrupted makes Python 3.11 forget the thread, and end without it.
        self._given.put(None)
        self._ended.wait()

    def give(self, item: Item, load: T) -> None:
        """Hand over the load of one item, which is let go when it is done; waits while `depth` others wait."""
        self._given.put((item, load))

    def _run(self) -> None:
        try:
            while (given := self._given.get()) is not None:
                if not self._unwanted.is_set():
                    self.outcomes.append(self._outcome(*given))
                del given
        finally:
            self._ended.set()

    def _outcome(self, item: Item, load: T) -> Outcome[Item, None]:
        if self.disk_full is not None:
            return Outcome(item, error=f"not begun after this: {self.disk_full}")
        outcome = attempt(self._work, load)
        if outcome.disk_full:
            self.disk_full = outcome.error
        return Outcome(item, error=outcome.error, disk_full=outcome.disk_full)
