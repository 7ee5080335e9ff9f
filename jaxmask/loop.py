"""Edge: one pass over a part of the products: steps dispatched ahead of their sums, with clock, progress and votes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import jax

from jaxmask.data import Feed
from jaxmask.metrics import Sums, add
from jaxmask.position import Pass
from jaxmask.stopping import GO_ON
from preprocess.errors import UserError

Carry = TypeVar("Carry")
Item = TypeVar("Item")


class Step(NamedTuple):
    """One step whose sums have come back."""

    number: int  # from 1, of its part
    sums: Sums  # in Python numbers, of this step alone
    patches: int
    so_far: Pass


class Reached(NamedTuple):
    """Where a pass is when it halts for a save, or at its end: nothing is under way on the devices."""

    steps: int  # taken of this part, those of earlier runs too
    given: Pass
    vote: int


@dataclass(frozen=True)
class Way:
    """What a pass goes through, and who is asked and told on the way."""

    name: str  # "epoch 3, training"
    feed: Feed
    order: int  # the epoch whose order the batches come in; 0: unshuffled
    global_batch: int
    vote: Callable[[], jax.Array]  # cast once a step: int32 scalar, the greatest of all processes' wishes
    tell: Callable[[Step], None]


def run_pass(
    step: Callable[[Carry, Any], tuple[Carry, Sums]], carry: Carry, way: Way, first: int = 0, given: Pass | None = None
) -> Iterator[tuple[Carry, Reached]]:
    """Fold `step` over the batches of `way` from step `first` on, counted from 0; `given` is what those before gave.

    Yields where all processes agreed to save, and at the end; what is yielded belongs to the next step once that is
    asked for. What a step gave is fetched while the next one runs, so that the devices never wait for the host; so a
    vote is heard one step after it was cast.
    Raises UserError naming step and products if a step's loss, or a parameter it made, is not finite.
    """
    tally = _Tally(way, given or Pass())
    pending: tuple[int, Sums, jax.Array] | None = None
    number, heard = first, GO_ON
    for number, batch in enumerate(tally.waiting(way.feed.batches(way.order, first)), start=first + 1):
        carry, sums = step(carry, way.feed.place(batch))
        vote = way.vote()
        if pending is not None:
            heard = tally.take(*pending)
        pending = number, sums, vote
        if heard != GO_ON and number < way.feed.steps:
            heard = max(heard, tally.take(*pending))
            yield carry, Reached(number, tally.given(), heard)
            pending, heard = None, GO_ON
    if pending is not None:
        heard = max(heard, tally.take(*pending))
    yield carry, Reached(number, tally.given(), heard)


class _Tally:
    """The sums, patches and seconds of a pass under way."""

    def __init__(self, way: Way, given: Pass) -> None:
        self._way = way
        self._given = given
        self._begun = time.monotonic() - given.seconds

    def given(self) -> Pass:
        """What the pass has given until now."""
        self._given = replace(self._given, seconds=time.monotonic() - self._begun)
        return self._given

    def take(self, number: int, sums: Sums, vote: jax.Array) -> int:
        """Add what step `number` gave, when it has come; return what was voted for at that step."""
        fetched, heard = jax.device_get((sums, vote))
        step = Sums(*(leaf.item() for leaf in fetched))
        if not math.isfinite(step.loss):
            raise _not_finite(self._way, number)
        before = (number - 1) * self._way.global_batch
        patches = min(self._way.global_batch, self._way.feed.patches - before)
        self._given = replace(self._given, sums=add(self._given.sums, step), patches=before + patches)
        self._way.tell(Step(number, step, patches, self.given()))
        return int(heard)

    def waiting(self, batches: Iterator[Item]) -> Iterator[Item]:
        """Yield `batches`, and count the seconds that go by until each is there."""
        while True:
            begun = time.monotonic()
            try:
                batch = next(batches)
            except StopIteration:
                return
            waited = self._given.waited_seconds + time.monotonic() - begun
            self._given = replace(self._given, waited_seconds=waited)
            yield batch


def _not_finite(way: Way, step: int) -> UserError:
    products = ", ".join(way.feed.products(way.order, step - 1))
    return UserError(
        f"{way.name}, step {step}: the loss, or a parameter after that step, is not finite; its batch is of "
        f"{products}. What was saved before is whole; lower --learning-rate, or look for impossible values in these "
        "products (python -m preprocess.describe), and start anew by --overwrite"
    )
