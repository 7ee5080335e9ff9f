"""Observers are told in turn; none of them stops a training, and the first end is the end."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from jaxmask.audience import Audience, observed
from jaxmask.observers import Beginning, Passing, Stepped
from tests.observations import BEGINNING

STEP = Stepped(1, 1, 0.5, 8)


class Diary:
    """Writes down what it is told; fails at `fails_at`."""

    def __init__(self, fails_at: str = "") -> None:
        self.told: list[Any] = []
        self._fails_at = fails_at

    def _note(self, event: str, told: Any = None) -> None:
        self.told.append((event, told) if told is not None else event)
        if event == self._fails_at:
            raise OSError("No space left on device")

    def load(self) -> None:
        self._note("load")

    def begin(self, beginning: Beginning) -> None:
        self._note("begin", beginning.epochs)

    def passing(self, passing: Passing) -> None:
        self._note("passing", passing.part)

    def step(self, stepped: Stepped) -> None:
        self._note("step", stepped.step)

    def epoch(self, line: dict[str, Any]) -> None:
        self._note("epoch", line["epoch"])

    def end(self, status: str) -> None:
        self._note("end", status)


def tell_all(audience: Audience) -> None:
    audience.load()
    audience.begin(BEGINNING)
    audience.passing(Passing(1, "train", 0))
    audience.step(STEP)
    audience.step(STEP)
    audience.epoch({"epoch": 1})
    audience.end("success")


ALL = ["load", ("begin", 2), ("passing", "train"), ("step", 1), ("step", 1), ("epoch", 1), ("end", "success")]


@pytest.mark.quick
def test_an_observer_that_fails_is_warned_of_once_and_told_no_more(caplog: pytest.LogCaptureFixture) -> None:
    failing, sound = Diary("step"), Diary()
    with observed([failing, sound]) as audience:
        tell_all(audience)
    assert sound.told == ALL
    assert failing.told == ALL[:4]
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["Diary fails at step (OSError: No space left on device); training goes on without it"]


@pytest.mark.parametrize("event", ["load", "begin", "passing", "step", "epoch", "end"])
def test_no_event_stops_a_training(event: str) -> None:
    with observed([Diary(event)]) as audience:
        tell_all(audience)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_end_by_an_error_is_told(error: type[BaseException]) -> None:
    diary = Diary()
    with pytest.raises(error), observed([diary]) as audience:  # noqa: PT012
        audience.load()
        raise error
    assert diary.told == ["load", ("end", "aborted")]


def test_only_the_first_end_is_told() -> None:
    diary = Diary()
    with pytest.raises(ValueError), observed([diary]) as audience:  # noqa: PT011, PT012
        audience.end("stopped")
        raise ValueError
    assert diary.told == [("end", "stopped")]
