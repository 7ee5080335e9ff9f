"""The step size of each step, in closed form, so that the count of steps is all that a resumed run must know."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

ORIGINAL_BATCH = 32  # patches a step for which the original's step size was chosen


@dataclass(frozen=True)
class Schedule:
    """A step size that grows from 0 to `peak` over `warmup` steps, then stays, or falls to 0 at step `total`.

    The fall is half a cosine: peak * (1 + cos(pi * t)) / 2, t from 0 at the end of the warm-up to 1 at `total`
    (Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts); after `total` it is 0.
    """

    peak: float
    kind: Literal["constant", "cosine"] = "constant"
    warmup: int = 0  # steps
    total: int = 1  # steps

    def __call__(self, count: jax.Array) -> jax.Array:
        """Float32 step size of the step that follows `count` others (int32), as optax counts; float32's digits end
        at 2**24 steps."""
        done = count.astype(jnp.float32)
        rate = jnp.full_like(done, self.peak)
        if self.kind == "cosine":
            share = jnp.clip((done - self.warmup) / max(self.total - self.warmup, 1), 0.0, 1.0)
            rate = 0.5 * self.peak * (1.0 + jnp.cos(math.pi * share))
        return jnp.where(done < self.warmup, self.peak * (done / max(self.warmup, 1)), rate)


def scaled_rate(rate: float, global_batch: int) -> float:
    """The step size for `global_batch` patches a step, where `rate` is for 32: in proportion (Goyal et al. 2017,
    arXiv:1706.02677, section 2.1)."""
    return rate * global_batch / ORIGINAL_BATCH
