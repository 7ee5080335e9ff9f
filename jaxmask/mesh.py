"""Edge: the devices: joining processes, the mesh, how arrays lie on it, and host batches as global arrays."""

from __future__ import annotations

import os
import sys
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from preprocess.errors import UserError

DATA_AXIS = "data"

# The upper end of the ephemeral ports, one of 4096 by the job's number, so that jobs on one host rarely collide.
PORTS = 4096
FIRST_PORT = 65536 - PORTS

SLURM_STEP = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID")
PLAIN = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES")
PLAIN_INDEX = ("JAX_PROCESS_ID", "JOB_COMPLETION_INDEX")


@dataclass(frozen=True)
class Launch:
    """How this process belongs to the others that train with it."""

    by: Literal["alone", "flags", "environment", "slurm", "openmpi"]
    coordinator: str | None = None  # HOST:PORT of process 0
    processes: int = 1
    process: int = 0
    local_device: int | None = None  # the only GPU of this process; None: all that it sees
    notice: str | None = None  # what the user should know of the choice


def choose_launch(
    environ: Mapping[str, str],
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> Launch:
    """Decide from flags, else environment, how many processes train together and which this one is (pure).

    In this order: the flags; JAX_COORDINATOR_ADDRESS and JAX_NUM_PROCESSES with JAX_PROCESS_ID, or with
    JOB_COMPLETION_INDEX of an indexed Kubernetes job; the step that srun starts; Open MPI's mpirun; else one process.
    An environment set by half (sbatch without srun) gives one process and a notice.
    Raises UserError if a value is no number or out of range, or mpirun's host can't be known.
    """
    if coordinator is not None and num_processes is not None and process_id is not None:
        return _checked(Launch("flags", coordinator, num_processes, process_id))
    if all(name in environ for name in PLAIN) and any(name in environ for name in PLAIN_INDEX):
        return _from_plain_environment(environ)
    if all(name in environ for name in SLURM_STEP):
        return _from_slurm(environ)
    if "OMPI_COMM_WORLD_SIZE" in environ:
        return _from_open_mpi(environ)
    return Launch("alone", notice=_notice(environ))


def start_distributed(launch: Launch) -> None:
    """Join the other processes, before any device is touched; does nothing for a single process.

    Raises UserError naming the coordinator if it can't be reached.
    """
    if launch.processes == 1:
        return
    _keep_stdout_for_python()
    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # the default can't sum over processes
    try:
        jax.distributed.initialize(
            launch.coordinator,
            launch.processes,
            launch.process,
            local_device_ids=None if launch.local_device is None else [launch.local_device],
        )
    except RuntimeError as error:
        raise UserError(
            f"process {launch.process} of {launch.processes} could not join the others at {launch.coordinator} "
            f"({str(error).splitlines()[0]}); start all of them, and see that the port can be reached"
        ) from error


def use_cpu_only() -> None:
    """Leave accelerators alone; to be called before any device is touched."""
    jax.config.update("jax_platforms", "cpu")


def make_mesh() -> Mesh:
    """Return all devices of all processes in one row, named `DATA_AXIS`.

    Raises UserError unless every process has as many devices as the others: their shares of a batch are equal.
    """
    check_even([device.process_index for device in jax.devices()])
    # Explicit axes (the default of some versions) break the gradient of a convolution.
    return jax.make_mesh((jax.device_count(),), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def check_even(owners: Sequence[int]) -> None:
    """Raise UserError unless each process owns as many devices as the others; owners: the process of each device."""
    counts = Counter(owners)
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{counts[process]} in process {process}" for process in sorted(counts))
        raise UserError(
            f"every process must have as many devices as the others; found {found}: "
            "show each the same number (CUDA_VISIBLE_DEVICES), or start one process a device"
        )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The first axis divided over the devices: batches."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device: the state."""
    return NamedSharding(mesh, PartitionSpec())


def to_global(mesh: Mesh, host_batch: Any) -> Any:
    """Join the batches of all processes: a pytree of numpy (B_host, ...) to global arrays (B_host * processes, ...).

    Every process must give the same B_host, in the order of the processes.
    Raises ValueError unless B_host is a multiple of this process's devices.
    """
    sharding, devices = batch_sharding(mesh), len(mesh.local_devices)
    for leaf in jax.tree.leaves(host_batch):
        if leaf.shape[0] % devices:
            raise ValueError(f"a host's batch must be a multiple of its {devices} devices; found {leaf.shape[0]}")
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), host_batch)


