"""Edge: threads beside the one that keeps the devices busy: reading ahead of it, writing behind it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, TypeVar

from preprocess.outcome import Item, Outcome, attempt

T = TypeVar("T")

POLL_S = 0.2  # how soon a thread that waits for room sees that no more is wanted


@contextmanager
def read_ahead(items: Iterator[T], depth: int) -> Iterator[Iterator[T]]:
    """Yield an iterator over `items` of which a thread holds `depth` ready; what `items` raises is raised there.

    At the end no more than the item in work is begun, and `items` is closed if it is a generator.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    unwanted = threading.Event()

    def offer(item: T | None, error: BaseException | None = None) -> None:
        while not unwanted.is_set():
            try:
                ready.put((item, error), timeout=POLL_S)
            except queue.Full:
                continue
            return

    def work() -> None:
        error: BaseException = StopIteration()
        try:
            for item in items:
                offer(item)
                if unwanted.is_set():
                    break
        except Exception as raised:
            error = raised
        finally:
            close(items)
            offer(None, error)

    def results() -> Iterator[T]:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=work, name="read ahead")
    thread.start()
    try:
        yield results()
    finally:
        unwanted.set()
        thread.join()


def close(items: Iterator[T]) -> None:
    """End a generator, so that it cleans up now; other iterators need nothing."""
    if isinstance(items, Generator):
        items.close()


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
        self._thread = threading.Thread(target=self._run, name="write behind")

    def __enter__(self) -> WriteBehind[Item, T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._unwanted.set()
        self._given.put(None)
        self._thread.join()

    def give(self, item: Item, load: T) -> None:
        """Hand over the load of one item, which is let go when it is done; waits while `depth` others wait."""
        self._given.put((item, load))

    def _run(self) -> None:
        while (given := self._given.get()) is not None:
            if not self._unwanted.is_set():
                self.outcomes.append(self._outcome(*given))
            del given

    def _outcome(self, item: Item, load: T) -> Outcome[Item, None]:
        if self.disk_full is not None:
            return Outcome(item, error=f"not begun after this: {self.disk_full}")
        outcome = attempt(self._work, load)
        if outcome.disk_full:
            self.disk_full = outcome.error
        return Outcome(item, error=outcome.error, disk_full=outcome.disk_full)
