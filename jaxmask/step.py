"""One step of training and of testing: pure functions of (state, batch), to be jitted by the caller.

Under jit with a batch sharded over devices every sum here is over the global batch, so that the result does not depend
on how many devices share it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jaxmask.losses import clip_weights, weighted_cross_entropy
from jaxmask.metrics import Sums, batch_sums
from jaxmask.unet import Params, apply

Batch = dict[str, jax.Array]  # image (B, H, W, 9), label and weight (B, H, W, 1), float32


class TrainState(NamedTuple):
    """All that a step changes."""

    params: Params
    opt_state: Any
    step: jax.Array  # int32, batches learnt from
    ema: Params | None = None  # running mean of the parameters, where one is kept


def init_state(params: Params, optimiser: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    return TrainState(params, optimiser.init(params), jnp.zeros((), jnp.int32))


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    graphdef: nnx.GraphDef,
    optimiser: optax.GradientTransformation,
    positive_weight: float,
    clip_offset: int,
) -> tuple[TrainState, Sums]:
    """Descend the mean loss of the batch once; return the new state and the sums before the change.

    The loss is divided by the batch's whole weight. A batch without any weight leaves the state as it was, its step
    count and moments too, as if it had not come.
    """

    def mean_loss(params: Params) -> tuple[jax.Array, Sums]:
        sums = _forward(params, batch, graphdef, positive_weight, clip_offset)
        return sums.loss / jnp.where(sums.weight > 0, sums.weight, 1.0), sums

    gradient, sums = jax.grad(mean_loss, has_aux=True)(state.params)
    change, opt_state = optimiser.update(gradient, state.opt_state, state.params)
    stepped = TrainState(optax.apply_updates(state.params, change), opt_state, state.step + 1)
    return jax.tree.map(lambda new, old: jnp.where(sums.weight > 0, new, old), stepped, state), sums


def eval_step(
    params: Params, batch: Batch, *, graphdef: nnx.GraphDef, positive_weight: float, clip_offset: int
) -> Sums:
    """Sums of the batch under `params`; with the training's clip_offset, the same pixels count."""
    return _forward(params, batch, graphdef, positive_weight, clip_offset)


def all_finite(tree: Any) -> jax.Array:
    """Return a boolean scalar: whether every number in the leaves of `tree` is finite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _forward(params: Params, batch: Batch, graphdef: nnx.GraphDef, positive_weight: float, clip_offset: int) -> Sums:
    logits = apply(graphdef, params, batch["image"])
    weights = clip_weights(batch["weight"], clip_offset)
    loss_sum, weight_sum = weighted_cross_entropy(logits, batch["label"], weights, positive_weight)
    return batch_sums(logits, batch["label"], weights, loss_sum, weight_sum)
