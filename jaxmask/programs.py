"""Edge: the compiled functions of a training: what runs on the devices, and how its arrays are laid over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

from jaxmask.config import TrainConfig
from jaxmask.mesh import DATA_AXIS, batch_sharding, replicated, to_global
from jaxmask.metrics import Sums
from jaxmask.optimiser import clipped, keras_adam
from jaxmask.schedule import Schedule, scaled_rate
from jaxmask.step import Objective, TrainState, all_finite, eval_step, init_state, train_step
from jaxmask.unet import create, structure
from preprocess.errors import UserError

MOST_COUNTED = 2**31 - 1  # pixels of a step, which are counted in int32


@dataclass(frozen=True)
class Programs:
    """Each compiled once a run; states are replicated over the mesh, batches are divided over it."""

    init: Callable[[], TrainState]
    train: Callable[[TrainState, Any], tuple[TrainState, Sums]]  # gives the state's memory to the next state
    test: Callable[[TrainState, Any], tuple[TrainState, Sums]]  # of the running mean, where kept; the state as it is
    finite: Callable[[TrainState], jax.Array]
    vote: Callable[[int], jax.Array]  # the greatest number that any process gives


def make_programs(config: TrainConfig, mesh: Mesh, *, global_batch: int, steps_per_epoch: int) -> Programs:
    """Build the functions of a training under `config` on `mesh`; they compile at their first call.

    All processes must call this together.

    global_batch: patches a step over all devices and parts; steps_per_epoch: those of training, for the schedule.
    Raises UserError if a step has more pixels than can be counted.
    """
    _check_countable(config, global_batch)
    objective, optimiser = make_objective(config), make_optimiser(config, global_batch, steps_per_epoch)
    same, divided = replicated(mesh), batch_sharding(mesh)
    # XLA's word for leaving out what adds in no fixed order, and for choosing kernels without timing them.
    options = {"xla_gpu_deterministic_ops": True} if config.deterministic else None
    jit = partial(jax.jit, out_shardings=same, compiler_options=options)
    over_devices = partial(
        jax.shard_map, mesh=mesh, in_specs=(PartitionSpec(), PartitionSpec(DATA_AXIS)), out_specs=PartitionSpec(),
        check_vma=False,
    )  # fmt: skip
    train = partial(train_step, objective=objective, optimiser=optimiser, mean_share=config.ema)
    evaluate = jit(over_devices(partial(eval_step, objective=objective)), in_shardings=(same, divided))
    return Programs(
        init=jit(partial(_first_state, config, optimiser)),
        train=jit(over_devices(train), in_shardings=(same, divided), donate_argnums=0),
        test=lambda state, batch: (state, evaluate(state.params if state.ema is None else state.ema, batch)),
        finite=jit(all_finite),
        vote=_vote(mesh),
    )


def make_objective(config: TrainConfig) -> Objective:
    """What a training under `config` minimises, each device computing its own patches."""
    graphdef, _ = structure(config.features)
    dtype = jnp.dtype(config.precision)
    return Objective(graphdef, config.wbce, config.clip_offset, dtype, config.accumulate, DATA_AXIS)


def make_optimiser(config: TrainConfig, global_batch: int, steps_per_epoch: int) -> optax.GradientTransformation:
    """Adam with the step size of each step and the clipping that `config` asks for."""
    rate = config.learning_rate
    schedule = Schedule(
        peak=scaled_rate(rate, global_batch) if config.scale_learning_rate else rate,
        kind=config.schedule,
        warmup=round(config.warmup_epochs * steps_per_epoch),
        total=config.epochs * steps_per_epoch,
    )
    optimiser = keras_adam(schedule)
    return optimiser if config.clip_norm is None else clipped(optimiser, config.clip_norm)


def _first_state(config: TrainConfig, optimiser: optax.GradientTransformation) -> TrainState:
    _, params = create(config.features, config.seed)
    dtype = jnp.float64 if config.precision == "float64" else jnp.float32
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    return init_state(params, optimiser, with_mean=config.ema is not None)


def _check_countable(config: TrainConfig, global_batch: int) -> None:
    inner = config.patch_size - 2 * config.clip_offset
    if global_batch * inner**2 > MOST_COUNTED:
        raise UserError(
            f"--global-batch-size must be at most {MOST_COUNTED // inner**2} patches of {inner} x {inner} pixels that "
            f"count, as a step counts them in 31 bits; found {global_batch}: choose fewer"
        )


def _vote(mesh: Mesh) -> Callable[[int], jax.Array]:
    """A vote without waiting: the answer is an int32 scalar on the devices, as a step's sums are."""
    highest = jax.jit(jnp.max, in_shardings=batch_sharding(mesh), out_shardings=replicated(mesh))
    local = len(mesh.local_devices)

    def vote(says: int) -> jax.Array:
        return highest(to_global(mesh, {"says": np.full(local, says, np.int32)})["says"])

    # Before a step compiles, for minutes maybe: where all devices meet for the first time, gloo waits 30 s.
    jax.block_until_ready(vote(0))
    return vote
