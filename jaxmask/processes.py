"""Edge: the processes that train together: joining them, speaking with one voice, and losing one."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from jaxmask.config import TrainConfig
from jaxmask.launch_choice import Launch, choose_launch
from jaxmask.mesh import replicated, to_global, use_cpu_only
from preprocess.command import log
from preprocess.errors import EXIT_DONE, EXIT_LOST, EXIT_SAVED, EXIT_SOME_FAILED, LostOthersError, UserError

JOIN_SECONDS = 300.0  # to wait for the others: pods of one job may start minutes apart
PATIENCE_SECONDS = 20.0  # until the user is told that this process waits
HEARTBEAT_SECONDS = 30  # a process that is silent for so long is dead, and ends the others within a minute

NO_MEMORY = "RESOURCE_EXHAUSTED"  # XLA's word
# What speaks of others in the errors of gloo, NCCL and jax's own coordination.
LOSSES = re.compile("gloo|nccl|connection|peer|socket|barrier|coordination|heartbeat", re.IGNORECASE)


def join_others(config: TrainConfig) -> None:
    """Become one of the processes that train together, before any device is touched; only the first one talks."""
    environ = dict(os.environ)
    if config.precision == "float64":
        jax.config.update("jax_enable_x64", True)
    if config.cpu_only:
        use_cpu_only()
        environ["CUDA_VISIBLE_DEVICES"] = ""  # no GPU is dealt out, however many processes a host has
    jax.config.update("jax_enable_preemption_service", False)  # it would replace our signal handlers
    launch = choose_launch(environ, config.coordinator, config.num_processes, config.process_id)
    start_distributed(launch)
    if not is_first():
        log.setLevel(logging.ERROR)
    if launch.notice:
        log.warning("%s", launch.notice)


def start_distributed(launch: Launch, join_seconds: float = JOIN_SECONDS) -> None:
    """Join the other processes, before any device is touched; does nothing for a single process.

    Raises UserError if the coordinator's port is taken. Ends this process with exit code 69 and a message that names
    the coordinator if not all are there after `join_seconds`: jax itself would abort from C++.
    """
    if launch.processes == 1 or launch.coordinator is None:
        return
    if launch.process == 0:
        _check_port(launch.coordinator)
    _keep_stdout_for_python()
    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # the default can't sum over processes
    with _ending_if_late(launch, join_seconds):
        jax.distributed.initialize(
            launch.coordinator,
            launch.processes,
            launch.process,
            local_device_ids=launch.local_devices,
            cluster_detection_method="deactivate",  # `choose_launch` has decided
            initialization_timeout=int(join_seconds) + 60,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )


def tells_of_loss(error: Exception) -> bool:
    """Whether `error` is what a lost process does to the others."""
    return jax.process_count() > 1 and LOSSES.search(str(error)) is not None


def is_first() -> bool:
    """Whether this process is the one that writes and talks."""
    return jax.process_index() == 0


def meet(what: str) -> None:
    """Wait for all processes."""
    multihost_utils.sync_global_devices(what)


def meet_devices(mesh: Mesh) -> None:
    """Have all processes and all devices meet once, while all processes are just beginning.

    At the first meeting of any group of devices gloo waits 30 s for the last one, later ones wait as long as it takes:
    one host may read its shards minutes longer than another.
    """
    if jax.process_count() > 1:
        meet("the processes have begun")
        ones = to_global(mesh, np.ones(len(mesh.local_devices), np.int32))
        jax.block_until_ready(jax.jit(jnp.sum, out_shardings=replicated(mesh))(ones))


@contextmanager
def others_may_fail() -> Iterator[None]:
    """Turn what a lost process does to this one into a LostOthersError that says so; other errors pass.

    A device's lack of memory is a UserError that says how to need less.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:  # gloo's come as either, by how a step was dispatched
        if NO_MEMORY in str(error):
            raise UserError(
                f"a device has too little memory ({_first_line(error)}): choose a smaller --batch-size, a "
                "larger --accumulate, --precision bfloat16, or --cache host"
            ) from error
        if not tells_of_loss(error):
            raise
        raise LostOthersError(
            f"process {jax.process_index()} lost another process of this training, whose own messages say why "
            f"({_first_line(error)}); run all of them again to go on from the last save"
        ) from error


def leave(code: int) -> NoReturn:
    """Exit with `code`; after a failure without waiting for the others at jax's last barrier, where they never come."""
    if code not in (EXIT_DONE, EXIT_SOME_FAILED, EXIT_SAVED):
        leave_others(code)
    sys.exit(code)


def leave_others(code: int) -> None:
    """Exit with `code` now, if there are other processes that won't come to jax's last barrier; else do nothing."""
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _check_port(coordinator: str) -> None:
    """Raise UserError unless the coordinator's port is free here: jax itself would crash."""
    if "JAX_COORDINATOR_BIND_ADDRESS" in os.environ:
        return
    family, anywhere = (socket.AF_INET6, "::") if socket.has_ipv6 else (socket.AF_INET, "0.0.0.0")
    port = int(coordinator.rpartition(":")[2])
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one in TIME_WAIT is free
            probe.bind((anywhere, port))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            return  # no IPv6 after all, or the like: jax will find its way
        raise UserError(
            f"process 0 can't listen at {coordinator} ({error.strerror}): another training may run on this host; "
            "choose another port"
        ) from error


@contextmanager
def _ending_if_late(launch: Launch, join_seconds: float) -> Iterator[None]:
    """End this process if the block takes longer; SIGINT and SIGTERM end it at once, as Python can't see them there."""
    joined = threading.Event()
    watch = threading.Thread(target=_watch, args=(launch, join_seconds, joined), daemon=True)
    previous = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    watch.start()
    try:
        yield
    finally:
        joined.set()
        watch.join()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _watch(launch: Launch, join_seconds: float, joined: threading.Event) -> None:
    who = f"process {launch.process} of {launch.processes} ({launch.by})"
    patience = min(PATIENCE_SECONDS, join_seconds)
    if joined.wait(patience):
        return
    log.warning("%s waits for the others at %s, for %.0f s at most", who, launch.coordinator, join_seconds)
    if joined.wait(join_seconds - patience):
        return
    log.error(
        "error: %s could not join the others at %s within %.0f s (%s): start all of them, and see that the address "
        "and port can be reached",
        *(who, launch.coordinator, join_seconds, _why_late(launch)),
    )
    os._exit(EXIT_LOST)


def _why_late(launch: Launch) -> str:
    host, _, port = str(launch.coordinator).rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5.0):
            return f"process 0 is there, but not all {launch.processes} have come"
    except socket.gaierror:
        return f"there is no host {host}"
    except OSError as error:
        return f"process 0 isn't there: {error.strerror or error}"


def _keep_stdout_for_python() -> None:
    """Send to standard error what native code prints: gloo tells of its connections, in the midst of `--json`."""
    sys.stdout.flush()
    ours = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = os.fdopen(ours, "w", buffering=1)
