"""What follows a training from outside: told of its beginning, steps, epochs and end, on the first process alone."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from jaxmask.position import Part

# What observers write into the model folder; it goes when a training starts anew there.
MLPERF_NAME = "mlperf.log"
TENSORBOARD_NAME = "tensorboard"
PROFILE_NAME = "profile"
OBSERVED_NAMES = (MLPERF_NAME, TENSORBOARD_NAME, PROFILE_NAME)


class Beginning(NamedTuple):
    """What is known when a training begins, or goes on."""

    parameters: int
    devices: int
    processes: int
    hosts: int
    gpus: int
    device_kind: str
    global_batch: int
    steps_per_epoch: int
    train_patches: int
    validation_patches: int
    test_patches: int
    epochs: int
    epochs_done: int
    steps_done: int  # of training, those of the epoch under way too
    flags: dict[str, Any]


class Passing(NamedTuple):
    """A pass over a part of the products begins, or goes on."""

    epoch: int  # from 1
    part: Part
    first: int  # its step that comes next, counted from 0


class Stepped(NamedTuple):
    """One training step whose sums have come back."""

    step: int  # counted from 1 over the whole training
    epoch: int
    loss: float  # mean over the step's pixels
    patches: int  # trained on in this step


class Observer(Protocol):
    """Gets told; must never change or stop the training: its own errors are warned of once."""

    def load(self) -> None:
        """The products are about to be read; nothing has been trained."""

    def begin(self, beginning: Beginning) -> None:
        """The first step is about to be taken."""

    def passing(self, passing: Passing) -> None:
        """A part of an epoch begins, or goes on."""

    def step(self, stepped: Stepped) -> None:
        """A training step has ended."""

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has ended; `line` is its line of history."""

    def end(self, status: str) -> None:
        """The training has ended: "success", "aborted" (by an error) or "stopped" (on request).

        It comes last, and also where `load` or `begin` never came.
        """
