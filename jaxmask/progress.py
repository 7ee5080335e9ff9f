"""Edge: the progress of a training: patches a second, loss, share of waiting, and the time left of the whole of it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from jaxmask.loop import Step
from jaxmask.metrics import summarise
from jaxmask.position import Part, Position, parts_of
from preprocess.progress import progress

# Of a training step's time: forward and backward pass cost three times the forward pass alone.
FORWARD_SHARE = 1 / 3


class Progress:
    """The line on a terminal, a bar a pass, or in a log a line now and then; none unless `visible`."""

    def __init__(self, steps: Mapping[Part, int], epochs: int, *, visible: bool) -> None:
        self._steps = steps
        self._epochs = epochs
        self._visible = visible
        self._seconds_a_step: dict[Part, float] = {}

    @contextmanager
    def following(self, name: str, patches: int, position: Position) -> Iterator[Callable[[Step], None]]:
        """Show the pass that begins, or goes on, at `position`; yield what is to be told of its steps."""
        given = position.passes.get(position.part)
        done = given.patches if given else 0
        with progress(patches, name, "patches", quiet=not self._visible, done=done, passing=True) as advance:
            first: tuple[int, float] | None = None

            def tell(step: Step) -> None:
                nonlocal first
                now = time.monotonic()
                if first is not None:  # not the first step: it may have compiled
                    self._seconds_a_step[position.part] = (now - first[1]) / (step.number - first[0])
                first = first or (step.number, now)
                advance(step.patches, self._words(step, position))

            yield tell

    def _words(self, step: Step, position: Position) -> str:
        loss, so_far = summarise(step.sums)["loss"], step.so_far
        words = [f"{so_far.patches / so_far.seconds:.0f} patches/s"]
        words += [] if loss is None else [f"loss {loss:.4f}"]
        words.append(f"waits {100 * so_far.waited_seconds / so_far.seconds:.0f} %")
        if self._seconds_a_step:
            ahead = self._epochs - position.epochs - 1
            left = seconds_left(self._seconds_a_step, self._steps, position.part, step.number, ahead)
            words.append(f"{datetime.timedelta(seconds=round(left))} left")
        return ", ".join(words)


def seconds_left(
    seconds_a_step: Mapping[Part, float], steps: Mapping[Part, int], part: Part, step: int, epochs: int
) -> float:
    """Return what is left of a training in s: of this epoch after `step` steps of `part`, and of `epochs` more.

    steps: of a whole pass of each part there is; seconds_a_step: of those that have been timed, one at least.
    """
    train = seconds_a_step.get("train") or max(seconds_a_step.values()) / FORWARD_SHARE
    default = {name: train if name == "train" else FORWARD_SHARE * train for name in steps}
    whole = {name: steps[name] * seconds_a_step.get(name, default[name]) for name in parts_of(steps)}
    later = parts_of(steps)[parts_of(steps).index(part) + 1 :]
    this_part = whole[part] * (1 - step / steps[part])
    return this_part + sum(whole[name] for name in later) + epochs * sum(whole.values())