def _keep_stdout_for_python() -> None:
    """Send to standard error what native code prints: gloo tells of its connections, in the midst of `--json`."""
    sys.stdout.flush()
    ours = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = os.fdopen(ours, "w", buffering=1)


def _from_plain_environment(environ: Mapping[str, str]) -> Launch:
    index = next(name for name in PLAIN_INDEX if name in environ)
    processes, process = _number(environ, "JAX_NUM_PROCESSES"), _number(environ, index)
    return _checked(Launch("environment", environ["JAX_COORDINATOR_ADDRESS"], processes, process))


def _from_slurm(environ: Mapping[str, str]) -> Launch:
    host = _first_host(environ["SLURM_STEP_NODELIST"])
    port = FIRST_PORT + _number(environ, "SLURM_JOB_ID") % PORTS
    alone_on_host = environ.get("SLURM_STEP_TASKS_PER_NODE", "").split("(")[0] == "1"
    return _checked(
        Launch(
            "slurm",
            environ.get("JAX_COORDINATOR_ADDRESS", f"{host}:{port}"),
            _number(environ, "SLURM_STEP_NUM_TASKS"),
            _number(environ, "SLURM_PROCID"),
            None if alone_on_host else _own_device(environ, _number(environ, "SLURM_LOCALID")),
        )
    )


def _from_open_mpi(environ: Mapping[str, str]) -> Launch:
    processes, process = _number(environ, "OMPI_COMM_WORLD_SIZE"), _number(environ, "OMPI_COMM_WORLD_RANK")
    local_processes = _number(environ, "OMPI_COMM_WORLD_LOCAL_SIZE")
    port = FIRST_PORT + zlib.crc32(environ.get("PMIX_NAMESPACE", "").encode()) % PORTS
    coordinator = environ.get("JAX_COORDINATOR_ADDRESS", f"127.0.0.1:{port}")
    if "JAX_COORDINATOR_ADDRESS" not in environ and processes > local_processes:
        raise UserError(
            f"mpirun started {processes} processes on several hosts: name the host of process 0 with "
            "mpirun -x JAX_COORDINATOR_ADDRESS=HOST:PORT"
        )
    local_process = _number(environ, "OMPI_COMM_WORLD_LOCAL_RANK")
    device = _own_device(environ, local_process) if local_processes > 1 else None
    return _checked(Launch("openmpi", coordinator, processes, process, device))


def _own_device(environ: Mapping[str, str], local_process: int) -> int | None:
    """The GPU of one of several processes on a host; None where the scheduler, or the user, has bound one already."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    bound = visible is not None and len(visible.split(",")) == 1
    return None if bound or "JAX_LOCAL_DEVICE_IDS" in environ else local_process


def _first_host(nodes: str) -> str:
    """The first of Slurm's node list: node1 of "node1,node2", gpu007 of "gpu[007-009,012],login1"."""
    prefix, bracket, ranges = nodes.split(",")[0].partition("[")
    return prefix + ranges.split("]")[0].split("-")[0] if bracket else prefix


def _notice(environ: Mapping[str, str]) -> str | None:
    if "SLURM_JOB_ID" in environ and environ.get("SLURM_NTASKS", "1") != "1":
        return (
            f"Slurm allotted {environ['SLURM_NTASKS']} tasks but this process was not started by srun: "
            "training in this process alone"
        )
    set_by_half = [name for name in (*PLAIN, *PLAIN_INDEX) if name in environ]
    if set_by_half:
        return (
            f"{', '.join(set_by_half)} set, but not all of JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and "
            "JAX_PROCESS_ID (or JOB_COMPLETION_INDEX): training in this process alone"
        )
    return None


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
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
