"""How this process was started: alone, or as one of several, by flags, Slurm, Open MPI or Kubernetes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from preprocess.errors import UserError

# The highest ports, one of 4096 by the job's number, so that jobs on one host rarely collide.
PORTS = 4096
FIRST_PORT = 65536 - PORTS
PORTS_BETWEEN_STEPS = 257  # prime, so that the steps of one job keep apart from each other and from the next jobs

COORDINATOR, PROCESSES, PROCESS = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
EXPLICIT = (COORDINATOR, PROCESSES, PROCESS)
KUBERNETES_INDEX = "JOB_COMPLETION_INDEX"  # of a pod of an indexed job
KUBERNETES = (COORDINATOR, PROCESSES, KUBERNETES_INDEX)
SLURM_STEP = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID")
OPEN_MPI = tuple(f"OMPI_COMM_WORLD_{name}" for name in ("SIZE", "RANK", "LOCAL_SIZE", "LOCAL_RANK"))


@dataclass(frozen=True)
class Launch:
    """How this process belongs to the others that train with it."""

    by: Literal["alone", "flags", "environment", "slurm", "openmpi", "kubernetes"]
    coordinator: str | None = None  # HOST:PORT of process 0
    processes: int = 1
    process: int = 0
    local_devices: tuple[int, ...] | None = None  # the GPUs of this process; None: all that it sees
    notice: str | None = None  # what the user should know of the choice


def choose_launch(
    environ: Mapping[str, str],
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> Launch:
    """Decide from flags, else environment, how many processes train together and which this one is.

    In this order: the flags; the same three in JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID; the step
    that srun started; Open MPI's mpirun; an indexed Kubernetes job (the first two variables, JOB_COMPLETION_INDEX);
    else one process. Under Slurm mpirun starts its own daemons by srun, whose step is not this process's: its variables
    come first then. An environment set by half (ssh into a node, sbatch or salloc without srun) gives one process and
    a notice.
    Raises UserError if a value is no number or out of range, or mpirun's host can't be known.
    """
    if coordinator is not None and num_processes is not None and process_id is not None:
        return _checked(Launch("flags", coordinator, num_processes, process_id))
    if _holds(environ, EXPLICIT):
        return _from_variables("environment", environ, PROCESS)
    if _holds(environ, SLURM_STEP) and not _holds(environ, OPEN_MPI):
        return _from_slurm(environ)
    if _holds(environ, OPEN_MPI):
        return _from_open_mpi(environ)
    if _holds(environ, KUBERNETES):
        return _from_variables("kubernetes", environ, KUBERNETES_INDEX)
    return Launch("alone", notice=_notice(environ))


def first_host(nodes: str) -> str:
    """Return the first of Slurm's node list: node1 of "node1,node2", r1n07 of "r[1-2]n[07-09,12],login1"."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", first.group() if first else nodes)


def tasks_per_node(counts: str) -> list[int]:
    """Return the tasks of each node from Slurm's counts: "4(x2),3" is [4, 4, 3]; [] if they can't be read."""
    groups = [re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip()) for part in counts.split(",")]
    if not all(groups):
        return []
    return [int(group[1]) for group in groups if group for _ in range(int(group[2] or 1))]


def _from_variables(by: Literal["environment", "kubernetes"], environ: Mapping[str, str], index: str) -> Launch:
    return _checked(Launch(by, environ[COORDINATOR], _number(environ, PROCESSES), _number(environ, index)))


