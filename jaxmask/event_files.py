"""Edge: MODEL/tensorboard, the scores of a training as event files for TensorBoard, through tensorboardX."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from jaxmask.observers import Beginning, Passing, Stepped
from jaxmask.position import PARTS

SCORES = ("loss", "accuracy", "precision", "recall", "f1", "iou")
SPEEDS = ("patches_per_second", "wait_share")  # of training
STEPS_NAME = "steps"
POINTS_AN_EPOCH = 100  # of the loss of single steps, at most
FLUSH_SECONDS = 30.0  # a flush waits for the disk
VERSION = "brain.Event:2"  # of TensorBoard's event files


class EventFiles:
    """Writes a folder for each part, whose points are epochs, and one of single steps: TensorBoard calls them runs.

    A training that goes on writes new files, which tell TensorBoard to forget the points that it repeats.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, _Writer] = {}
        self._beginning: Beginning | None = None
        self._every = 1

    def load(self) -> None:
        """Nothing is known yet."""

    def begin(self, beginning: Beginning) -> None:
        """Keep what is known until a pass begins: a training that is over leaves no files."""
        self._beginning = beginning

    def passing(self, passing: Passing) -> None:
        """At the first pass, open the files."""
        if not self._writers and self._beginning is not None:
            self._open(self._beginning)

    def step(self, stepped: Stepped) -> None:
        """Write the loss of some steps."""
        if stepped.step % self._every == 0 and math.isfinite(stepped.loss):
            self._writers[STEPS_NAME].write(summary.scalar("step_loss", stepped.loss), stepped.step)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self._flush()

    def epoch(self, line: dict[str, Any]) -> None:
        """Write the scores of each part, and the speed of training."""
        for part in PARTS:
            values = epoch_values(line, part)
            for name, value in values.items():
                self._writers[part].write(summary.scalar(name, value), line["epoch"])
        self._flush()

    def end(self, status: str) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _open(self, beginning: Beginning) -> None:
        """Open the files, and write the flags as a text."""
        self._every = max(1, beginning.steps_per_epoch // POINTS_AN_EPOCH)
        sizes = beginning.train_patches, beginning.validation_patches, beginning.test_patches
        for part, patches in zip(PARTS, sizes, strict=True):
            if patches:
                self._writers[part] = _Writer(self._folder / part, beginning.epochs_done + 1)
        self._writers[STEPS_NAME] = _Writer(self._folder / STEPS_NAME, beginning.steps_done + 1)
        text = summary.text("flags", flags_table(beginning))
        self._writers["train"].write(text, beginning.epochs_done + 1)
        self._flush()

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()
        self._flushed = time.monotonic()


class _Writer:
    """A new event file in a folder: of what is there already, points from number `first` on are to be forgotten."""

    def __init__(self, folder: Path, first: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files in the order of their names, which have seconds: a later one of the same must follow.
        self._writer = EventsWriter(str(folder / "events"), f".{time.time_ns():020d}")
        self._write(Event(step=first, file_version=VERSION))
        self._write(Event(step=first, session_log=SessionLog(status=SessionLog.START)))

    def write(self, content: Any, number: int) -> None:
        """Write a summary as the point of that number."""
        self._write(Event(step=number, summary=content))

    def flush(self) -> None:
        """Have all that was written on disk."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, and be done."""
        self._writer.close()

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._writer.write_event(event)


def epoch_values(line: Mapping[str, Any], part: str) -> dict[str, float]:
    """Return what the line of an epoch says of a part, by the names that TensorBoard shows; nothing without it."""
    scores = line.get(part) or {}
    values = {name: scores.get(name) for name in SCORES} if scores else {}
    values |= {name: line[name] for name in SPEEDS} if part == "train" else {}
    return {name: value for name, value in values.items() if value is not None}


def flags_table(beginning: Beginning) -> str:
    """Return what a training was told, and on what it runs, as a table in Markdown."""
    facts = beginning._asdict()
    flags = facts.pop("flags")
    rows = [f"| {name} | {value} |" for name, value in {**flags, **facts}.items()]
    return "\n".join(["| name | value |", "|---|---|", *rows])
