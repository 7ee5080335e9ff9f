"""Edge: the model folder before training: begun anew, or found as an earlier run left it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from jaxmask.checkpoint import Checkpoints
from jaxmask.config import TrainConfig
from jaxmask.epochs import Plan
from jaxmask.history import HISTORY_NAME, Epoch, read_history, write_history
from jaxmask.model import CHECKPOINTS_NAME
from jaxmask.observers import OBSERVED_NAMES
from jaxmask.position import Position, from_json
from jaxmask.processes import is_first, meet
from jaxmask.record import RECORD_NAME, check_same_task, read_record, write_record
from jaxmask.results_row import PARAMETERS_NAME, RESULTS_NAME
from jaxmask.shared_folder import check_shared
from jaxmask.step import TrainState
from jaxmask.task import Task
from preprocess.errors import UserError
from preprocess.files import writable_folder


class Start(NamedTuple):
    """Where a training begins or goes on."""

    state: TrainState
    position: Position
    history: tuple[Epoch, ...]


def prepare_folder(folder: Path, config: TrainConfig, task: Task) -> list[Epoch]:
    """Write the record into the model `folder`, or clear that folder first; return the history to go on with.

    Raises UserError if the folder can't be written, is not one for all hosts, or holds another training and --overwrite
    isn't given.
    """
    checkpoints = folder / CHECKPOINTS_NAME
    begun = checkpoints.exists() and any(checkpoints.iterdir()) and not config.overwrite
    history: list[Epoch] = []
    if begun:
        recorded = read_record(folder)
        if recorded is None:
            raise UserError(f"{checkpoints} has no {RECORD_NAME} beside it: put it back, or start anew by --overwrite")
        check_same_task(folder, recorded, config, task.record)
        history = read_history(folder)
    elif (folder / RESULTS_NAME).exists() and not config.overwrite:
        raise UserError(
            f"{folder} holds the results of a training, but no checkpoint: put {CHECKPOINTS_NAME} back, choose another "
            "folder, or start anew by --overwrite"
        )
    meet("the model folder has been read")
    if is_first():
        writable_folder(folder)
    check_shared(folder)  # before anything is cleared
    if is_first():
        if not begun:
            _clear(folder)
        write_record(folder, task.record)
    meet("the model folder is ready")
    return history


def go_on(checkpoints: Checkpoints, like: TrainState, plan: Plan, history: list[Epoch]) -> Start:
    """Return what the latest checkpoint holds; `like` and the beginning if there is none.

    What the history has beyond the checkpoint, of a run that was killed between writing the two, is cut off.
    Raises UserError where checkpoint, history and products don't go together.
    """
    state, position, folder = like, Position(), checkpoints.folder.parent
    if checkpoints.latest_step() is not None:
        state, saved = checkpoints.restore(like)
        position = _position(checkpoints, saved, plan)
    if len(history) < position.epochs:
        raise UserError(
            f"{folder / HISTORY_NAME} has {len(history)} epochs, the checkpoint {position.epochs}: put the history "
            "back, or start anew by --overwrite"
        )
    if len(history) > position.epochs and is_first():
        write_history(folder, history[: position.epochs])
    return Start(state, position, tuple(history[: position.epochs]))


def going_on_message(position: Position) -> str:
    """Return what the first line adds where an earlier run is gone on with; "" where none is."""
    if position == Position():
        return ""
    within = "" if position.is_between_epochs else f", and {position.step} steps of the next one's {position.part} part"
    return f"; going on after epoch {position.epochs}{within}"


def _clear(folder: Path) -> None:
    """Remove what an earlier training has left, but nothing of the user's."""
    for name in (CHECKPOINTS_NAME, HISTORY_NAME, RESULTS_NAME, PARAMETERS_NAME, *OBSERVED_NAMES):
        path = folder / name
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"{path}: what an earlier training left can't be removed ({error.strerror}): remove it by hand, or "
                "choose another folder"
            ) from error


def _position(checkpoints: Checkpoints, saved: dict[str, Any], plan: Plan) -> Position:
    checkpoint = checkpoints.folder / str(checkpoints.latest_step())
    try:
        position = from_json(saved)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{checkpoint}: expected the position of a training, found otherwise ({error}): the checkpoint is damaged, "
            "or of another version of jaxmask; remove it to use the one before it"
        ) from error
    steps = plan.steps.get(position.part, 0)
    if not 0 <= position.step < steps:
        raise UserError(
            f"{checkpoint} was saved at step {position.step} of its {position.part} part, which now has "
            f"{steps}: the shards have changed; put them back, or start anew by --overwrite"
        )
    return position
