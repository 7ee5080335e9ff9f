"""Edge: the epochs of a training: passes over its parts, a line of history, and where to save."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jaxmask.audience import Audience
from jaxmask.data import Feed
from jaxmask.history import Epoch, epoch_line
from jaxmask.loop import Step, Way, run_pass
from jaxmask.metrics import summarise
from jaxmask.observers import Passing, Stepped
from jaxmask.position import Part, Position, after_epoch, is_epoch_over, parts_of, went_on
from jaxmask.programs import Programs
from jaxmask.progress import Progress
from jaxmask.step import TrainState
from jaxmask.stopping import GO_ON, SAVE_AND_STOP
from preprocess.errors import UserError

WORDS: dict[Part, str] = {"train": "training", "validation": "validating", "test": "testing"}


@dataclass(frozen=True)
class Plan:
    """What every epoch of a training does: `feeds` of the parts there are, of which "train" always is one."""

    epochs: int
    global_batch: int
    feeds: Mapping[Part, Feed]
    early_stopping: int | None = None

    @property
    def steps(self) -> dict[Part, int]:
        """The steps of a whole pass of each part."""
        return {part: feed.steps for part, feed in self.feeds.items()}

    def is_over(self, position: Position) -> bool:
        """Whether nothing is left to train at `position`."""
        over = position.epochs >= self.epochs or position.patience.is_over(self.early_stopping)
        return position.is_between_epochs and over


@dataclass(frozen=True)
class Company:
    """Who is asked and told while training goes on."""

    wish: Callable[[], int]  # this process's: GO_ON, SAVE or SAVE_AND_STOP
    audience: Audience
    progress: Progress


class Halt(NamedTuple):
    """A moment to save at: the same on all processes."""

    position: Position
    line: Epoch | None  # of the epoch that has just ended
    stop: bool  # whether a process was asked to stop


def run_epochs(
    plan: Plan, programs: Programs, company: Company, state: TrainState, position: Position
) -> Iterator[tuple[TrainState, Halt]]:
    """Go on from `position`; yield the state at the end of each epoch, and where the processes agreed to save.

    The yielded state is finite, and belongs to the next step once that is asked for: copy or save it before.
    Raises UserError where a loss or a parameter is not finite, or where no pixel can be learnt from.
    """
    while not plan.is_over(position):
        for now, reached, vote in _run_epoch(plan, programs, company, state, position):
            state, position = now, reached
            over = is_epoch_over(position, plan.steps)
            if not over and vote == GO_ON:
                continue
            _check_finite(programs, state, position)
            line = epoch_line(position.epochs + 1, position.passes) if over else None
            if line is not None:
                position = after_epoch(position, _validation_loss(plan, line))
            yield state, Halt(position, line, vote == SAVE_AND_STOP)


def _run_epoch(
    plan: Plan, programs: Programs, company: Company, state: TrainState, position: Position
) -> Iterator[tuple[TrainState, Position, int]]:
    """Go through what is left of the epoch at `position`; yield at each halt and at the end of each part."""
    for part in parts_of(plan.steps)[parts_of(plan.steps).index(position.part) :]:
        step = programs.train if part == "train" else programs.test
        feed, epoch = plan.feeds[part], f"{position.epochs + 1}/{plan.epochs}"
        company.audience.passing(Passing(position.epochs + 1, part, position.step))
        with company.progress.following(f"{WORDS[part]} {epoch}", feed.patches, position) as show:
            way = Way(
                name=f"epoch {epoch}, {WORDS[part]}",
                feed=feed,
                order=position.epochs + 1 if part == "train" else 0,
                global_batch=plan.global_batch,
                vote=lambda: programs.vote(company.wish()),
                tell=_teller(plan, company, position, show),
            )
            for now, reached in run_pass(step, state, way, position.step, position.passes.get(part)):
                state, position = now, went_on(position, reached.steps, reached.given, plan.steps)
                if reached.steps == feed.steps:
                    _check_counted(part, plan, reached.given.sums.weight)
                yield state, position, reached.vote


def _teller(plan: Plan, company: Company, position: Position, show: Callable[[Step], None]) -> Callable[[Step], None]:
    def tell(step: Step) -> None:
        show(step)
        if position.part == "train":
            loss = summarise(step.sums)["loss"]
            taken = position.epochs * plan.steps["train"] + step.number
            company.audience.step(Stepped(taken, position.epochs + 1, math.nan if loss is None else loss, step.patches))

    return tell


def _validation_loss(plan: Plan, line: Epoch) -> float | None:
    return line["validation"]["loss"] if "validation" in plan.feeds else None


def _check_counted(part: Part, plan: Plan, weight: float) -> None:
    needed = part == "train" or (part == "validation" and plan.early_stopping is not None)
    if needed and weight == 0:
        raise UserError(
            f"no pixel of the {WORDS[part]} patches is valid, labelled and further than --clip-offset from its patch's "
            "edge: check the shards, or choose a smaller --clip-offset"
        )


def _check_finite(programs: Programs, state: TrainState, position: Position) -> None:
    if not bool(programs.finite(state)):
        raise UserError(
            f"epoch {position.epochs + 1}: a parameter, or a moment of the optimiser, is not finite. What was saved "
            "before is whole; lower --learning-rate and start anew by --overwrite"
        )
