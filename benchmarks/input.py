"""How fast patches come to the devices from each --cache, and how long a step would wait for them.

    python benchmarks/input.py [--shards 4] [--times 5] [--batch 32] [--rounds 5] [--update PAGE] [--output FILE]

Shards of 1200 x 1500 pixels are made up and written by the project's writer: reflectances with the noise of float32,
temperatures in steps of 0.01 K, as in converted products. Each cache is opened, and all batches of an epoch are put on
the devices, round after round, the caches in turn, with turns (--augment); those of none and host once more only
prepared in the host's memory. "of a core" counts the processor's time of all threads, so that other programs hardly
change it; "here" is by the clock. A step that waits is made up: a device that takes the next batch as soon as it is
there and computes for as long as it would at the given rate, while the host prepares at most one batch beyond those
read ahead; its wait is of an epoch from the first batch on. Reading in threads, which training does, is compared with
grain's worker processes. Figures of a CPU are of batches copied from memory to memory; those of a GPU must be taken on
it. Tables on stderr, JSON on stdout.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import grain
import jax
import measure
import numpy as np
from absl import flags
from input_shards import made_up
from pages import updated

from jaxmask.data import LEAST_AHEAD, Feed, Steps, open_feed
from jaxmask.mesh import make_mesh
from jaxmask.order import PADDING, deal
from jaxmask.patch_index import index_patches
from jaxmask.shard_patches import ShardPatches
from jaxmask.tiles import PATCH_SIZE
from jaxmask.training_set import TrainShard, open_training_set
from preprocess.shard import write_shard

CACHES = ("none", "host", "device")
PREPARED = ("none", "host")  # whose batches are made in the host's memory
SEED = 0
RATES = (128.0, 2500.0)  # patches/s: the original's on one V100; the aim on one H100
BATCHES_A_RACE = 24


def main(argv: list[str] | None = None) -> int:
    """Time it all, print the figures, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=4, help="made up for this, each of one product")
    parser.add_argument("--times", type=int, default=5, help="that each is used, as so many products")
    parser.add_argument("--height", type=int, default=1200, help="of each, pixels")
    parser.add_argument("--width", type=int, default=1500, help="of each, pixels")
    parser.add_argument("--patch-size", type=int, default=PATCH_SIZE, help="pixels a side")
    parser.add_argument("--batch", type=int, default=32, help="patches a step")
    parser.add_argument("--processes", type=int, default=2, help="and as many threads, compared; 0: none")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each cache")
    parser.add_argument("--scratch", type=Path, help="folder on the disk to write to")
    parser.add_argument("--output", type=Path, help="file for the JSON too")
    parser.add_argument("--update", type=Path, nargs="*", default=[], help="pages with the marks of this table")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        for number in range(options.shards):
            write_shard(*made_up(Path(scratch), number, options.height, options.width))
        shards = open_training_set(Path(scratch), options.patch_size, quiet=True).shards * options.times
        found = {**measure.machine(), **figures(shards, options)}
    text = table(found)
    measure.tell(found, text.splitlines(), options.output)
    for page in options.update:
        page.write_text(updated(page.read_text(), {"input": text}))
    return 0


def figures(shards: tuple[TrainShard, ...], options: argparse.Namespace) -> dict[str, Any]:
    """All figures of all caches."""
    feeds, opening = {}, {}
    for cache in CACHES:
        opened: list[Feed] = []
        clock = measure.clocked(lambda cache=cache, opened=opened: opened.append(open_one(shards, cache, options)))
        feeds[cache], opening[cache] = opened[0], {"wall_s": clock.wall_s, "cpu_s": clock.cpu_s}
    work: dict[str, Callable[[], object]] = {cache: partial(consume, feed) for cache, feed in feeds.items()}
    work |= {f"{cache}, prepared": partial(prepare, feeds[cache]) for cache in PREPARED}
    times = measure.in_turn(work, options.rounds)
    first = measure.in_turn({cache: partial(first_batch, feed) for cache, feed in feeds.items()}, options.rounds)
    patches = feeds["none"].patches
    return {
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "patches": patches,
        "batch": options.batch,
        "patch_bytes": options.patch_size**2 * 20,
        "opening": opening,
        "times": times,
        "patches_per_core_second": {name: patches / times[name]["cpu_s"] for name in work},
        "patches_per_second": {name: patches / times[name]["median_s"] for name in work},
        "first_batch_s": {cache: first[cache]["median_s"] for cache in CACHES},
        "waits": {cache: waits(feed, options) for cache, feed in feeds.items()},
        "readers": readers(shards, options) if options.processes else {},
    }


