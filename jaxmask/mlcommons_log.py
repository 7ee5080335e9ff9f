"""Edge: the log in MLPerf's format of a run of MLCommons' CloudMask benchmark: its own keys, in its own order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlperf_logging.mllog import constants
from mlperf_logging.mllog.mllog import MLLogger

from jaxmask.machine import Machine
from jaxmask.mlperf_log import open_logger
from jaxmask.mlperf_settings import BENCHMARK, Submission

CALLERS = 2  # frames between mlperf-logging and what is logged


class BenchmarkLog:
    """What the run says, to a file, or to nobody: of several processes the first one writes."""

    def __init__(self, logger: MLLogger | None) -> None:
        self._logger = logger

    def begin(self, submission: Submission, machine: Machine, hosts: int, began_ms: int) -> None:
        """Say whose run it is and on what, which is known only after the devices were found."""
        settings = {
            "submission_benchmark": BENCHMARK,
            "submission_org": submission.organisation,
            "submission_division": submission.division,
            "submission_platform": submission.platform or f"{machine.devices} x {machine.kind}",
        }
        facts = {
            "number_of_ranks": machine.devices,
            "number_of_nodes": hosts,
            "accelerators_per_node": machine.gpus // hosts,
        }
        for key, value in settings.items():
            self._event(key, value, time_ms=began_ms)
        if self._logger is not None:
            self._logger.start(constants.INIT_START, None, time_ms=began_ms)
        for key, count in facts.items():
            self._event(key, count, time_ms=began_ms)
        if self._logger is not None:
            self._logger.end(constants.INIT_STOP, None, time_ms=began_ms)
            self._logger.start(constants.RUN_START, None, time_ms=began_ms)

    def span(self, name: str, began_ms: int, ended_ms: int) -> None:
        """Write the two lines of a part of the run, "Training" or "Inference", by the keys that the benchmark uses."""
        self._event(constants.EVAL_START, f"Start: {name}", time_ms=began_ms)
        self._event(constants.EVAL_STOP, f"Stop: {name}", time_ms=ended_ms)

    def end(self, result: dict[str, Any]) -> None:
        """Write the run's result and its success."""
        self._event("result", result)
        if self._logger is not None:
            told = "CloudMask benchmark run finished"
            self._logger.end(constants.RUN_STOP, told, {constants.STATUS: constants.SUCCESS})
        self._event("submission_status", constants.SUCCESS)

    def abort(self, code: int) -> None:
        """Say that the run ended early, with the exit `code`; running it again appends to the log."""
        if self._logger is not None:
            self._logger.end(constants.RUN_STOP, None, {constants.STATUS: constants.ABORTED, "exit_code": code})

    def _event(self, key: str, value: Any, time_ms: int | None = None) -> None:
        if self._logger is not None:
            self._logger.event(key, value, time_ms=time_ms)


@contextmanager
def benchmark_log(path: Path | None) -> Iterator[BenchmarkLog]:
    """Append to `path`, made with its folder if need be; None: to nobody."""
    if path is None:
        yield BenchmarkLog(None)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    logger, handler = open_logger(path, callers=CALLERS)
    try:
        yield BenchmarkLog(logger)
    finally:
        handler.close()
