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
from jaxmask.metrics import Sums, summarise
from jaxmask.optimiser import keras_adam
from jaxmask.pixels import CENTRES, STEPS, turned
from jaxmask.step import Objective, TrainState, all_finite, eval_step, init_state, train_step

GRAPHDEF, PARAMS = unet.create(4, seed=0)
OBJECTIVE = Objective(GRAPHDEF, positive_weight=0.5, clip_offset=3)
OPTIMISER = keras_adam(0.001)
DESCENT = optax.sgd(1.0)  # at rate 1 the change of the parameters is the gradient


def _batch(size: int = 8, seed: int = 0, patch: int = 64) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(size, patch, patch, 9)).astype(np.float32)
    label = (image[..., :1] + 0.3 * image[..., 8:] > 0).astype(np.uint8)
    return {"image": image, "label": label, "weight": (rng.random(label.shape) > 0.2).astype(np.uint8)}


def _run(devices: int, batch: dict, parts: int = 1) -> tuple[TrainState, Sums]:
    """One step of plain descent, its batch divided over `devices`."""
    mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    objective = Objective(GRAPHDEF, 0.5, 3, parts=parts, axis="data")
    whole, divided = PartitionSpec(), PartitionSpec("data")
    step = partial(train_step, objective=objective, optimiser=DESCENT)
    spread = jax.shard_map(step, mesh=mesh, in_specs=(whole, divided), out_specs=whole, check_vma=False)
    state = jax.device_put(init_state(PARAMS, DESCENT), NamedSharding(mesh, whole))
    return jax.jit(spread)(state, jax.device_put(batch, NamedSharding(mesh, divided)))


def _assert_same_gradient(one: TrainState, other: TrainState) -> None:
    # 1e-5 of each array's largest gradient: float32 sums in another order
    for start, a, b in zip(*map(jax.tree.leaves, (PARAMS, one.params, other.params)), strict=True):
        gradient = np.asarray(a) - np.asarray(start)
        assert abs(gradient).max() > 0
        np.testing.assert_allclose(np.asarray(b) - np.asarray(start), gradient, atol=1e-5 * abs(gradient).max())


@pytest.mark.quick
def test_eight_devices_step_as_one() -> None:
    batch = _batch()
    batch["weight"][:3] = 0  # three devices without any weight: a mean of means would differ
    (one, one_sums), (eight, eight_sums) = _run(1, batch), _run(8, batch)
    kernel = eight.params["head"]["kernel"]
    assert kernel.sharding.is_fully_replicated
    assert len(kernel.sharding.device_set) == 8
    for shard in kernel.addressable_shards:
        np.testing.assert_array_equal(shard.data, kernel)
    assert tuple(map(int, one_sums[2:])) == tuple(map(int, eight_sums[2:]))
    # 1e-5: float32 sums in another order
    assert float(eight_sums.loss) == pytest.approx(float(one_sums.loss), rel=1e-5)
    _assert_same_gradient(one, eight)


def test_parts_step_as_the_whole() -> None:
    batch = _batch(8, patch=32)
    batch["weight"][1:4] = 0  # parts of different weight: a mean of means would differ
    whole, sums = _run(2, batch)
    parts, part_sums = _run(2, batch, parts=4)
    assert tuple(map(int, part_sums[2:])) == tuple(map(int, sums[2:]))
    assert float(part_sums.loss) == pytest.approx(float(sums.loss), rel=1e-5)
    _assert_same_gradient(whole, parts)
    tested = jax.jit(partial(eval_step, objective=Objective(GRAPHDEF, 0.5, 3, parts=8)))(PARAMS, batch)
    assert tuple(map(int, tested[2:])) == tuple(map(int, sums[2:]))
    assert float(tested.loss) == pytest.approx(float(sums.loss), rel=1e-5)


