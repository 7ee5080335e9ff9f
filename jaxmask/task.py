"""Edge: what is trained on what: the products, their split, the batch, and the feeds of the parts; alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
from jax.sharding import Mesh

from jaxmask.agreement import check_agreement
from jaxmask.config import TrainConfig, global_batch_size, to_json
from jaxmask.data import Feed, open_feed
from jaxmask.epochs import Plan
from jaxmask.observers import Beginning
from jaxmask.position import PARTS, Part
from jaxmask.processes import is_first
from jaxmask.record import Record, make_record
from jaxmask.split import Split, split_products
from jaxmask.training_set import TrainingSet, TrainShard, open_training_set


@dataclass(frozen=True)
class Task:
    """What is trained: the same on every process."""

    data: TrainingSet
    split: Split
    global_batch: int
    record: Record


def open_task(config: TrainConfig, shards: Path, mesh: Mesh) -> Task:
    """Find and divide the products; UserError unless all processes find the same."""
    data = open_training_set(shards, config.patch_size, config.mix, quiet=not shows_bars(config))
    shares = config.train_split, config.validation_split
    split = split_products(data.names, *shares, config.split_by, config.split_seed)
    global_batch = global_batch_size(config, mesh.size)
    record = make_record(config, global_batch, data, split)
    check_agreement(record, shards)
    return Task(data, split, global_batch, record)


def open_plan(config: TrainConfig, task: Task, mesh: Mesh) -> Plan:
    """Open the feeds of the parts that have products: --cache host and device decode them now."""
    opened: Callable[..., Feed] = partial(
        open_feed,
        patch_size=config.patch_size,
        cache=config.cache_mode,
        mesh=mesh,
        global_batch=task.global_batch,
        quiet=not shows_bars(config),
    )
    shards: dict[Part, tuple[TrainShard, ...]] = dict(zip(PARTS, task.data.parts(task.split), strict=True))
    feeds = {
        part: opened(found, seed=config.seed, augment=config.augment)
        if part == "train"
        else opened(found, seed=None, augment=False)
        for part, found in shards.items()
        if found
    }
    return Plan(config.epochs, task.global_batch, feeds, config.early_stopping)


def beginning_message(task: Task, plan: Plan, parameters: int) -> str:
    """Return the line that says what is about to be trained."""
    processes = f"{jax.process_count()} processes" if jax.process_count() > 1 else "one process"
    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind} in {processes}"
    parts = {
        part: f"{plan.feeds[part].patches} patches of {len(getattr(task.split, part))}" if part in plan.feeds else ""
        for part in PARTS
    }
    validating = f"validating on {parts['validation']}, " if parts["validation"] else ""
    return (
        f"training {parameters:,} parameters on {devices}: {parts['train']} products, {plan.global_batch} a step; "
        f"{validating}testing on {parts['test'] or 'none'}"
    )


def beginning(config: TrainConfig, plan: Plan, parameters: int, epochs_done: int) -> Beginning:
    """Return what observers are told at the beginning."""
    patches = {part: plan.feeds[part].patches if part in plan.feeds else 0 for part in PARTS}
    return Beginning(
        parameters=parameters,
        devices=jax.device_count(),
        processes=jax.process_count(),
        global_batch=plan.global_batch,
        steps_per_epoch=plan.steps["train"],
        train_patches=patches["train"],
        validation_patches=patches["validation"],
        test_patches=patches["test"],
        epochs=plan.epochs,
        epochs_done=epochs_done,
        flags=to_json(config),
    )


def shows_bars(config: TrainConfig) -> bool:
    """Whether this process may show its progress."""
    return is_first() and not config.quiet
