"""Edge: what is trained on what: the products, their split, the batch, and the feeds of the parts; alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jax.sharding import Mesh

from jaxmask.agreement import check_agreement
from jaxmask.config import TrainConfig, global_batch_size, to_json
from jaxmask.data import Feed, open_feed
from jaxmask.devices import count_hosts
from jaxmask.epochs import Plan
from jaxmask.machine import this_machine
from jaxmask.observers import Beginning
from jaxmask.position import PARTS, Part, Position, train_steps
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
    check_agreement(record, [(shard.name, shard.height, shard.width) for shard in data.shards], shards)
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
    parts = {
        part: f"{plan.feeds[part].patches} patches of {len(getattr(task.split, part))}" if part in plan.feeds else ""
        for part in PARTS
    }
    validating = f"validating on {parts['validation']}, " if parts["validation"] else ""
    return (
        f"training {parameters:,} parameters: {parts['train']} products, {plan.global_batch} a step; "
        f"{validating}testing on {parts['test'] or 'none'}"
    )


def beginning(config: TrainConfig, plan: Plan, parameters: int, position: Position) -> Beginning:
    """Return what observers are told at the beginning, or when training goes on at `position`; the same everywhere."""
    machine = this_machine()
    patches = {part: plan.feeds[part].patches if part in plan.feeds else 0 for part in PARTS}
    return Beginning(
        parameters=parameters,
        devices=machine.devices,
        processes=machine.processes,
        hosts=count_hosts(),
        gpus=machine.gpus,
        device_kind=machine.kind,
        global_batch=plan.global_batch,
        steps_per_epoch=plan.steps["train"],
        train_patches=patches["train"],
        validation_patches=patches["validation"],
        test_patches=patches["test"],
        epochs=plan.epochs,
        epochs_done=position.epochs,
        steps_done=train_steps(position, plan.steps),
        flags=to_json(config),
    )


def shows_bars(config: TrainConfig) -> bool:
    """Whether this process may show its progress."""
    return is_first() and not config.quiet
