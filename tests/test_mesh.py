"""The choice of launch for each scheduler, batches on the mesh, and two real processes against one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxmask import unet
from jaxmask.mesh import (
    DATA_AXIS,
    Launch,
    batch_sharding,
    check_even,
    choose_launch,
    make_mesh,
    replicated,
    start_distributed,
    to_global,
    use_cpu_only,
)
from jaxmask.step import Objective, init_state, train_step
from preprocess.errors import UserError

SLURM = {
    "SLURM_JOB_ID": "1000001",
    "SLURM_STEP_NODELIST": "gpu[007-009,012],login1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_TASKS_PER_NODE": "2(x4)",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}
SLURM_PORT = 61440 + 1000001 % 4096  # by hand: 65536 - 4096 = 61440
MPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "3",
}
PLAIN = {"JAX_COORDINATOR_ADDRESS": "job-0.pods:1234", "JAX_NUM_PROCESSES": "3"}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Launch("alone")),
        (SLURM, Launch("slurm", f"gpu007:{SLURM_PORT}", 8, 5, 1)),
        (SLURM | {"SLURM_STEP_NODELIST": "a-1,b"}, Launch("slurm", f"a-1:{SLURM_PORT}", 8, 5, 1)),
        (SLURM | {"SLURM_STEP_NODELIST": "a-1"}, Launch("slurm", f"a-1:{SLURM_PORT}", 8, 5, 1)),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x8)"}, Launch("slurm", f"gpu007:{SLURM_PORT}", 8, 5, None)),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "2"}, Launch("slurm", f"gpu007:{SLURM_PORT}", 8, 5, None)),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "0,1"}, Launch("slurm", f"gpu007:{SLURM_PORT}", 8, 5, 1)),
        (SLURM | {"JAX_LOCAL_DEVICE_IDS": "2,3"}, Launch("slurm", f"gpu007:{SLURM_PORT}", 8, 5, None)),
        (SLURM | {"JAX_COORDINATOR_ADDRESS": "h:1"}, Launch("slurm", "h:1", 8, 5, 1)),
        (MPI | {"JAX_COORDINATOR_ADDRESS": "h:1"}, Launch("openmpi", "h:1", 4, 3, 3)),
        (MPI, Launch("openmpi", "127.0.0.1:61440", 4, 3, 3)),  # CRC-32 of nothing is 0
        (PLAIN | {"JOB_COMPLETION_INDEX": "2"}, Launch("environment", "job-0.pods:1234", 3, 2)),
        (PLAIN | {"JAX_PROCESS_ID": "1"}, Launch("environment", "job-0.pods:1234", 3, 1)),
        (SLURM | PLAIN | {"JAX_PROCESS_ID": "1"}, Launch("environment", "job-0.pods:1234", 3, 1)),
        (SLURM | PLAIN, Launch("slurm", "job-0.pods:1234", 8, 5, 1)),
    ],
)
def test_schedulers(environ: dict[str, str], expected: Launch) -> None:
    assert choose_launch(environ) == expected


def test_flags_come_first() -> None:
    assert choose_launch(SLURM | MPI | PLAIN, "host:99", 2, 1) == Launch("flags", "host:99", 2, 1)


@pytest.mark.parametrize(
    ("environ", "notice"),
    [
        (
            {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},
            "allotted 4 tasks .* not started by srun",
        ),
        (PLAIN, "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES set, but not all"),
        ({"JOB_COMPLETION_INDEX": "1"}, "JOB_COMPLETION_INDEX set, but not all"),
    ],
)
def test_half_an_environment_is_one_process_with_a_notice(environ: dict[str, str], notice: str) -> None:
    launch = choose_launch(environ)
    assert (launch.by, launch.processes) == ("alone", 1)
    assert launch.notice is not None
    with pytest.raises(AssertionError, match=notice):
        raise AssertionError(launch.notice)


def test_one_task_of_slurm_without_srun_needs_no_notice() -> None:
    assert choose_launch({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1"}) == Launch("alone")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (SLURM | {"SLURM_PROCID": "x"}, "environment's SLURM_PROCID must be a whole number; found 'x'"),
        (SLURM | {"SLURM_PROCID": "8"}, r"process 8 of 8 \(slurm\)"),
        (PLAIN | {"JAX_PROCESS_ID": "-1"}, "JAX_PROCESS_ID must be a whole number; found '-1'"),
        (MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, "mpirun -x JAX_COORDINATOR_ADDRESS=HOST:PORT"),
    ],
)
def test_environments_that_cannot_be_right(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose_launch(environ)


def test_batches_lie_divided_over_the_mesh() -> None:
    mesh = make_mesh()
    assert mesh.shape == {DATA_AXIS: 8}
    assert mesh.axis_types == (AxisType.Auto,)
    batch = {"image": np.arange(16.0 * 3, dtype=np.float32).reshape(16, 3), "label": np.arange(16, dtype=np.int32)}
    placed = to_global(mesh, batch)
    assert placed["image"].sharding == batch_sharding(mesh)
    assert placed["image"].sharding.spec == PartitionSpec(DATA_AXIS)
    assert [shard.data.shape for shard in placed["image"].addressable_shards] == [(2, 3)] * 8
    np.testing.assert_array_equal(placed["image"], batch["image"])
    np.testing.assert_array_equal(placed["label"], batch["label"])
    assert jax.device_put(np.ones(3), replicated(mesh)).sharding.is_fully_replicated
    with pytest.raises(ValueError, match="a host's batch must be a multiple of its 8 devices; found 12"):
        to_global(mesh, {"image": np.zeros((12, 3))})


def _step_of(launch: Launch) -> dict[str, list[float]]:
    """One training step on this process's share of a batch; the same numbers on every process."""
    rng = np.random.default_rng(0)
    graphdef, shapes = unet.structure(2)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(leaf.dtype), shapes)
    image = rng.normal(size=(8, 16, 16, 9)).astype(np.float32)
    label, weight = ((image[..., index : index + 1] > -index).astype(np.float32) for index in (0, 1))
    own = slice(8 * launch.process // launch.processes, 8 * (launch.process + 1) // launch.processes)
    mesh, descent = make_mesh(), optax.sgd(1.0)  # at rate 1 the change is the gradient
    train = jax.jit(
        partial(train_step, objective=Objective(graphdef, 0.5, 1), optimiser=descent),
        out_shardings=replicated(mesh),
    )
    batch = to_global(mesh, {"image": image[own], "label": label[own], "weight": weight[own]})
    state, sums = train(jax.device_put(init_state(params, descent), replicated(mesh)), batch)
    gradient = np.asarray(state.params["bottom"]["first"]["kernel"]) - params["bottom"]["first"]["kernel"]
    return {"sums": [float(value) for value in sums], "gradient": gradient.ravel().tolist()}


def test_two_processes_step_as_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = os.environ | {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": "2",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])),
    }
    running = [
        subprocess.Popen([sys.executable, __file__], env=environ | {"JAX_PROCESS_ID": index}, stdout=subprocess.PIPE)
        for index in "01"
    ]
    try:
        one = _step_of(Launch("alone"))
        outputs = [process.communicate(timeout=180)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0]
    for two in map(json.loads, outputs):  # and nothing but ours is on standard output
        assert two["sums"][1:] == one["sums"][1:]
        # 1e-5, of the loss and of the largest gradient: float32 sums in another order
        assert two["sums"][0] == pytest.approx(one["sums"][0], rel=1e-5)
        np.testing.assert_allclose(two["gradient"], one["gradient"], atol=1e-5 * max(map(abs, one["gradient"])))


if __name__ == "__main__":
    use_cpu_only()
    JOINED = choose_launch(os.environ)
    start_distributed(JOINED)
    print(json.dumps(_step_of(JOINED)))


def test_processes_must_have_as_many_devices_each() -> None:
    check_even([0, 0, 1, 1])
    check_even([0])
    with pytest.raises(UserError, match="as many devices as the others; found 1 in process 0, 2 in process 1: show"):
        check_even([0, 1, 1])
