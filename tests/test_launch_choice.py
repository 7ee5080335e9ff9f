"""The choice of launch from flags and the environments that schedulers really set."""

from __future__ import annotations

import re

import pytest

from jaxmask.launch_choice import Launch, choose_launch, first_host, tasks_per_node
from preprocess.errors import UserError

# What srun sets for task 5 of 8 on four nodes (srun(1), "output environment variables").
SLURM = {
    "SLURM_JOB_ID": "1000001",
    "SLURM_NTASKS": "8",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "gpu[007-009,012],login1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_TASKS_PER_NODE": "2(x4)",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}
PORT = 61440 + 1000001 % 4096  # by hand: 65536 - 4096 = 61440
# What sbatch and salloc set for a job of two nodes and eight tasks, outside of any step.
ALLOCATION = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NTASKS": "8",
    "SLURM_TASKS_PER_NODE": "4(x2)",
}
BATCH_SCRIPT = ALLOCATION | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
# What salloc's own shell step on the first node finds, where the site has use_interactive_step.
INTERACTIVE_STEP = BATCH_SCRIPT | {
    "SLURM_STEP_ID": "4294967290",
    "SLURM_STEP_NODELIST": "n1",
    "SLURM_STEP_NUM_TASKS": "1",
    "SLURM_STEP_TASKS_PER_NODE": "1",
}
# Open MPI 4.1, mpirun -n 4.
MPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "3",
}
PLAIN = {"JAX_COORDINATOR_ADDRESS": "job-0.pods:1234", "JAX_NUM_PROCESSES": "3"}


def on_slurm(devices: tuple[int, ...] | None = (1,), coordinator: str = f"gpu007:{PORT}") -> Launch:
    return Launch("slurm", coordinator, 8, 5, devices)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Launch("alone")),
        (SLURM, on_slurm()),
        (SLURM | {"SLURM_STEP_NODELIST": "a-1,b"}, on_slurm(coordinator=f"a-1:{PORT}")),
        # another step of the same job has a port of its own
        (SLURM | {"SLURM_STEP_ID": "2"}, on_slurm(coordinator=f"gpu007:{61440 + (1000001 + 514) % 4096}")),
        (SLURM | {"JAX_COORDINATOR_ADDRESS": "h:1"}, on_slurm(coordinator="h:1")),
        # which GPUs are this task's
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x8)"}, on_slurm(None)),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x2),3(x2)"}, on_slurm((1,))),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "2"}, on_slurm(None)),
        (SLURM | {"CUDA_VISIBLE_DEVICES": ""}, on_slurm(None)),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "0,1"}, on_slurm((1,))),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "2,3", "SLURM_GPUS_PER_TASK": "2"}, on_slurm(None)),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "0,1,2,3", "SLURM_GPUS_PER_TASK": "a100:2"}, on_slurm((2, 3))),
        (SLURM | {"JAX_LOCAL_DEVICE_IDS": "2,3"}, on_slurm(None)),
        # one task needs no others, and its visible GPUs are all its own
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, Launch("slurm")),
        (MPI | {"JAX_COORDINATOR_ADDRESS": "h:1"}, Launch("openmpi", "h:1", 4, 3, (3,))),
        (MPI, Launch("openmpi", "127.0.0.1:61440", 4, 3, (3,))),  # CRC-32 of nothing is 0
        (PLAIN | {"JOB_COMPLETION_INDEX": "2"}, Launch("kubernetes", "job-0.pods:1234", 3, 2)),
        (PLAIN | {"JAX_PROCESS_ID": "1"}, Launch("environment", "job-0.pods:1234", 3, 1)),
    ],
)
def test_schedulers(environ: dict[str, str], expected: Launch) -> None:
    assert choose_launch(environ) == expected


