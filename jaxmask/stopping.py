"""Edge: SIGTERM and SIGUSR1 as a wish to stop, which the training loop grants where it can."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from preprocess.command import Terminated

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StoppedOnRequest(Exception):
    """The loop ended because a signal asked for it; every finished epoch is saved."""


class StopRequest:
    """Whether a signal has asked to stop. A second signal doesn't ask: it raises Terminated."""

    def __init__(self) -> None:
        self.asked = False

    def note(self, signum: int, frame: object) -> None:
        """Handle a signal."""
        if self.asked:
            raise Terminated
        self.asked = True


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Yield a request that SIGTERM and SIGUSR1 set; their handlers are put back at the end."""
    request = StopRequest()
    previous = {number: signal.signal(number, request.note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
