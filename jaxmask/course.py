"""Edge: the course of a training: its epochs, each written into the history and saved, and the saves between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jaxmask.audience import Audience
from jaxmask.checkpoint import Checkpoints
from jaxmask.epochs import Company, Halt, Plan, run_epochs
from jaxmask.history import Epoch, epoch_message, write_history
from jaxmask.position import Position, number_of, to_json
from jaxmask.processes import is_first
from jaxmask.programs import Programs
from jaxmask.progress import Progress
from jaxmask.resume import Start
from jaxmask.stopping import SaveClock, StopRequest, wish
from preprocess.command import log


@dataclass(frozen=True)
class End:
    """Where a training has ended, or was asked to stop."""

    position: Position
    history: tuple[Epoch, ...]
    stopped: bool  # on request, with something left to train


def train_and_save(
    plan: Plan,
    programs: Programs,
    checkpoints: Checkpoints,
    start: Start,
    request: StopRequest,
    audience: Audience,
    *,
    save_every_minutes: float,
    bars: bool,
) -> End:
    """Train from `start` until nothing is left or `request` asks to stop; all that is said in the end is saved then.

    Saves at the end of each epoch, and within one when `save_every_minutes` have passed on the first process.
    Raises UserError where run_epochs and Checkpoints.save do.
    """
    clock = SaveClock(save_every_minutes)
    wished = partial(wish, request, clock if is_first() else None)
    company = Company(wished, audience, Progress(plan.steps, plan.epochs, visible=bars))
    position, history = start.position, start.history
    request.training = True
    for state, halt in run_epochs(plan, programs, company, start.state, position):
        position = halt.position
        if halt.line is not None:
            history = (*history, halt.line)
            _write(checkpoints.folder.parent, history)
        number = number_of(position, plan.steps)
        checkpoints.save(number, state, to_json(position), _deciding_scores(halt))
        clock.restart()
        if halt.line is not None:
            audience.epoch(halt.line)
            log.info("%s", epoch_message(halt.line, plan.epochs))
        if halt.stop and not plan.is_over(position):
            checkpoints.wait()
            return End(position, history, stopped=True)
    checkpoints.wait()
    return End(position, history, stopped=False)


def _write(folder: Path, history: tuple[Epoch, ...]) -> None:
    """Write the history before the checkpoint: what a killed run has too much of it is cut off by the next one."""
    if is_first():
        write_history(folder, history)


def _deciding_scores(halt: Halt) -> dict[str, Any] | None:
    """The scores by which the best checkpoint is chosen: those of validation where there is one, else of the test."""
    return None if halt.line is None else halt.line["validation"] or halt.line["test"]