@pytest.mark.parametrize(
    ("environ", "by"),
    [
        (SLURM | PLAIN | {"JAX_PROCESS_ID": "1"}, "environment"),  # launch.local inside a step of srun
        (SLURM | PLAIN, "slurm"),
        (SLURM | PLAIN | {"JOB_COMPLETION_INDEX": "2"}, "slurm"),
        (MPI | PLAIN | {"JOB_COMPLETION_INDEX": "2"}, "openmpi"),
        # mpirun in a Slurm job: its daemons' step on the other nodes, or the interactive one, is not ours
        (SLURM | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"} | MPI, "openmpi"),
        (INTERACTIVE_STEP | MPI, "openmpi"),
        (BATCH_SCRIPT | MPI, "openmpi"),
    ],
)
def test_the_nearest_launcher_is_followed(environ: dict[str, str], by: str) -> None:
    assert choose_launch(environ).by == by


def test_flags_come_first() -> None:
    assert choose_launch(SLURM | MPI | PLAIN, "host:99", 2, 1) == Launch("flags", "host:99", 2, 1)


@pytest.mark.parametrize(
    ("environ", "notice"),
    [
        (ALLOCATION, "allotted 8 tasks but this process was not started by srun"),  # salloc's shell
        (BATCH_SCRIPT, "allotted 8 tasks but this process was not started by srun"),
        (
            {name: value for name, value in BATCH_SCRIPT.items() if name != "SLURM_NTASKS"},
            "allotted 8 tasks but this process was not started by srun",
        ),
        ({"SLURM_JOB_ID": "7"}, "SLURM_JOB_ID is set but this process was not started by srun"),  # ssh, adopted
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n1"}, "SLURM_JOB_ID is set but"),  # ssh that sends some
        (PLAIN, "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES set, but not all"),
        ({"JOB_COMPLETION_INDEX": "1"}, "JOB_COMPLETION_INDEX set, but not all"),
    ],
)
def test_half_an_environment_is_one_process_with_a_notice(environ: dict[str, str], notice: str) -> None:
    launch = choose_launch(environ)
    assert (launch.by, launch.processes) == ("alone", 1)
    assert launch.notice is not None
    assert re.search(f"{notice}.*: training in this process alone", launch.notice)


def test_one_task_in_an_interactive_step_of_a_bigger_job_is_told() -> None:
    launch = choose_launch(INTERACTIVE_STEP)
    assert launch.processes == 1
    assert launch.notice is not None
    assert "Slurm allotted 8 tasks but started one in this step" in launch.notice


@pytest.mark.parametrize(
    "environ",
    [
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1"},
        {"SLURM_JOB_ID": "7", "SLURM_TASKS_PER_NODE": "1"},  # sbatch without --ntasks
    ],
)
def test_one_task_of_slurm_without_srun_needs_no_notice(environ: dict[str, str]) -> None:
    assert choose_launch(environ) == Launch("alone")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (SLURM | {"SLURM_PROCID": "x"}, "environment's SLURM_PROCID must be a whole number; found 'x'"),
        (SLURM | {"SLURM_PROCID": "8"}, r"process 8 of 8 \(slurm\)"),
        (SLURM | {"SLURM_LOCALID": "3", "CUDA_VISIBLE_DEVICES": "0,1"}, r"process 3 of this host.* no GPU left"),
        (PLAIN | {"JAX_PROCESS_ID": "-1"}, "JAX_PROCESS_ID must be a whole number; found '-1'"),
        (PLAIN | {"JOB_COMPLETION_INDEX": "3"}, r"process 3 of 3 \(kubernetes\)"),
        (MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, "mpirun -x JAX_COORDINATOR_ADDRESS=HOST:PORT"),
    ],
)
def test_environments_that_cannot_be_right(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose_launch(environ)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("gpu[007-009,012],login1", "gpu007"),
        ("gpu[007,012]", "gpu007"),
        ("r[1-2]n[07-09,12],login1", "r1n07"),
        ("n[3-4]-ib,n9", "n3-ib"),
        ("a.b.example,c", "a.b.example"),
    ],
)
def test_the_first_host_of_slurms_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


@pytest.mark.parametrize(
    ("counts", "tasks"),
    [("1", [1]), ("2(x4)", [2] * 4), ("4(x2),3", [4, 4, 3]), ("1(x2),3(x1)", [1, 1, 3]), ("", []), ("4(x", [])],
)
def test_slurms_tasks_of_each_node(counts: str, tasks: list[int]) -> None:
    assert tasks_per_node(counts) == tasks
