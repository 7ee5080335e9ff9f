"""Edge: the share of the scenes that this one of several processes predicts; they need not speak with each other."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from jaxmask.launch_choice import COORDINATOR, Launch, choose_launch
from preprocess.command import FAILURES_NAME, log

PROCESSES_FAILURES = "failures.*.json"  # of each of several processes
NO_COORDINATOR = "none:0"  # nobody is asked: the processes share a list and a folder, nothing else


def find_process(environ: Mapping[str, str], num_processes: int | None, process_id: int | None) -> Launch:
    """Which of how many processes this is: by the flags, else as training finds it, but without a coordinator.

    Raises UserError as choose_launch.
    """
    if num_processes is not None and process_id is not None:
        return Launch("flags", None, num_processes, process_id)
    launch = choose_launch({COORDINATOR: NO_COORDINATOR, **environ})
    return choose_launch(environ) if launch.by == "alone" else launch


def take_process(num_processes: int | None, process_id: int | None, *, cpu_only: bool) -> Launch:
    """The same of this process, which keeps to its own GPUs from now on; only the first one talks."""
    environ = dict(os.environ)
    if cpu_only:
        environ["CUDA_VISIBLE_DEVICES"] = ""  # no GPU is dealt out, however many processes a host has
    launch = find_process(environ, num_processes, process_id)
    if launch.local_devices is not None:
        jax.config.update("jax_cuda_visible_devices", ",".join(map(str, launch.local_devices)))
    if launch.process > 0:
        log.setLevel(logging.ERROR)
    if launch.notice:
        log.warning("%s", launch.notice.replace("training in", "predicting all scenes in"))
    return launch


def share(paths: Sequence[Path], launch: Launch) -> list[Path]:
    """Every so-many-th of the paths, sorted by name, so that shares are disjoint, complete, and of like sizes."""
    return sorted(paths, key=lambda path: (path.name, path))[launch.process :: launch.processes]


def own_name(name: str, launch: Launch) -> str:
    """The name of a file that each process writes, here STEM.PROCESS.SUFFIX, beside those of the others."""
    path = Path(name)
    return name if launch.processes == 1 else f"{path.stem}.{launch.process}{path.suffix}"


def failures_name(launch: Launch) -> str:
    """The list of this process's failures."""
    return own_name(FAILURES_NAME, launch)


def clear_others(folder: Path, launch: Launch) -> None:
    """Remove the lists that runs of another number of processes have left; the first process does."""
    if launch.process > 0:
        return
    living = {failures_name(Launch("flags", None, launch.processes, number)) for number in range(launch.processes)}
    for path in (*folder.glob(PROCESSES_FAILURES), folder / FAILURES_NAME):
        if path.name not in living and path.is_file():
            path.unlink(missing_ok=True)
