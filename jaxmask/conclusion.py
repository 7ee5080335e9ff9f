"""Edge: what is left to write and to say when a training has ended."""

from __future__ import annotations

from pathlib import Path

from jaxmask.config import TrainConfig
from jaxmask.course import End
from jaxmask.epochs import Plan
from jaxmask.history import epoch_message, epoch_seconds
from jaxmask.machine import this_machine
from jaxmask.position import Position
from jaxmask.processes import is_first
from jaxmask.results_row import results_row, write_parameters, write_results
from jaxmask.task import Task
from preprocess.command import finish
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED


def conclude(folder: Path, config: TrainConfig, task: Task, plan: Plan, end: End, resumed: int) -> int:
    """Write results and parameters into the model `folder`, and print the summary, once for all processes.

    resumed: the epochs that were there before this run. Returns the exit code.
    """
    epochs = end.history
    if not is_first():
        return EXIT_SOME_FAILED if task.data.failures else EXIT_DONE
    machine = this_machine()
    write_results(folder, results_row(config, task.global_batch, machine, epochs))
    write_parameters(folder, config, task.global_batch, machine)
    last, early = epochs[-1], early_stop_message(plan, end.position)
    summary = {
        "message": f"{folder}: {len(epochs)} epochs, {resumed} of them from before{early}; "
        f"{epoch_message(last, len(epochs))}",
        "model": str(folder),
        "epochs": len(epochs),
        "epochs_from_before": resumed,
        "stopped_early": bool(early),
        "seconds": sum(map(epoch_seconds, epochs)),
        "train": last["train"],
        "validation": last.get("validation"),
        "test": last["test"],
    }
    return finish(config, summary, task.data.failures, folder)


def early_stop_message(plan: Plan, position: Position) -> str:
    """Return what the summary adds where training ended before --epochs; "" where it didn't."""
    patience = position.patience
    if position.epochs >= plan.epochs or not patience.is_over(plan.early_stopping):
        return ""
    best = position.epochs - patience.epochs_since
    return f", stopped early: {patience.epochs_since} without a lower validation loss than epoch {best}'s"
