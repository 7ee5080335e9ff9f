"""A running mean of the parameters, which lately learnt ones weigh most in."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxmask.optimiser import one_minus_power
from jaxmask.unet import Params


def follow(mean: Params, params: Params, share: float, steps: jax.Array) -> Params:
    """The mean after `steps` steps (int32, from 1), of which `params` are the last and `mean` is that of the others.

    Each step weighs `share` times as much as the one after it and all weigh 1 together, so that the parameters before
    the first step are left out: mean + (params - mean) * (1 - share) / (1 - share**steps), the bias-corrected moving
    average of Kingma & Ba 2014 (arXiv:1412.6980, section 3) without its intermediate.
    """
    weight = (1.0 - share) / one_minus_power(share, steps.astype(jnp.float32))
    return jax.tree.map(lambda old, new: old + weight.astype(old.dtype) * (new - old), mean, params)
