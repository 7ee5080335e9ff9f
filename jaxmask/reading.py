"""Edge: scenes read ahead of the devices: by threads of this process, by other processes, or by a cluster."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import jax

from jaxmask.infer_config import InferConfig
from jaxmask.model import Model
from jaxmask.scene_input import SceneInput, read_input
from jaxmask.scene_source import Wanted, is_shard
from jaxmask.threads import map_threads
from preprocess.outcome import Outcome
from preprocess.pool import available_cores, map_items
from preprocess.progress import progress

Scenes = Iterator[Outcome[Path, SceneInput]]

MOST_THREADS = 8  # beyond it those that unpack wait for each other's Python


@contextmanager
def reading(config: InferConfig, model: Model, paths: Sequence[Path], *, quiet: bool) -> Iterator[Scenes]:
    """Yield the scenes of `paths` as they come, made into what the model wants; at the end no more are begun.

    Shards are read by threads of this process, which hand over 90 MB a scene without a copy and unpack side by side:
    0.17 s of a core each, by processes 0.24. Raw products, of which Python holds the lock for longer, by processes.
    """
    wanted = Wanted(model.convention, model.calibration, model.regridding, force=config.force, verify=config.verify)
    reader = partial(read_input, wanted=wanted, picture=config.night if config.png else None)
    shards = all(map(is_shard, paths))
    if config.scheduler is None and (config.workers == 0 or (config.workers is None and shards)):
        threads = 1 if config.workers == 0 else min(usual_readers(config), MOST_THREADS)
        outcomes = _with_bar(map_threads(reader, paths, threads), len(paths), quiet=quiet)
    else:
        workers = usual_readers(config) if config.workers is None else config.workers
        scheduler = config.scheduler
        outcomes = map_items(
            reader, paths, workers=workers, scheduler=scheduler, label="infer", unit="products", quiet=quiet
        )
    try:
        yield outcomes
    finally:
        if isinstance(outcomes, Generator):
            outcomes.close()


def usual_readers(config: InferConfig) -> int:
    """How many readers keep this machine's devices busy: a core each beside accelerators; beside a CPU fewer.

    The network takes most of the cores then: a raw product costs 0.6 s of a core to read, its mask 2.7 s in jax
    (float32) and 0.9 s in OpenVINO (bfloat16).
    """
    cores = available_cores()
    if config.backend == "jax" and jax.default_backend() != "cpu":
        return cores
    return max(1, cores // (4 if config.backend == "jax" else 2))


def _with_bar(outcomes: Scenes, total: int, *, quiet: bool) -> Scenes:
    with progress(total, "infer", "products", quiet=quiet) as advance:
        for outcome in outcomes:
            advance(1, "")
            yield outcome
