"""Edge: --profile: a trace of some training steps, as jax's profiler takes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from jaxmask.metrics import Sums
from jaxmask.processes import is_first
from jaxmask.programs import Programs
from jaxmask.step import TrainState
from preprocess.command import log

FIRST = 3  # steps before it compile, and fill what works ahead
STEP_NAME = "train"  # as the profile's step viewer has it


@contextmanager
def traced(programs: Programs, folder: Path, steps: int) -> Iterator[Programs]:
    """Yield `programs` that trace `steps` training steps, from this run's third on, into `folder`; 0 traces none.

    The trace is of the first process and its devices; it ends before anything but training is computed. What goes wrong
    with it is warned of, and training goes on.
    """
    if steps == 0 or not is_first():
        yield programs
        return
    trace = _Trace(programs, folder, steps)
    try:
        yield replace(programs, train=trace.train, test=trace.test)
    except BaseException:
        trace.finish(wait=False)  # what a lost process owes never comes
        raise
    trace.finish()
    if not trace.over:
        log.warning("--profile: this run had %d training steps, so nothing is traced", trace.taken)


class _Trace:
    def __init__(self, programs: Programs, folder: Path, steps: int) -> None:
        self._programs = programs
        self._folder = folder
        self._last = FIRST + steps - 1
        self._running = False
        self._sums: Sums | None = None
        self.over = False
        self.taken = 0

    def train(self, state: TrainState, batch: Any) -> tuple[TrainState, Sums]:
        """Take a step, traced if it is one of those."""
        self.taken += 1
        if self.taken >= FIRST and not self._running and not self.over:
            self._start(state)
        if not self._running:
            return self._programs.train(state, batch)
        with jax.profiler.StepTraceAnnotation(STEP_NAME, step_num=self.taken):
            state, self._sums = self._programs.train(state, batch)
        if self.taken >= self._last:
            self.finish()
        return state, self._sums

    def test(self, state: TrainState, batch: Any) -> tuple[TrainState, Sums]:
        """End the trace, if it is still going on, before something is tested."""
        self.finish()
        return self._programs.test(state, batch)

    def finish(self, *, wait: bool = True) -> None:
        """Write the trace, if one is going on; `wait`: for the steps under way."""
        if not self._running:
            return
        self._running, self.over = False, True
        try:
            if wait:
                jax.block_until_ready(self._sums)
            jax.profiler.stop_trace()
        except Exception as error:
            _warn("written", error)
            return
        log.info(
            "steps %d to %d of this run are traced in %s: drag its newest *.trace.json.gz into ui.perfetto.dev, or "
            "pip install xprof and run xprof --logdir %s",
            FIRST, self.taken, self._folder, self._folder,
        )  # fmt: skip

    def _start(self, state: TrainState) -> None:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # every call of a function would be traced: more than viewers take, and slow
        try:
            jax.block_until_ready(state)  # what came before is not to be seen
            jax.profiler.start_trace(self._folder, profiler_options=options)
            self._running = True
        except Exception as error:
            self.over = True
            _warn("begun", error)


def _warn(what: str, error: Exception) -> None:
    log.warning("--profile: the trace can't be %s (%s: %s); training goes on", what, type(error).__name__, error)
