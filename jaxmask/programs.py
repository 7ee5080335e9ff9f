"""Edge: the compiled functions of a training: what runs on the devices, and how its arrays are laid over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxmask.config import TrainConfig
from jaxmask.mesh import batch_sharding, replicated, to_global
from jaxmask.metrics import Sums
from jaxmask.optimiser import keras_adam
from jaxmask.pixels import Patch
from jaxmask.step import TrainState, all_finite, eval_step, init_state, train_step
from jaxmask.unet import create, structure


@dataclass(frozen=True)
class Programs:
    """Each compiled once a run; states are replicated over the mesh, batches are divided over it."""

    init: Callable[[], TrainState]
    train: Callable[[TrainState, Any], tuple[TrainState, Sums]]  # gives the state's memory to the next state
    test: Callable[[TrainState, Any], tuple[TrainState, Sums]]  # returns the state as it is
    finite: Callable[[TrainState], jax.Array]
    place: Callable[[Patch], Any]  # this host's part of a batch -> the global batch
    vote: Callable[[int], jax.Array]  # the greatest number that any process gives


def make_programs(config: TrainConfig, mesh: Mesh, *, global_batch: int, steps_per_epoch: int) -> Programs:
    """Build the functions of a training under `config` on `mesh`; they compile at their first call.

    global_batch: patches a step over all devices and parts; steps_per_epoch: those of training, for the schedule.
    """
    graphdef, _ = structure(config.features)
    optimiser = keras_adam(config.learning_rate)
    same, divided = replicated(mesh), batch_sharding(mesh)
    loss: dict[str, Any] = {
        "graphdef": graphdef,
        "positive_weight": config.wbce,
        "clip_offset": config.clip_offset,
    }
    train = jax.jit(
        partial(train_step, optimiser=optimiser, **loss),
        donate_argnums=0,
        in_shardings=(same, divided),
        out_shardings=same,
    )
    evaluate = jax.jit(partial(eval_step, **loss), in_shardings=(same, divided), out_shardings=same)
    return Programs(
        init=jax.jit(lambda: init_state(create(config.features, config.seed)[1], optimiser), out_shardings=same),
        train=train,
        test=lambda state, batch: (state, evaluate(state.params, batch)),
        finite=jax.jit(all_finite, out_shardings=same),
        place=lambda batch: to_global(mesh, batch),
        vote=_vote(mesh),
    )


def _vote(mesh: Mesh) -> Callable[[int], jax.Array]:
    """A vote without waiting: the answer is an int32 scalar on the devices, as a step's sums are."""
    highest = jax.jit(jnp.max, in_shardings=batch_sharding(mesh), out_shardings=replicated(mesh))
    local = len(mesh.local_devices)
    return lambda says: highest(to_global(mesh, {"says": np.full(local, says, np.int32)})["says"])
