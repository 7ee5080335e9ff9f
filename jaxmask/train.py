"""Edge: train the U-Net on shards, on every device there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxmask.audience import observed
from jaxmask.checkpoint import open_checkpoints
from jaxmask.command_line import parse
from jaxmask.compile_cache import use_compile_cache
from jaxmask.conclusion import conclude
from jaxmask.config import TrainConfig
from jaxmask.config_file import notice_of
from jaxmask.course import train_and_save
from jaxmask.devices import nvidia_facts, tell_devices
from jaxmask.kept_memory import keep_memory
from jaxmask.mesh import make_mesh
from jaxmask.model import CHECKPOINTS_NAME
from jaxmask.observers import PROFILE_NAME
from jaxmask.observing import check_extras, open_observers
from jaxmask.processes import join_others, leave, leave_others, meet_devices, others_may_fail
from jaxmask.programs import make_programs
from jaxmask.resume import go_on, going_on_message, prepare_folder
from jaxmask.stopping import StoppedOnRequest, StopRequest, stop_on_signals
from jaxmask.task import beginning, beginning_message, open_plan, open_task, shows_bars
from jaxmask.tracing import traced
from jaxmask.unet import count_parameters
from preprocess.command import log, run
from preprocess.errors import EXIT_SAVED


@dataclass(frozen=True)
class TrainCommand(TrainConfig):
    """Train the U-Net on shards, on every device there is; the same command goes on with an interrupted training."""

    shards: Positional[Annotated[Path, arg(metavar="SHARDS")]]
    """Folder of shards, from preprocess.convert or the original program."""
    model: Positional[Annotated[Path, arg(metavar="MODEL")]]
    """Folder for the model: its checkpoints, history and results."""
    config: Path | None = None
    """YAML or JSON file of flags by name, SHARDS and MODEL too if wanted; a model's config.json or train_params.json;
    or a cloudMaskConfig.yaml of MLCommons. What the command line says wins over it."""


def main(command: TrainCommand) -> int:
    """Train until --epochs are done, going on with what the model folder holds; return 0, 3, or 75 if asked to stop."""
    with stop_on_signals() as request:
        try:
            check_extras(command)
            if command.cpu_only or not nvidia_facts().plugins:
                keep_memory()
            use_compile_cache(command.compile_cache)
            join_others(command)
            if notice := notice_of(command.config, TrainCommand):
                log.info("%s", notice)
            with others_may_fail():
                return _train_together(command, request)
        except StoppedOnRequest:
            log.info("stopped on request before there was anything to save; run the same command to begin or go on")
            leave_others(EXIT_SAVED)
            return EXIT_SAVED


def _train_together(command: TrainCommand, request: StopRequest) -> int:
    observers = open_observers(command, command.model, command.config)
    mesh = make_mesh()
    meet_devices(mesh)
    tell_devices(cpu_only=command.cpu_only)
    task = open_task(command, command.shards, mesh)
    history = prepare_folder(command.model, command, task)
    with observed(observers) as audience, open_checkpoints(command.model / CHECKPOINTS_NAME) as checkpoints:
        audience.load()
        plan = open_plan(command, task, mesh)
        programs = make_programs(command, mesh, global_batch=task.global_batch, steps_per_epoch=plan.steps["train"])
        start = go_on(checkpoints, programs.init(), plan, history)
        parameters, resumed = count_parameters(start.state.params), start.position.epochs
        log.info("%s%s", beginning_message(task, plan, parameters), going_on_message(start.position))
        audience.begin(beginning(command, plan, parameters, start.position))
        with traced(programs, command.model / PROFILE_NAME, command.profile) as programs:
            end = train_and_save(
                plan, programs, checkpoints, start, request, audience,
                save_every_minutes=command.save_every_minutes, bars=shows_bars(command),
            )  # fmt: skip
        audience.end("stopped" if end.stopped else "success")
    if end.stopped:
        without = ", without --overwrite," if command.overwrite else ""
        log.info("stopped on request: %s is saved up to here; run the same command%s to go on", command.model, without)
        return EXIT_SAVED
    return conclude(command.model, command, task, plan, end, resumed)


if __name__ == "__main__":
    leave(run("jaxmask.train", TrainCommand, main, parse=parse))
