"""The flags of training: every number of the task named once, with its bounds."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from jaxmask.tiles import PATCH_SIZE
from jaxmask.unet import FEATURES, SIZE_MULTIPLE
from preprocess.errors import UserError
from preprocess.flags import Output, check

LARGEST_SEED = 2**31 - 1
LARGEST_RATE = 1e30  # far beyond use, well inside float32
TASK_FLAGS = ("learning_rate", "wbce", "clip_offset", "train_split", "split_by", "features", "patch_size", "seed")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Output):
    """The flags of training, with the original's names and defaults where it has them.

    Raises UserError naming the flag, its bound and the value found.
    """

    learning_rate: float = 0.001
    """Adam's step size, whatever the number of devices."""
    epochs: int = 30
    """Times every training patch is used; a finished run goes on when this grows."""
    batch_size: int = 32
    """Patches a step on each device."""
    global_batch_size: int | None = None
    """Patches a step over all devices, instead of --batch-size a device."""
    wbce: float = 0.5
    """Weight of cloud pixels in the loss; clear pixels weigh 1."""
    clip_offset: int = 15
    """Pixels on every side of a patch that stay out of loss and metrics."""
    train_split: float = 0.8
    """Share of the labelled products to train on, the rest is tested on; 1 trains on all and tests on none."""
    split_by: Literal["product", "orbit"] = "product"
    """What stays together on one side of the split: the copies of one granule, or all granules of one orbit."""
    mix: Literal["none", "baselines", "labels", "all"] = "none"
    """What products may differ in and be trained on together: their baseline collections, their label rules, or both;
    other mixtures are refused, as labels of several kinds are learnt as one."""
    cache: Literal["none", "host"] = "host"
    """Where patches are kept: none reads the shards again each time, host holds them decoded in memory."""
    no_cache: bool = False
    """The same as --cache none."""
    cpu_only: bool = False
    """Leave accelerators alone."""
    features: int = FEATURES
    """Channels of the U-Net's first level; 32 makes the original's 1,948,609 parameters."""
    patch_size: int = PATCH_SIZE
    """Rows and columns of a patch, in pixels of 1 km; a multiple of 8."""
    seed: int = 42
    """Seed of the split, the initial parameters and the order of patches."""
    overwrite: bool = False
    """Remove the training that is in the model folder and start anew, instead of going on with it."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where several processes train together and no job scheduler says so."""
    num_processes: int | None = None
    """How many processes train together; with --coordinator."""
    process_id: int | None = None
    """Which of them this is, counted from 0; with --coordinator."""

    def __post_init__(self) -> None:
        _check_task(self)
        _check_launch(self)

    @property
    def cache_mode(self) -> Literal["none", "host"]:
        """`cache`, or "none" under --no-cache."""
        return "none" if self.no_cache else self.cache


def global_batch_size(config: TrainConfig, devices: int) -> int:
    """Return the patches of one step over all `devices`; UserError unless it divides evenly among them."""
    size = config.global_batch_size or config.batch_size * devices
    if size % devices:
        raise UserError(
            f"--global-batch-size must be a multiple of the {devices} devices; found {size}: "
            f"choose {size // devices * devices or devices} or use fewer devices"
        )
    return size


def to_json(config: TrainConfig) -> dict[str, Any]:
    """Return the flags as a JSON object, by name."""
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(TrainConfig)}


def from_json(flags: dict[str, Any]) -> TrainConfig:
    """Return the config of `to_json`; flags it doesn't know (of a later version) are refused by name."""
    unknown = sorted(flags.keys() - {field.name for field in dataclasses.fields(TrainConfig)})
    if unknown:
        raise UserError(f"the recorded flags hold {', '.join(unknown)}, which this version of jaxmask doesn't know")
    return TrainConfig(**flags)


def changed_flag(recorded: dict[str, Any], config: TrainConfig) -> str | None:
    """Return the first flag that makes another task of a run, as "--flag OLD, not NEW"; None if there is none."""
    for name in TASK_FLAGS:
        now = getattr(config, name)
        if recorded.get(name) != now:
            return f"--{name.replace('_', '-')} {json.dumps(recorded.get(name))}, not {json.dumps(now)}"
    return None


def _check_task(config: TrainConfig) -> None:
    computable = 0 < config.learning_rate <= LARGEST_RATE
    check(computable, "learning_rate", f"above 0 and at most {LARGEST_RATE:g}", config.learning_rate)
    check(config.epochs >= 1, "epochs", "1 or more", config.epochs)
    check(config.batch_size >= 1, "batch_size", "1 or more", config.batch_size)
    whole = config.global_batch_size is None or config.global_batch_size >= 1
    check(whole, "global_batch_size", "1 or more", config.global_batch_size)
    check(config.wbce > 0 and math.isfinite(config.wbce), "wbce", "a finite number above 0", config.wbce)
    check(0 < config.train_split <= 1, "train_split", "above 0 and at most 1", config.train_split)
    check(config.features >= 1, "features", "1 or more", config.features)
    fits = config.patch_size >= SIZE_MULTIPLE and config.patch_size % SIZE_MULTIPLE == 0
    check(fits, "patch_size", f"a multiple of {SIZE_MULTIPLE}", config.patch_size)
    largest = config.patch_size // 2 - 1
    inside = 0 <= config.clip_offset <= largest
    check(inside, "clip_offset", f"from 0 to {largest} (--patch-size {config.patch_size})", config.clip_offset)
    check(0 <= config.seed <= LARGEST_SEED, "seed", f"from 0 to {LARGEST_SEED}", config.seed)


def _check_launch(config: TrainConfig) -> None:
    given = [value is not None for value in (config.coordinator, config.num_processes, config.process_id)]
    if any(given) and not all(given):
        raise UserError("--coordinator, --num-processes and --process-id must be given together or not at all")
    if config.coordinator is None or config.num_processes is None or config.process_id is None:
        return
    host, _, port = config.coordinator.rpartition(":")
    check(bool(host) and port.isdigit(), "coordinator", "HOST:PORT", config.coordinator)
    check(config.num_processes >= 1, "num_processes", "1 or more", config.num_processes)
    in_range = 0 <= config.process_id < config.num_processes
    check(in_range, "process_id", f"from 0 to {config.num_processes - 1}", config.process_id)
