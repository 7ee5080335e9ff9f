"""Steps: the same on one device and on eight, untouched by batches without weight, and downhill."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxmask import unet
from jaxmask.losses import clip_weights, weighted_cross_entropy
from jaxmask.metrics import summarise
from jaxmask.optimiser import keras_adam
from jaxmask.step import TrainState, eval_step, init_state, train_step

GRAPHDEF, PARAMS = unet.create(4, seed=0)
TASK = {"graphdef": GRAPHDEF, "positive_weight": 0.5, "clip_offset": 3}
OPTIMISER = keras_adam(0.001)


def _batch(size: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(size, 64, 64, 9)).astype(np.float32)
    label = (image[..., :1] + 0.3 * image[..., 8:] > 0).astype(np.float32)
    return {"image": image, "label": label, "weight": (rng.random(label.shape) > 0.2).astype(np.float32)}


def _on(devices: int) -> tuple[NamedSharding, NamedSharding]:
    mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    return NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())


def _run(devices: int, optimiser: optax.GradientTransformation, batch: dict) -> tuple[TrainState, object]:
    shared, whole = _on(devices)
    step = jax.jit(partial(train_step, optimiser=optimiser, **TASK), out_shardings=whole)
    state = jax.device_put(init_state(PARAMS, optimiser), whole)
    return step(state, jax.device_put(batch, shared))


@pytest.mark.quick
def test_eight_devices_step_as_one() -> None:
    # Plain descent at rate 1: the change of the parameters is the gradient.
    descent = optax.sgd(1.0)
    batch = _batch()
    batch["weight"][:3] = 0.0  # three devices without any weight: a mean of means would differ
    (one, one_sums), (eight, eight_sums) = _run(1, descent, batch), _run(8, descent, batch)
    assert jax.tree.leaves(eight.params)[0].sharding.is_fully_replicated
    assert len(jax.tree.leaves(eight.params)[0].sharding.device_set) == 8
    assert tuple(map(int, one_sums[2:])) == tuple(map(int, eight_sums[2:]))
    # 1e-5, of the loss and of each array's largest gradient: float32 sums in another order
    assert float(eight_sums.loss) == pytest.approx(float(one_sums.loss), rel=1e-5)
    for start, a, b in zip(*map(jax.tree.leaves, (PARAMS, one.params, eight.params)), strict=True):
        gradient = np.asarray(a) - np.asarray(start)
        np.testing.assert_allclose(np.asarray(b) - np.asarray(start), gradient, atol=1e-5 * abs(gradient).max())


def test_gradient_is_of_the_mean_over_the_weight() -> None:
    batch = _batch(2)
    state, sums = jax.jit(partial(train_step, optimiser=optax.sgd(1.0), **TASK))(
        init_state(PARAMS, optax.sgd(1.0)), batch
    )
    direction = jax.tree.map(lambda old, new: old - new, PARAMS, state.params)
    length = float(optax.tree.norm(direction))
    loss = jax.jit(partial(_mean_loss, batch))
    # Central difference along the gradient: its slope is the gradient's length; 1 %: float32 losses and curvature
    move = 0.002
    ahead, behind = (
        jax.tree.map(lambda p, d, sign=sign: p + sign * move / length * d, PARAMS, direction) for sign in (1, -1)
    )
    assert float(loss(ahead) - loss(behind)) / (2 * move) == pytest.approx(length, rel=0.01)
    assert summarise(sums)["loss"] == pytest.approx(float(loss(PARAMS)), rel=1e-6)


def _mean_loss(batch: dict, params: unet.Params) -> jax.Array:
    weights = clip_weights(jnp.asarray(batch["weight"]), TASK["clip_offset"])
    total, weight = weighted_cross_entropy(unet.apply(GRAPHDEF, params, batch["image"]), batch["label"], weights, 0.5)
    return total / weight


@pytest.mark.quick
def test_a_batch_without_weight_changes_nothing() -> None:
    step = jax.jit(partial(train_step, optimiser=OPTIMISER, **TASK))
    batch = _batch(2)
    before, _ = step(init_state(PARAMS, OPTIMISER), batch)
    after, sums = step(before, batch | {"weight": np.zeros_like(batch["weight"])})
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(old, new)
    assert tuple(map(float, sums)) == (0, 0, 0, 0, 0, 0)
    assert int(after.step) == 1


def test_one_trace_serves_all_batches() -> None:
    traces = []

    def counted(state: TrainState, batch: dict) -> tuple:
        traces.append(1)
        return train_step(state, batch, optimiser=OPTIMISER, **TASK)

    shared, whole = _on(8)
    step = jax.jit(counted, out_shardings=whole, donate_argnums=0)
    state = jax.device_put(init_state(jax.tree.map(jnp.copy, PARAMS), OPTIMISER), whole)
    losses = []
    for _ in range(4):
        state, sums = step(state, jax.device_put(_batch(), shared))
        losses.append(float(sums.loss))
    assert len(traces) == 1
    assert int(state.step) == 4
    assert losses == sorted(losses, reverse=True)


def test_testing_sees_what_training_sees() -> None:
    batch = _batch(2)
    _, trained = jax.jit(partial(train_step, optimiser=OPTIMISER, **TASK))(init_state(PARAMS, OPTIMISER), batch)
    tested = jax.jit(partial(eval_step, **TASK))(PARAMS, batch)
    assert tuple(map(int, trained[2:])) == tuple(map(int, tested[2:]))
    # 1e-6: one program may fuse the sums otherwise than the other
    assert float(trained.loss) == pytest.approx(float(tested.loss), rel=1e-6)
