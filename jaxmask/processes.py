"""Edge: the processes that train together: joining them, speaking with one voice, and losing one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax
from jax.experimental import multihost_utils

from jaxmask.config import TrainConfig
from jaxmask.mesh import choose_launch, start_distributed, use_cpu_only
from preprocess.command import log
from preprocess.errors import UserError


def join_others(config: TrainConfig) -> None:
    """Become one of the processes that train together, before any device is touched; only the first one talks."""
    if config.cpu_only:
        use_cpu_only()
    if config.precision == "float64":
        jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_enable_preemption_service", False)  # it would replace our signal handlers
    launch = choose_launch(os.environ, config.coordinator, config.num_processes, config.process_id)
    start_distributed(launch)
    if not is_first():
        log.setLevel(logging.ERROR)
    if launch.notice:
        log.warning("%s", launch.notice)


def is_first() -> bool:
    """Whether this process is the one that writes and talks."""
    return jax.process_index() == 0


def meet(what: str) -> None:
    """Wait for all processes."""
    multihost_utils.sync_global_devices(what)


@contextmanager
def others_may_fail() -> Iterator[None]:
    """Turn what a lost process does to this one into a UserError that says so; other errors pass."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"process {jax.process_index()} lost another process of this training, whose own messages say why "
            f"({reason}); run all of them again to go on from the last save"
        ) from error
