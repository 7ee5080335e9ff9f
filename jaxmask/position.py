"""Where a training is: epoch, part, step, and what the epoch's passes have given so far, as a checkpoint keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from jaxmask.metrics import ZERO, Sums, summarise
from jaxmask.patience import NEW, Patience

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")  # in the order in which an epoch goes through them


@dataclass(frozen=True)
class Pass:
    """What a part of an epoch has given so far, over all the runs that took part in it.

    sums: in Python numbers; patches: real ones, not padding; waited_seconds: of `seconds`, until the input was there.
    """

    sums: Sums = ZERO
    patches: int = 0
    seconds: float = 0.0
    waited_seconds: float = 0.0

    def scores(self) -> dict[str, float | None]:
        """The pass's loss, accuracy and so on, over all its pixels."""
        return summarise(self.sums)


@dataclass(frozen=True)
class Position:
    """`epochs` are finished; of the next one, `step` steps of `part`, and all parts before it.

    passes: what those parts, and the steps of `part`, have given.
    """

    epochs: int = 0
    part: Part = "train"
    step: int = 0
    passes: Mapping[Part, Pass] = field(default_factory=dict)
    patience: Patience = NEW

    @property
    def is_between_epochs(self) -> bool:
        """Whether no step has been taken since the last epoch ended."""
        return self.part == "train" and self.step == 0


def went_on(position: Position, step: int, given: Pass, steps: Mapping[Part, int]) -> Position:
    """Return the position when `step` steps of its part are taken, which have `given` this.

    steps: those of a whole pass of each part there is. After a part's last step comes the next part's beginning; where
    there is none, the epoch is over (`is_epoch_over`) and `after_epoch` follows.
    """
    passes = {**position.passes, position.part: given}
    if step < steps[position.part]:
        return replace(position, step=step, passes=passes)
    following = [part for part in parts_of(steps) if PARTS.index(part) > PARTS.index(position.part)]
    if following:
        return replace(position, part=following[0], step=0, passes=passes)
    return replace(position, step=step, passes=passes)


def is_epoch_over(position: Position, steps: Mapping[Part, int]) -> bool:
    """Whether all steps of all parts have been taken."""
    return position.step == steps[position.part]


def after_epoch(position: Position, validation_loss: float | None) -> Position:
    """Return the position between that epoch and the next one."""
    return Position(epochs=position.epochs + 1, patience=position.patience.after(validation_loss))


def parts_of(steps: Mapping[Part, int]) -> tuple[Part, ...]:
    """The parts there are, in their order."""
    return tuple(part for part in PARTS if part in steps)


def number_of(position: Position, steps: Mapping[Part, int]) -> int:
    """Return the steps taken of all parts, since the training began: it grows with every step of any part.

    Checkpoints are numbered so. (Those of versions without validation counted training's alone, which is fewer.)
    """
    before = sum(steps[part] for part in parts_of(steps)[: parts_of(steps).index(position.part)])
    return position.epochs * sum(steps.values()) + before + position.step


def train_steps(position: Position, steps: Mapping[Part, int]) -> int:
    """Return the steps of training alone that are taken at `position`."""
    under_way = position.step if position.part == "train" else steps["train"]
    return position.epochs * steps["train"] + under_way


def to_json(position: Position) -> dict[str, Any]:
    """Return the position as a JSON object; floats come back to the last bit (they are written by `repr`)."""
    return {
        "epoch": position.epochs,
        "part": position.part,
        "step": position.step,
        "passes": {part: _pass_to_json(given) for part, given in position.passes.items()},
        "lowest_validation_loss": position.patience.lowest,
        "epochs_since_lowest": position.patience.epochs_since,
    }


def from_json(saved: Mapping[str, Any]) -> Position:
    """Return the position of `to_json`, or of the first versions, {"epoch": finished, "batch": 0}.

    Raises KeyError, TypeError or ValueError for anything else.
    """
    if saved.keys() == {"epoch", "batch"}:
        return Position(epochs=int(saved["epoch"]))
    if saved["part"] not in PARTS or not saved["passes"].keys() <= set(PARTS):
        raise ValueError(f"no part of an epoch: {saved['part']}, {list(saved['passes'])}")
    return Position(
        epochs=int(saved["epoch"]),
        part=saved["part"],
        step=int(saved["step"]),
        passes={part: _pass_from_json(given) for part, given in saved["passes"].items()},
        patience=Patience(saved["lowest_validation_loss"], int(saved["epochs_since_lowest"])),
    )


def _pass_to_json(given: Pass) -> dict[str, Any]:
    return {
        "sums": given.sums._asdict(),
        "patches": given.patches,
        "seconds": given.seconds,
        "waited_seconds": given.waited_seconds,
    }


def _pass_from_json(saved: Mapping[str, Any]) -> Pass:
    return Pass(Sums(**saved["sums"]), saved["patches"], saved["seconds"], saved["waited_seconds"])
