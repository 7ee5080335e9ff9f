"""Edge: telling the observers of a training; none of them can stop it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jaxmask.observers import Beginning, Observer, Stepped
from preprocess.command import log


class Audience:
    """Observers who are told in turn; one that raises an error is warned of and not told any more."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)

    def step(self, stepped: Stepped) -> None:
        """A training step has ended."""
        self.tell("step", stepped)

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has ended and is saved, or is being saved."""
        self.tell("epoch", line)

    def tell(self, event: str, told: object) -> None:
        """Call `event`, a method of the protocol, of every observer."""
        for observer in tuple(self._observers):
            try:
                getattr(observer, event)(told)
            except Exception as error:
                self._observers.remove(observer)
                log.warning(
                    "%s fails at %s (%s: %s); training goes on without it",
                    type(observer).__name__, event, type(error).__name__, error,
                )  # fmt: skip


@contextmanager
def observed(observers: Sequence[Observer], beginning: Beginning) -> Iterator[Audience]:
    """Tell `observers` of the beginning and yield them to be told more; of an end by an error they are told here."""
    audience = Audience(observers)
    audience.tell("begin", beginning)
    try:
        yield audience
    except BaseException:
        audience.tell("end", "aborted")
        raise
