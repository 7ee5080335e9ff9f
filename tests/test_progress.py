"""The progress line: the time left by hand-computed steps, and words that a terminal shows."""

from __future__ import annotations

import io
import itertools
import sys
from functools import partial

import pytest
from tqdm import tqdm

from jaxmask import progress
from jaxmask.loop import Step
from jaxmask.metrics import Sums
from jaxmask.position import Part, Pass, Position
from jaxmask.progress import Progress, seconds_left

STEPS: dict[Part, int] = {"train": 10, "validation": 4, "test": 2}


@pytest.mark.quick
def test_time_left_by_hand() -> None:
    timed: dict[Part, float] = {"train": 3.0, "validation": 2.0, "test": 5.0}
    assert seconds_left(timed, STEPS, "train", 4, 0) == pytest.approx(6 * 3 + 4 * 2 + 2 * 5)
    assert seconds_left(timed, STEPS, "validation", 1, 2) == pytest.approx(3 * 2 + 2 * 5 + 2 * (30 + 8 + 10))
    assert seconds_left(timed, STEPS, "test", 2, 0) == 0
    # A part that hasn't been timed yet costs a third of a training step, as it goes forward alone.
    assert seconds_left({"train": 3.0}, STEPS, "train", 10, 1) == pytest.approx(4 + 2 + (30 + 4 + 2))
    assert seconds_left({"test": 1.0}, STEPS, "test", 1, 1) == pytest.approx(1 + 10 * 3 + 4 + 2)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "visible"), [(Terminal(), True), (Terminal(), False), (io.StringIO(), True)])
def test_a_terminal_is_shown_rate_loss_waiting_and_time_left(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, visible: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    clock = itertools.count(0, 60)  # a minute a step
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr("preprocess.progress.tqdm", partial(tqdm, mininterval=0))
    line = Progress(STEPS, epochs=2, visible=visible)
    with line.following("training 1/2", 80, Position()) as tell:
        for number in (1, 2, 3):
            so_far = Pass(patches=8 * number, seconds=10.0, waited_seconds=1.0)
            tell(Step(number, Sums(2.0, 16.0, 0, 0, 0, 16), 8, so_far))
    shown = stream.getvalue()
    if not (visible and stream.isatty()):
        assert shown == ""
        return
    assert "training 1/2:  30%" in shown
    # Left after the third step: 7 of 10 at 60 s, 6 of evaluation at 20 s, and a whole epoch of 10 and 6 more.
    assert "2 patches/s, loss 0.1250, waits 10 %, 0:21:00 left" in shown