def test_gradient_is_of_the_mean_over_the_weight() -> None:
    batch = _batch(2)
    state, sums = jax.jit(partial(train_step, objective=OBJECTIVE, optimiser=DESCENT))(
        init_state(PARAMS, DESCENT), batch
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
    label, weight = (jnp.asarray(batch[name], jnp.float32) for name in ("label", "weight"))
    weights = clip_weights(weight, OBJECTIVE.clip_offset)
    total, weight = weighted_cross_entropy(unet.apply(GRAPHDEF, params, batch["image"]), label, weights, 0.5)
    return total / weight


@pytest.mark.quick
def test_a_batch_without_weight_changes_nothing() -> None:
    step = jax.jit(partial(train_step, objective=OBJECTIVE, optimiser=OPTIMISER, mean_share=0.5))
    batch = _batch(2)
    first, _ = step(init_state(PARAMS, OPTIMISER, with_mean=True), batch)
    before, _ = step(first, batch)  # from here the mean is not the parameters
    after, sums = step(before, batch | {"weight": np.zeros_like(batch["weight"])})
    assert len(jax.tree.leaves(before)) == 4 * len(jax.tree.leaves(PARAMS)) + 2  # moments, mean, count and step too
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(old, new)
    assert tuple(map(float, sums)) == (0, 0, 0, 0, 0, 0)
    assert (int(after.step), int(after.opt_state.count)) == (2, 2)
    kernel, mean = after.params["head"]["kernel"], after.ema["head"]["kernel"]
    assert float(abs(kernel - mean).max()) > 0


def test_a_step_that_spoils_a_parameter_says_so() -> None:
    step, batch = partial(train_step, objective=OBJECTIVE), _batch(2, patch=32)
    for rate, finite in ((1.0, True), (np.inf, False)):
        optimiser = optax.sgd(rate)
        state, sums = jax.jit(partial(step, optimiser=optimiser))(init_state(PARAMS, optimiser), batch)
        assert bool(all_finite(state.params)) == bool(jnp.isfinite(sums.loss)) == finite
        assert float(sums.weight) > 0


def test_the_running_mean_is_of_the_parameters_after_each_step() -> None:
    step = jax.jit(partial(train_step, objective=OBJECTIVE, optimiser=OPTIMISER, mean_share=0.5))
    state, seen = init_state(PARAMS, OPTIMISER, with_mean=True), []
    for _ in range(2):
        state, _ = step(state, _batch(2, patch=32))
        seen.append(np.asarray(state.params["head"]["kernel"]))
    # Weights 1/2 and 1 over 3/2, by hand; 1e-6: float32
    np.testing.assert_allclose(state.ema["head"]["kernel"], (seen[0] + 2 * seen[1]) / 3, rtol=1e-6, atol=1e-8)


def test_counts_and_turns_are_decoded_in_the_step() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(-(2**14), 2**14, (3, 16, 16, 9)).astype(np.int16)
    flat = {name: rng.integers(0, 2, (3, 16, 16, 1)).astype(np.uint8) for name in ("label", "weight")}
    codes = np.array([0, 3, 6], np.uint8)
    evaluate = jax.jit(partial(eval_step, objective=OBJECTIVE))
    kept = evaluate(PARAMS, {"image": counts, "turn": codes, **flat})
    plain = {"image": counts * STEPS + CENTRES, **flat}
    seen = evaluate(PARAMS, {name: turned(jnp.asarray(array), codes) for name, array in plain.items()})
    assert tuple(map(int, kept[2:])) == tuple(map(int, seen[2:]))
    # 1e-6: one program may fuse the sums otherwise than the other
    assert float(kept.loss) == pytest.approx(float(seen.loss), rel=1e-6)


def test_bfloat16_computes_coarsely_and_keeps_float32() -> None:
    objective = Objective(GRAPHDEF, 0.5, 3, dtype=jnp.bfloat16)
    state = init_state(PARAMS, DESCENT)
    coarse, coarse_sums = jax.jit(partial(train_step, objective=objective, optimiser=DESCENT))(state, _batch(2))
    fine, sums = jax.jit(partial(train_step, objective=OBJECTIVE, optimiser=DESCENT))(state, _batch(2))
    assert {leaf.dtype for leaf in jax.tree.leaves(coarse.params)} == {jnp.dtype(jnp.float32)}
    assert (coarse_sums.loss.dtype, coarse_sums.weight.dtype) == (jnp.float32, jnp.float32)
    assert float(coarse_sums.weight) == float(sums.weight)  # which bfloat16 could not count
    # 2 %: 8 bits of mantissa through 15 layers; but not the float32 answer
    assert float(coarse_sums.loss) == pytest.approx(float(sums.loss), rel=0.02)
    assert float(coarse_sums.loss) != float(sums.loss)
    change, coarse_change = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(jax.tree.map(jnp.subtract, after.params, PARAMS))])
        for after in (fine, coarse)
    )
    cosine = change @ coarse_change / np.linalg.norm(change) / np.linalg.norm(coarse_change)
    assert cosine > 0.99  # the same direction within 8 degrees


def test_one_trace_serves_all_batches() -> None:
    traces = []

    def counted(state: TrainState, batch: dict) -> tuple:
        traces.append(1)
        return train_step(state, batch, objective=OBJECTIVE, optimiser=OPTIMISER)

    step = jax.jit(counted, donate_argnums=0)
    state = init_state(jax.tree.map(jnp.copy, PARAMS), OPTIMISER)
    losses = []
    for _ in range(4):
        state, sums = step(state, _batch())
        losses.append(float(sums.loss))
    assert len(traces) == 1
    assert int(state.step) == 4
    assert losses == sorted(losses, reverse=True)


def test_testing_sees_what_training_sees() -> None:
    batch = _batch(2)
    state = init_state(PARAMS, OPTIMISER)
    _, trained = jax.jit(partial(train_step, objective=OBJECTIVE, optimiser=OPTIMISER))(state, batch)
    tested = jax.jit(partial(eval_step, objective=OBJECTIVE))(PARAMS, batch)
    assert tuple(map(int, trained[2:])) == tuple(map(int, tested[2:]))
    # 1e-6: one program may fuse the sums otherwise than the other
    assert float(trained.loss) == pytest.approx(float(tested.loss), rel=1e-6)
