"""Edge: telling the observers of a training; none of them can stop it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jaxmask.observers import Beginning, Observer, Passing, Stepped
from preprocess.command import log


class Audience:
    """Observers who are told in turn; one that raises an error is warned of and not told any more."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)

    def load(self) -> None:
        """The products are about to be read."""
        self._tell("load")

    def begin(self, beginning: Beginning) -> None:
        """The first step is about to be taken."""
        self._tell("begin", beginning)

    def passing(self, passing: Passing) -> None:
        """A part of an epoch begins, or goes on."""
        self._tell("passing", passing)

    def step(self, stepped: Stepped) -> None:
        """A training step has ended."""
        self._tell("step", stepped)

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has ended and is saved, or is being saved."""
        self._tell("epoch", line)

    def end(self, status: str) -> None:
        """The training has ended; the first end counts, and nobody is told of anything after it."""
        self._tell("end", status)
        self._observers.clear()

    def _tell(self, event: str, *told: object) -> None:
        for observer in tuple(self._observers):
            try:
                getattr(observer, event)(*told)
            except Exception as error:
                self._observers.remove(observer)
                log.warning(
                    "%s fails at %s (%s: %s); training goes on without it",
                    type(observer).__name__, event, type(error).__name__, error,
                )  # fmt: skip


@contextmanager
def observed(observers: Sequence[Observer]) -> Iterator[Audience]:
    """Yield `observers` to be told of a training; of an end by an error, or by none that was told, they hear here."""
    audience = Audience(observers)
    try:
        yield audience
    finally:
        audience.end("aborted")
