"""Edge: scenes on their way through the devices: read ahead, put together, predicted, and written behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmask.batches import batches
from jaxmask.predictor import Predictor
from jaxmask.scene_input import SceneInput
from jaxmask.threads import WriteBehind
from preprocess.command import Failure
from preprocess.outcome import Outcome, one_line

WRITES_WAITING = 2  # masks of 30 MB with their scenes of 90 MB

Write = Callable[[SceneInput, np.ndarray], None]  # a scene and its logits (H, W), to files

Writer = WriteBehind[Path, tuple[SceneInput, np.ndarray]]


@dataclass(frozen=True)
class Job:
    """One scene on its way."""

    path: Path
    scene: SceneInput


@dataclass
class Tally:
    """What became of the scenes, and what the devices' thread waited for, in seconds of the clock."""

    failures: list[Failure] = field(default_factory=list)
    pixels: int = 0  # of the scenes that were predicted
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("readers", "devices", "writers"), 0.0))

    def fail(self, path: Path, error: str) -> None:
        """Note why there is no mask of this scene."""
        self.failures.append(Failure(str(path), error))

    @contextmanager
    def waiting_for(self, whom: str) -> Iterator[None]:
        """Count the time until the end of the context."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[whom] += time.perf_counter() - begun


def stream(
    paths: Sequence[Path], outcomes: Iterator[Outcome[Path, SceneInput]], predictor: Predictor, write: Write
) -> Tally:
    """Predict and write what `outcomes` gives, one of each of `paths`; returns what failed, and what was waited for.

    While the devices compute a batch, the next one is read and the last one written. Of memory there are two batches,
    as many scenes as wait for one, and WRITES_WAITING. A scene that can't be read, predicted or written is a failure
    and the rest go on; after a full disk those not yet begun fail unattempted.
    """
    tally = Tally()
    with Writer(lambda load: write(*load), WRITES_WAITING) as writer:
        computing: tuple[list[Job], Any] | None = None
        for batch in batches(_readable(outcomes, tally), lambda job: job.scene.image.shape, predictor.batch):
            begun = batch, _start(predictor, batch, tally)
            if computing is not None:
                _hand_over(*computing, writer, tally)
            computing = begun
            if writer.disk_full is not None:
                break
        if computing is not None:
            _hand_over(*computing, writer, tally)
    for outcome in writer.outcomes:
        if outcome.error is not None:
            tally.fail(outcome.item, outcome.error)
    known = {*(str(outcome.item) for outcome in writer.outcomes), *(failure.item for failure in tally.failures)}
    for path in paths:
        if str(path) not in known:
            tally.fail(path, f"not begun after this: {writer.disk_full}")
    return tally


def _readable(outcomes: Iterator[Outcome[Path, SceneInput]], tally: Tally) -> Iterator[Job]:
    """The scenes that could be read, each product once; the others are failures."""
    done: dict[str, Path] = {}
    while True:
        with tally.waiting_for("readers"):
            outcome = next(outcomes, None)
        if outcome is None:
            return
        if outcome.value is None:
            tally.fail(outcome.item, outcome.error or "unknown")
        elif (name := outcome.value.info.product) in done:
            tally.fail(outcome.item, f"{outcome.item} is the same product as {done[name]}, whose mask is written")
        else:
            done[name] = outcome.item
            yield Job(outcome.item, outcome.value)


def _start(predictor: Predictor, batch: Sequence[Job], tally: Tally) -> Any:
    """Have the devices begin with a batch; None if they can't.

    An incomplete batch is filled up with zeros: each further size would be compiled by itself.
    """
    images = [job.scene.image for job in batch]
    if predictor.batch == 1:
        stacked = images[0][None]
    else:
        stacked = np.zeros((predictor.batch, *images[0].shape), np.float32)
        for place, image in zip(stacked, images, strict=False):
            place[...] = image
    with tally.waiting_for("devices"):
        return _computed(lambda: predictor.start([job.scene for job in batch], stacked), batch, tally)


def _hand_over(batch: Sequence[Job], computing: Any, writer: Writer, tally: Tally) -> None:
    """Wait for a batch's logits, and give each scene's to the writer."""
    if computing is None:
        return
    with tally.waiting_for("devices"):
        logits = _computed(lambda: np.asarray(computing), batch, tally)
    with tally.waiting_for("writers"):
        for job, found in zip(batch, () if logits is None else logits, strict=False):
            rows, columns = job.scene.size
            tally.pixels += rows * columns
            writer.give(job.path, (job.scene, found[:rows, :columns]))


def _computed(compute: Callable[[], Any], batch: Sequence[Job], tally: Tally) -> Any:
    """What it returns; None if it fails, which is then the failure of every scene of the batch."""
    try:
        return compute()
    except (jax.errors.JaxRuntimeError, RuntimeError, ValueError, MemoryError) as error:
        scarce = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
        memory = "; lower --batch-size, or cut scenes by --max-pixels" if scarce else ""
        for job in batch:
            tally.fail(job.path, one_line(error) + memory)
        return None
