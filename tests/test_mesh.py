"""Batches on the mesh, and two real processes against one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

import jax
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxmask import unet
from jaxmask.launch_choice import Launch, choose_launch
from jaxmask.mesh import DATA_AXIS, batch_sharding, check_even, make_mesh, replicated, to_global, use_cpu_only
from jaxmask.processes import start_distributed
from jaxmask.step import Objective, init_state, train_step
from preprocess.errors import UserError
from tests.pairs import environment_of_two


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
    environ = environment_of_two()
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
