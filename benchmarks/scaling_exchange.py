"""Time the exchange of gradients between processes that do nothing else; JSON from the first of them.

    python -m launch.local --processes 2 -- python benchmarks/scaling_process.py scaling_exchange [--features 32]

The sum over processes of float32 arrays of the network's shapes, as the step has it: JAX hands them to gloo.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from jaxmask.config import TrainConfig
from jaxmask.mesh import DATA_AXIS, make_mesh, replicated
from jaxmask.processes import is_first, join_others
from jaxmask.unet import count_parameters, structure


def main(argv: list[str] | None = None) -> int:
    """Exchange, say how long each time took, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args(argv)
    join_others(TrainConfig(cpu_only=True))
    mesh = make_mesh()
    _, shapes = structure(options.features)
    everywhere = PartitionSpec()

    def mean(gradients: object) -> object:
        return jax.tree.map(lambda leaf: jax.lax.psum(leaf, DATA_AXIS) / mesh.size, gradients)

    shared = jax.shard_map(mean, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False)
    exchange = jax.jit(shared, out_shardings=replicated(mesh))
    make = jax.jit(lambda: jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes), out_shardings=replicated(mesh))
    gradients = jax.block_until_ready(exchange(make()))
    seconds = []
    for _ in range(options.times):
        begun = time.perf_counter()
        gradients = jax.block_until_ready(exchange(gradients))
        seconds.append(time.perf_counter() - begun)
    if is_first():
        print(json.dumps({"bytes": 4 * count_parameters(shapes), "seconds": seconds}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
