"""Edge: MODEL/mlperf.log, the course of a training in MLPerf's format, through MLCommons' package mlperf-logging."""

from __future__ import annotations

import logging
import os
import re
import time
from pathlib import Path
from typing import Any, NoReturn

from mlperf_logging.mllog import constants
from mlperf_logging.mllog.mllog import MLLogger

from jaxmask.mlperf_settings import Submission, submission_settings, task_settings
from jaxmask.observers import Beginning, Passing, Stepped

CALLERS = 2  # frames between mlperf-logging and what is logged, which its lines name
SOURCES = Path(__file__).parents[1]
STATUS = {"success": constants.SUCCESS, "aborted": constants.ABORTED, "stopped": constants.ABORTED}


class MlperfLog:
    """Writes the log, from the first pass on; a run that goes on with another one's training appends to its log.

    The run's time begins before the products are read; reading them is its staging.
    """

    def __init__(self, path: Path, submission: Submission) -> None:
        self._path = path
        self._submission = submission
        self._initialised = self._loaded = self._ready = _milliseconds()
        self._beginning: Beginning | None = None
        self._logger: MLLogger | None = None
        self._handler: logging.Handler | None = None
        self._open_pass: str | None = None  # the key that closes it

    def load(self) -> None:
        """The products are about to be read."""
        self._loaded = _milliseconds()

    def begin(self, beginning: Beginning) -> None:
        """Keep what is settled until a pass begins."""
        self._beginning, self._ready = beginning, _milliseconds()
        self._train_patches = beginning.train_patches
        self._has_test = beginning.test_patches > 0

    def passing(self, passing: Passing) -> None:
        """An epoch is its training; the parts after it are its evaluation, together."""
        if self._logger is None and self._beginning is not None:
            self._open()
            self._write_settings(self._beginning)
        number = {constants.EPOCH_NUM: passing.epoch}
        if passing.part == "train":
            self._start(constants.EPOCH_START, number | ({"first_step": passing.first} if passing.first else {}))
            self._open_pass = constants.EPOCH_STOP
        elif self._open_pass != constants.EVAL_STOP:
            self._close_pass(number)
            self._start(constants.EVAL_START, number)
            self._open_pass = constants.EVAL_STOP

    def step(self, stepped: Stepped) -> None:
        """Steps are no matter of MLPerf's."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Write accuracy, of the test where there is one, and throughput, of training alone."""
        number = {constants.EPOCH_NUM: line["epoch"]}
        evaluated = "test" if self._has_test else "validation"
        scores = line.get(evaluated)
        if scores and scores["accuracy"] is not None:
            counted = {constants.SAMPLES_COUNT: line["epoch"] * self._train_patches, "part": evaluated}
            self._point(constants.EVAL_ACCURACY, scores["accuracy"], number | counted)
        self._close_pass(number)
        self._point("tracked_stats", _stats(line), number)

    def end(self, status: str) -> None:
        """Write the run's end, if it had begun."""
        reason = {"reason": "stopped on request"} if status == "stopped" else {}
        self._end(constants.RUN_STOP, {constants.STATUS: STATUS[status]} | reason)
        self.close()

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._handler is not None:
            self._handler.close()

    def _open(self) -> None:
        self._logger, self._handler = open_logger(self._path, callers=CALLERS)

    def _write_settings(self, beginning: Beginning) -> None:
        began, loaded = self._initialised, self._loaded
        for key, value in submission_settings(self._submission, beginning):
            self._point(key, value, time_ms=began)
        self._point(constants.CACHE_CLEAR, False, {"reason": "the system's caches are left as they are"}, time_ms=began)
        self._start(constants.INIT_START, {}, time_ms=began)
        for key, value in task_settings(beginning):
            self._point(key, value, time_ms=loaded)
        self._end(constants.INIT_STOP, {}, time_ms=loaded)
        going_on = {"epochs_done": beginning.epochs_done, "steps_done": beginning.steps_done}
        self._start(constants.RUN_START, going_on if beginning.steps_done else {}, time_ms=loaded)
        self._start(constants.STAGING_START, {}, time_ms=loaded)
        self._end(constants.STAGING_STOP, {}, time_ms=self._ready)

    def _close_pass(self, metadata: dict[str, Any]) -> None:
        if self._open_pass is not None:
            self._end(self._open_pass, metadata)
        self._open_pass = None

    def _point(self, key: str, value: Any, metadata: dict[str, Any] | None = None, time_ms: int | None = None) -> None:
        if self._logger is not None:
            self._logger.event(key, value, metadata, time_ms=time_ms)

    def _start(self, key: str, metadata: dict[str, Any], time_ms: int | None = None) -> None:
        if self._logger is not None:
            self._logger.start(key, None, metadata, time_ms=time_ms)

    def _end(self, key: str, metadata: dict[str, Any], time_ms: int | None = None) -> None:
        if self._logger is not None:
            self._logger.end(key, None, metadata, time_ms=time_ms)


def open_logger(path: Path, callers: int) -> tuple[MLLogger, logging.Handler]:
    """Return a logger that appends to `path`, and its handler, to be closed; callers: frames from it to what logs."""
    remove_torn_line(path)
    handler = _Lines(path)
    logger = logging.Logger("mlperf")  # known to nobody else, where the package's own one would print
    logger.addHandler(handler)
    return MLLogger(logger, default_stack_offset=callers, root_dir=re.escape(str(SOURCES))), handler


def remove_torn_line(path: Path) -> None:
    """Cut off what follows the last line's end in `path`, if it exists: a killed run or a full disk left it."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


class _Lines(logging.FileHandler):
    """Appends whole lines; what can't be written is an error of the caller's, where logging would print it."""

    def __init__(self, path: Path) -> None:
        super().__init__(os.fspath(path), mode="a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> NoReturn:
        """Raise what `emit` ran into."""
        raise


def _stats(line: dict[str, Any]) -> dict[str, float]:
    scores = {f"{part}_{name}": (line.get(part) or {}).get(name) for part in ("train", "validation", "test")
              for name in ("loss", "accuracy", "f1", "iou")}  # fmt: skip
    stats = {"throughput": line["patches_per_second"], "wait_share": line["wait_share"], **scores}
    return {name: value for name, value in stats.items() if value is not None}


def _milliseconds() -> int:
    return int(time.time() * 1e3)
