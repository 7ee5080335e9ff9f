"""Edge: one pass over a set of batches: steps dispatched ahead of their sums, with clock, bar and a way to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
from tqdm import tqdm

from jaxmask.metrics import ZERO, Sums, add, summarise
from jaxmask.pixels import Patch
from jaxmask.stopping import StoppedOnRequest
from preprocess.errors import UserError

Carry = TypeVar("Carry")


@dataclass(frozen=True)
class Pass:
    """What one pass over `patches` patches gave, and how long it took and waited for its input."""

    sums: Sums
    patches: int
    seconds: float
    waited_seconds: float

    def scores(self) -> dict[str, float | None]:
        """The pass's loss, accuracy and so on, over all its pixels."""
        return summarise(self.sums)


@dataclass(frozen=True)
class Watch:
    """How a pass is followed: what it is called, whether it shows a bar, and whether it is to stop."""

    name: str  # "epoch 3, training"
    patches: int
    global_batch: int
    bar: bool
    stop_wanted: Callable[[], jax.Array]  # a boolean scalar on which all processes agree


def run_pass(
    step: Callable[[Carry, Any], tuple[Carry, Sums]],
    carry: Carry,
    batches: Iterable[Patch],
    place: Callable[[Patch], Any],
    watch: Watch,
) -> tuple[Carry, Pass]:
    """Fold `step` over `batches`, each put on the devices by `place`; return the last carry and the pass.

    What a step gave is fetched while the next one runs, so that the devices never wait for the host.
    Raises UserError naming the step whose loss is not finite, StoppedOnRequest after the same step on every process.
    """
    begun, totals, waiting = time.monotonic(), ZERO, _Waiting(batches)
    pending: tuple[Sums, jax.Array] | None = None
    with tqdm(total=watch.patches, desc=watch.name, unit=" patches", leave=False, disable=not watch.bar or None) as bar:
        for number, batch in enumerate(waiting, start=1):
            carry, sums = step(carry, place(batch))
            stop = watch.stop_wanted()
            if pending is not None:
                totals = _take(totals, pending[0], number - 1, watch, bar)
                if bool(pending[1]):
                    raise StoppedOnRequest
            pending = sums, stop
        if pending is not None:
            totals = _take(totals, pending[0], number, watch, bar)
    return carry, Pass(totals, watch.patches, time.monotonic() - begun, waiting.seconds)


class _Waiting:
    """Batches, and the seconds that went by until each was there."""

    def __init__(self, batches: Iterable[Patch]) -> None:
        self.seconds = 0.0
        self._batches = batches

    def __iter__(self) -> Iterator[Patch]:
        begun = time.monotonic()
        for batch in self._batches:
            self.seconds += time.monotonic() - begun
            yield batch
            begun = time.monotonic()


def _take(totals: Sums, sums: Sums, step: int, watch: Watch, bar: Any) -> Sums:
    """Add the sums of step number `step`, counted from 1."""
    loss = float(sums.loss)
    if not math.isfinite(loss):
        raise UserError(
            f"{watch.name}, step {step}: the loss is {loss}. The epochs before are saved; lower --learning-rate, or "
            "look for impossible values in the shards (python -m preprocess.describe), and start anew by --overwrite"
        )
    before = (step - 1) * watch.global_batch
    bar.set_postfix(loss=f"{loss / max(float(sums.weight), 1.0):.4f}", refresh=False)
    bar.update(min(watch.global_batch, watch.patches - before))
    return add(totals, sums)
