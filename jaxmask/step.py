"""One step of training and of testing: pure functions of (state, batch), to be jitted by the caller.

A batch is divided over devices by `jax.shard_map` along an axis whose name the step is given: each device sees its own
patches, in one part or in several after each other, and the only thing that devices exchange is the sum of what they
found. So the result does not depend on how many devices share a batch, nor in how many parts they compute it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.typing import DTypeLike

from jaxmask.conv import Form
from jaxmask.losses import clip_weights, weighted_cross_entropy
from jaxmask.metrics import Sums, batch_sums
from jaxmask.pixels import decode
from jaxmask.running_mean import follow
from jaxmask.unet import Params, apply

Batch = dict[str, jax.Array]  # as jaxmask.pixels.decode takes it
Tree = TypeVar("Tree")


class TrainState(NamedTuple):
    """All that a step changes."""

    params: Params
    opt_state: Any
    step: jax.Array  # int32, batches learnt from
    ema: Params | None = None  # running mean of the parameters, where one is kept


@dataclass(frozen=True)
class Objective:
    """What is minimised and counted, and how it is computed."""

    graphdef: nnx.GraphDef
    positive_weight: float
    clip_offset: int
    dtype: DTypeLike = jnp.float32  # that the network computes in; loss and sums are of the parameters' type
    parts: int = 1  # in which each device computes its patches, one after the other
    axis: str | None = None  # along which a batch is divided over devices; None: it is whole
    form: Form | None = None  # of the network's convolutions; None: what suits the platform


def init_state(params: Params, optimiser: optax.GradientTransformation, *, with_mean: bool = False) -> TrainState:
    """The state before the first step; `with_mean` has the running mean of the parameters kept."""
    mean = jax.tree.map(jnp.copy, params) if with_mean else None
    return TrainState(params, optimiser.init(params), jnp.zeros((), jnp.int32), mean)


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    objective: Objective,
    optimiser: optax.GradientTransformation,
    mean_share: float | None = None,
) -> tuple[TrainState, Sums]:
    """Descend the mean loss of the whole batch once; return the new state and the sums before the change.

    batch: this device's patches. mean_share: of the running mean, if the state has one.
    The loss is divided by the whole batch's weight. A batch without any weight leaves the state as it was, its step
    count and moments too, as if it had not come. A step that makes a parameter infinite or not a number says so by a
    loss of NaN.
    """

    def loss_sum(params: Params, part: Batch) -> tuple[jax.Array, Sums]:
        sums = _forward(params, part, objective)
        return sums.loss, sums

    def per_part(part: Batch) -> tuple[Params, Sums]:
        return jax.grad(loss_sum, has_aux=True)(state.params, part)

    gradient_sum, sums = _sum(per_part, batch, objective)
    weight = jnp.where(sums.weight > 0, sums.weight, 1.0)
    gradient = jax.tree.map(lambda leaf: leaf / weight, gradient_sum)
    change, opt_state = optimiser.update(gradient, state.opt_state, state.params)
    params, count = optax.apply_updates(state.params, change), state.step + 1
    mean = state.ema
    if mean is not None and mean_share is not None:
        mean = follow(mean, params, mean_share, count)
    stepped = TrainState(params, opt_state, count, mean)
    sums = sums._replace(loss=jnp.where(all_finite(params), sums.loss, jnp.nan))
    return jax.tree.map(lambda new, old: jnp.where(sums.weight > 0, new, old), stepped, state), sums


def eval_step(params: Params, batch: Batch, *, objective: Objective) -> Sums:
    """Sums of the whole batch under `params`; with the training's clip_offset, the same pixels count.

    batch: this device's patches.
    """
    return _sum(lambda part: _forward(params, part, objective), batch, objective)


def all_finite(tree: Any) -> jax.Array:
    """Return a boolean scalar: whether every number in the leaves of `tree` is finite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _sum(per_part: Callable[[Batch], Tree], batch: Batch, objective: Objective) -> Tree:
    """Add what `per_part` gives over the parts of this device's patches, then over the devices."""
    own = _sum_of_parts(per_part, batch, objective.parts)
    return own if objective.axis is None else jax.lax.psum(own, objective.axis)


def _sum_of_parts(per_part: Callable[[Batch], Tree], batch: Batch, parts: int) -> Tree:
    if parts == 1:
        return per_part(batch)
    divided = jax.tree.map(lambda leaf: leaf.reshape(parts, -1, *leaf.shape[1:]), batch)
    shapes = jax.eval_shape(per_part, jax.tree.map(lambda leaf: leaf[0], divided))
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def add(total: Tree, part: Batch) -> tuple[Tree, None]:
        return jax.tree.map(operator.add, total, per_part(part)), None

    return jax.lax.scan(add, nothing, divided)[0]


def _forward(params: Params, batch: Batch, objective: Objective) -> Sums:
    exact = jnp.result_type(*jax.tree.leaves(params))
    decoded = decode(batch, exact)
    logits = apply(objective.graphdef, params, decoded["image"], objective.dtype, objective.form)
    weights = clip_weights(decoded["weight"], objective.clip_offset)
    loss_sum, weight_sum = weighted_cross_entropy(logits, decoded["label"], weights, objective.positive_weight)
    return batch_sums(logits, decoded["label"], weights, loss_sum, weight_sum)
