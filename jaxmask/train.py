"""Edge: train the U-Net on shards, on every device there is."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from tyro.conf import Positional, arg

from jaxmask.checkpoint import Checkpoints, open_checkpoints
from jaxmask.config import TASK_FLAGS, TrainConfig, global_batch_size
from jaxmask.data import open_feed
from jaxmask.epochs import Plan, epoch_message, run_epochs
from jaxmask.history import HISTORY_NAME, Epoch, read_history, write_history
from jaxmask.machine import this_machine
from jaxmask.mesh import make_mesh
from jaxmask.model import CHECKPOINTS_NAME
from jaxmask.processes import is_first, join_others, leave, meet, others_may_fail
from jaxmask.programs import Programs, make_programs
from jaxmask.record import INPUT_KINDS, RECORD_NAME, Record, check_same_task, make_record, read_record, write_record
from jaxmask.results import PARAMETERS_NAME, RESULTS_NAME, results_row, write_parameters, write_results
from jaxmask.split import Split, split_products
from jaxmask.stopping import StoppedOnRequest, stop_on_signals
from jaxmask.training_set import TrainingSet, open_training_set
from jaxmask.unet import count_parameters
from preprocess.command import finish, log, run
from preprocess.errors import EXIT_DONE, EXIT_SAVED, EXIT_SOME_FAILED, UserError
from preprocess.files import writable_folder


@dataclass(frozen=True)
class TrainCommand(TrainConfig):
    """Train the U-Net on shards, on every device there is; the same command goes on with an interrupted training."""

    shards: Positional[Annotated[Path, arg(metavar="SHARDS")]]
    """Folder of shards, from preprocess.convert or the original program."""
    model: Positional[Annotated[Path, arg(metavar="MODEL")]]
    """Folder for the model: its checkpoints, history and results."""


@dataclass(frozen=True)
class Task:
    """What is trained: the same on every process."""

    data: TrainingSet
    split: Split
    global_batch: int
    record: Record


def main(command: TrainCommand) -> int:
    """Train until --epochs are done, going on with what the model folder holds; return 0, 3, or 75 if asked to stop."""
    join_others(command)
    with others_may_fail():
        return _train_together(command)


def _train_together(command: TrainCommand) -> int:
    mesh = make_mesh()
    task = _open_task(command, mesh)
    history = _prepare_folder(command, task)
    plan = _plan(command, task, mesh)
    programs = make_programs(command, mesh, global_batch=task.global_batch, steps_per_epoch=plan.train.steps)
    with stop_on_signals() as request, open_checkpoints(command.model / CHECKPOINTS_NAME) as checkpoints:
        try:
            epochs, resumed = _train(command, task, plan, programs, checkpoints, history, lambda: request.asked)
        except StoppedOnRequest:
            checkpoints.wait()
            log.info("stopped on request: finished epochs are in %s; run the same command to go on", command.model)
            return EXIT_SAVED
    return _conclude(command, task, epochs, resumed)


def _open_task(command: TrainCommand, mesh: Mesh) -> Task:
    """Find and divide the products; UserError unless all processes find the same."""
    data = open_training_set(command.shards, command.patch_size, command.mix, quiet=not _shows_bars(command))
    shares = command.train_split, command.validation_split
    split = split_products(data.names, *shares, command.split_by, command.split_seed)
    global_batch = global_batch_size(command, mesh.size)
    record = make_record(command, global_batch, data, split)
    agreed = [record[name] for name in (*INPUT_KINDS, "collections", "split", "global_batch_size", "versions")]
    flags = [record["flags"][name] for name in (*TASK_FLAGS, "epochs")]
    digest = hashlib.sha256(json.dumps([agreed, flags]).encode()).digest()
    everyones = multihost_utils.process_allgather(np.frombuffer(digest, np.uint8))
    if np.unique(np.reshape(everyones, (-1, len(digest))), axis=0).shape[0] > 1:
        raise UserError(
            f"the processes see different products in {command.shards}, or have different flags or versions: "
            "give all of them the same command, folder and packages"
        )
    return Task(data, split, global_batch, record)


def _prepare_folder(command: TrainCommand, task: Task) -> list[Epoch]:
    """Write the record into the model folder, or clear that folder first; return the history to go on with.

    Raises UserError if the folder can't be written, or holds another training and --overwrite isn't given.
    """
    checkpoints = command.model / CHECKPOINTS_NAME
    begun = checkpoints.exists() and any(checkpoints.iterdir()) and not command.overwrite
    history: list[Epoch] = []
    if begun:
        recorded = read_record(command.model)
        if recorded is None:
            raise UserError(f"{checkpoints} has no {RECORD_NAME} beside it: put it back, or start anew by --overwrite")
        check_same_task(command.model, recorded, command, task.record)
        history = read_history(command.model)
    meet("the model folder has been read")
    if is_first():
        writable_folder(command.model)
        if not begun:
            shutil.rmtree(checkpoints, ignore_errors=True)
            for name in (HISTORY_NAME, RESULTS_NAME, PARAMETERS_NAME):
                (command.model / name).unlink(missing_ok=True)
        write_record(command.model, task.record)
    meet("the model folder is ready")
    return history


def _train(
    command: TrainCommand,
    task: Task,
    plan: Plan,
    programs: Programs,
    checkpoints: Checkpoints,
    history: list[Epoch],
    asked: Callable[[], bool],
) -> tuple[list[Epoch], int]:
    """Run the epochs that are missing, each saved at its end; return the history and how many epochs were there."""
    state, done = programs.init(), 0
    if checkpoints.latest_step() is not None:
        state, position = checkpoints.restore(state)
        done = position["epoch"]
    if len(history) < done:
        raise UserError(
            f"{command.model / HISTORY_NAME} has {len(history)} epochs, the checkpoint {done}: put the history back, "
            "or start anew by --overwrite"
        )
    log.info("%s", _beginning(task, plan, count_parameters(state.params), done))
    if len(history) > done and is_first():
        write_history(command.model, history[:done])
    history = history[:done]
    for now, line in run_epochs(plan, programs, state, done, asked):
        history.append(line)
        if is_first():
            write_history(command.model, history)  # before the checkpoint: on resume what is too much is cut off
        checkpoints.save(line["epoch"] * plan.train.steps, now, {"epoch": line["epoch"], "batch": 0}, line["test"])
        log.info("%s", epoch_message(line, plan.epochs))
    return history, done


def _plan(command: TrainCommand, task: Task, mesh: Mesh) -> Plan:
    train, _, test = task.data.parts(task.split)
    quiet = not _shows_bars(command)
    opened = partial(
        open_feed,
        patch_size=command.patch_size,
        cache=command.cache_mode,
        mesh=mesh,
        global_batch=task.global_batch,
        quiet=quiet,
    )
    return Plan(
        epochs=command.epochs,
        global_batch=task.global_batch,
        train=opened(train, seed=command.seed, augment=command.augment),
        test=opened(test, seed=None, augment=False) if test else None,
        bar=not quiet,
    )


def _beginning(task: Task, plan: Plan, parameters: int, done: int) -> str:
    processes = f"{jax.process_count()} processes" if jax.process_count() > 1 else "one process"
    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind} in {processes}"
    test = f"{plan.test.patches} patches of {len(task.split.test)}" if plan.test else "none"
    going_on = f"; going on after epoch {done}" if done else ""
    return (
        f"training {parameters:,} parameters on {devices}: {plan.train.patches} patches of {len(task.split.train)} "
        f"products, {plan.global_batch} a step; testing on {test}{going_on}"
    )


def _conclude(command: TrainCommand, task: Task, epochs: list[Epoch], resumed: int) -> int:
    """Write results and parameters of the run, and print its summary, once for all processes."""
    if not is_first():
        return EXIT_SOME_FAILED if task.data.failures else EXIT_DONE
    machine = this_machine()
    write_results(command.model, results_row(command, task.global_batch, machine, epochs))
    write_parameters(command.model, command, task.global_batch, machine)
    last = epochs[-1]
    seconds = sum(epoch["train_seconds"] + (epoch["test_seconds"] or 0.0) for epoch in epochs)
    summary = {
        "message": f"{command.model}: {len(epochs)} epochs, {resumed} of them from before; "
        f"{epoch_message(last, len(epochs))}",
        "model": str(command.model),
        "epochs": len(epochs),
        "epochs_from_before": resumed,
        "seconds": seconds,
        "train": last["train"],
        "test": last["test"],
    }
    return finish(command, summary, task.data.failures, command.model)


def _shows_bars(config: TrainConfig) -> bool:
    return is_first() and not config.quiet


if __name__ == "__main__":
    leave(run("jaxmask.train", TrainCommand, main))