def open_one(shards: tuple[TrainShard, ...], cache: Any, options: argparse.Namespace) -> Feed:
    """The feed of a training from `cache`."""
    return open_feed(
        shards,
        patch_size=options.patch_size,
        cache=cache,
        mesh=make_mesh(),
        global_batch=options.batch,
        seed=SEED,
        augment=True,
        quiet=True,
    )


def prepare(feed: Feed) -> None:
    """Make each batch of an epoch in the host's memory."""
    for _ in feed.batches(1, 0):
        pass


def consume(feed: Feed) -> None:
    """Put each batch of an epoch on the devices."""
    for batch in feed.batches(1, 0):
        jax.block_until_ready(feed.place(batch))


def waits(feed: Feed, options: argparse.Namespace) -> dict[str, float]:
    """The share of an epoch's time in which a device of each of RATES has nothing to do; medians over the rounds."""
    shares = {rate: [waited_share(feed, options.batch / rate) for _ in range(options.rounds)] for rate in RATES}
    return {f"{rate:g}": statistics.median(found) for rate, found in shares.items()}


def waited_share(feed: Feed, step_s: float) -> float:
    """Of one epoch from its first batch on."""
    begun = free = idle = 0.0
    for batch in feed.batches(1, 0):
        jax.block_until_ready(feed.place(batch))
        ready = time.perf_counter()
        begun, free = begun or ready, free or ready
        idle += max(0.0, ready - free)
        start = max(ready, free)
        free = start + step_s
        time.sleep(start - ready)
    return idle / (free - begun)


def first_batch(feed: Feed) -> object:
    """Put an epoch's first batch on the devices."""
    return jax.block_until_ready(feed.place(next(feed.batches(1, 0))))


def readers(shards: tuple[TrainShard, ...], options: argparse.Namespace) -> dict[str, float]:
    """Patches/s read from the shards, by the clock: threads beside processes, which start before the clock does."""
    workers = options.processes
    flags.FLAGS.mark_as_parsed()  # grain's processes look at theirs
    index = index_patches(shards, options.patch_size)
    dealt = deal(len(index), options.batch, SEED)
    numbers = np.resize(dealt[dealt != PADDING], (workers + BATCHES_A_RACE, options.batch))
    steps = grain.MapDataset.source(Steps(ShardPatches(index), numbers, None, options.patch_size))
    one_thread = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    threads = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=LEAST_AHEAD)
    processes = grain.MultiprocessingOptions(workers, per_worker_buffer_size=2)
    pipelines = {
        "1 thread": steps.to_iter_dataset(one_thread),
        f"{workers} threads": steps.to_iter_dataset(threads),
        f"{workers} processes": steps.to_iter_dataset(one_thread).mp_prefetch(processes),
    }
    found = {}
    for name, pipeline in pipelines.items():
        batches = iter(pipeline)
        for _ in range(workers):
            next(batches)
        begun = time.perf_counter()
        count = sum(len(batch["image"]) for batch in batches)
        found[name] = count / (time.perf_counter() - begun)
        batches.close()
    return found


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    header = [
        "`--cache`",
        "prepared, patches/s of a core",
        "on the devices, patches/s of a core",
        "patches/s here",
        "opening, CPU ms a patch",
        "first batch, ms",
        *(f"waits at {rate:g} patches/s" for rate in RATES),
    ]
    lines = [
        f"{measure.on_what(found)}; {found['cores']} cores, devices: {found['devices']}; {found['patches']} patches of "
        f"{found['patch_bytes'] / 1e6:.2f} MB, {found['batch']} a step; medians.",
        "",
        f"| {' | '.join(header)} |",
        "|" + "---|" * len(header),
    ]
    rates = found["patches_per_core_second"]
    for cache in CACHES:
        cells = [
            cache,
            f"{rates[f'{cache}, prepared']:,.0f}" if cache in PREPARED else "",
            f"{rates[cache]:,.0f}",
            f"{found['patches_per_second'][cache]:,.0f}",
            f"{1e3 * found['opening'][cache]['cpu_s'] / found['patches']:.1f}",
            f"{1e3 * found['first_batch_s'][cache]:.0f}",
            *(f"{100 * share:.0f} %" for share in found["waits"][cache].values()),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    told = ", ".join(f"{name} {rate:,.0f}" for name, rate in found["readers"].items())
    race = ["", f"Reading from shards alone, patches/s by the clock: {told}."] if told else []
    return "\n".join([*lines, *race])


if __name__ == "__main__":
    sys.exit(main())