def _from_slurm(environ: Mapping[str, str]) -> Launch:
    processes, allotted = _number(environ, "SLURM_STEP_NUM_TASKS"), environ.get("SLURM_NTASKS", "1")
    if processes == 1:
        few = f"Slurm allotted {allotted} tasks but started one in this step: training in this process alone; use srun"
        return Launch("slurm", notice=few if allotted != "1" else None)
    step = _number(environ, "SLURM_STEP_ID") if "SLURM_STEP_ID" in environ else 0
    port = FIRST_PORT + (_number(environ, "SLURM_JOB_ID") + PORTS_BETWEEN_STEPS * step) % PORTS
    coordinator = environ.get(COORDINATOR, f"{first_host(environ['SLURM_STEP_NODELIST'])}:{port}")
    one_a_node = set(tasks_per_node(environ.get("SLURM_STEP_TASKS_PER_NODE", ""))) == {1}
    each = environ.get("SLURM_GPUS_PER_TASK", "1").rpartition(":")[2]  # "2", or with its type, "a100:2"
    devices = _own_devices(environ, _number(environ, "SLURM_LOCALID"), int(each) if each.isdecimal() else 1)
    return _checked(
        Launch("slurm", coordinator, processes, _number(environ, "SLURM_PROCID"), None if one_a_node else devices)
    )


def _from_open_mpi(environ: Mapping[str, str]) -> Launch:
    processes, process, local_processes, local_process = (_number(environ, name) for name in OPEN_MPI)
    if COORDINATOR not in environ and processes > local_processes:
        raise UserError(
            f"mpirun started {processes} processes on several hosts: name the host of process 0 with "
            f"mpirun -x {COORDINATOR}=HOST:PORT"
        )
    port = FIRST_PORT + zlib.crc32(environ.get("PMIX_NAMESPACE", "").encode()) % PORTS
    coordinator = environ.get(COORDINATOR, f"127.0.0.1:{port}")
    devices = _own_devices(environ, local_process, 1) if local_processes > 1 else None
    return _checked(Launch("openmpi", coordinator, processes, process, devices))


def _own_devices(environ: Mapping[str, str], local_process: int, each: int) -> tuple[int, ...] | None:
    """The `each` GPUs of one of several processes on a host; None where the scheduler, or the user, has bound them."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if "JAX_LOCAL_DEVICE_IDS" in environ or (visible is not None and len(visible.split(",")) <= each):
        return None
    devices = tuple(range(local_process * each, (local_process + 1) * each))
    if visible is not None and devices[-1] >= len(visible.split(",")):
        raise UserError(
            f"process {local_process} of this host, counted from 0, has no GPU left for itself "
            f"(CUDA_VISIBLE_DEVICES={visible}, {each} a process): start as many processes a host as it has GPUs, or "
            "train with --cpu-only"
        )
    return devices


def _notice(environ: Mapping[str, str]) -> str | None:
    if "SLURM_JOB_ID" in environ:
        return _slurm_notice(environ)
    set_by_half = [name for name in (*EXPLICIT, KUBERNETES_INDEX) if name in environ]
    if set_by_half:
        return (
            f"{', '.join(set_by_half)} set, but not all of {', '.join(EXPLICIT[:2])} and {PROCESS} "
            f"(or {KUBERNETES_INDEX}): training in this process alone"
        )
    return None


def _slurm_notice(environ: Mapping[str, str]) -> str | None:
    """What to say in a Slurm job outside of any step of srun; nothing where the job is known to have one task."""
    counted = environ.get("SLURM_NTASKS") or str(sum(tasks_per_node(environ.get("SLURM_TASKS_PER_NODE", ""))))
    if counted == "1":
        return None
    tasks = f"Slurm allotted {counted} tasks" if counted != "0" else "SLURM_JOB_ID is set"
    return f"{tasks} but this process was not started by srun: training in this process alone"


def _holds(environ: Mapping[str, str], names: tuple[str, ...]) -> bool:
    return all(name in environ for name in names)


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ[name]
    if not text.isdecimal():
        raise UserError(f"the environment's {name} must be a whole number; found {text!r}")
    return int(text)


def _checked(launch: Launch) -> Launch:
    if launch.processes < 1 or not 0 <= launch.process < launch.processes:
        raise UserError(
            f"process {launch.process} of {launch.processes} ({launch.by}): there must be at least one process, "
            "numbered from 0"
        )
    return launch
