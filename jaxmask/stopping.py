"""Edge: what asks a training to save or to stop: SIGTERM and SIGUSR1, and a clock."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from preprocess.errors import EXIT_TERMINATED

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
STDERR = 2
# What processes vote for after each step; the greatest number wins.
GO_ON, SAVE, SAVE_AND_STOP = 0, 1, 2
AT_ONCE = b"jaxmask.train: a second signal: ended at once; run the same command to go on from the last save\n"


class StoppedOnRequest(BaseException):
    """A signal asked to end before there was anything to save; no `except Exception` keeps it."""


class StopRequest:
    """Whether a signal has asked to stop.

    Until `training` is set a signal raises StoppedOnRequest where the program is, as nothing needs saving yet; after
    that it is only noted, and the loop saves and stops at a step on which all processes agree.
    """

    def __init__(self) -> None:
        self.asked = False
        self.training = False

    def note(self, signum: int, frame: object) -> None:
        """Handle a signal, as Python calls it in the main thread."""
        self.asked = True
        if not self.training:
            raise StoppedOnRequest


class SaveClock:
    """Says when `minutes` have passed since the last save."""

    def __init__(self, minutes: float) -> None:
        self._seconds = 60 * minutes
        self.restart()

    def restart(self) -> None:
        """Something has been saved just now."""
        self._since = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._since >= self._seconds


def wish(request: StopRequest, clock: SaveClock | None) -> int:
    """Return what this process votes for; `clock`: of the process whose time counts, None in the others."""
    if request.asked:
        return SAVE_AND_STOP
    return SAVE if clock is not None and clock.is_due() else GO_ON


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Yield a request that SIGTERM and SIGUSR1 set; a second one ends the process at once, with EXIT_TERMINATED.

    At once means also where Python's handlers have to wait: in a compilation of minutes, or in a collective with
    processes that have gone. So the signals are counted in a thread, which the kernel wakes by a pipe.
    """
    request = StopRequest()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    thread = threading.Thread(target=_count, args=(reader,), name="signals", daemon=True)
    thread.start()
    handlers = {number: signal.signal(number, request.note) for number in SIGNALS}
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield request
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(writer)
        thread.join()
        os.close(reader)


def _count(reader: int) -> None:
    """Read the number of each signal that comes, until the pipe's other end is closed."""
    came = 0
    while numbers := os.read(reader, 64):
        came += sum(number in SIGNALS for number in numbers)
        if came > 1:
            os.write(STDERR, AT_ONCE)
            os._exit(EXIT_TERMINATED)
