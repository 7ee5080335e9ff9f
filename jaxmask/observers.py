"""What follows a training from outside: told of its beginning, steps, epochs and end, on the first process alone."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Beginning(NamedTuple):
    """What is known when a training begins, or goes on."""

    parameters: int
    devices: int
    processes: int
    global_batch: int
    steps_per_epoch: int
    train_patches: int
    validation_patches: int
    test_patches: int
    epochs: int
    epochs_done: int
    flags: dict[str, Any]


class Stepped(NamedTuple):
    """One training step whose sums have come back."""

    step: int  # counted from 1 over the whole training
    epoch: int
    loss: float  # mean over the step's pixels
    patches: int  # trained on in this step


class Observer(Protocol):
    """Gets told; must never change or stop the training: its own errors are warned of once."""

    def begin(self, beginning: Beginning) -> None:
        """The first step is about to be taken."""

    def step(self, stepped: Stepped) -> None:
        """A training step has ended."""

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has ended; `line` is its line of history."""

    def end(self, status: str) -> None:
        """The training has ended: "success", "aborted" (by an error) or "stopped" (on request)."""
