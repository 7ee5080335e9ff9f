"""The flags of training: every number of the task named once, with its bounds."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from jaxmask.schedule import scaled_rate
from jaxmask.tiles import PATCH_SIZE
from jaxmask.unet import FEATURES, SIZE_MULTIPLE
from preprocess.errors import UserError
from preprocess.flags import Output, check

LARGEST_SEED = 2**31 - 1
LARGEST_RATE = 1e30  # far beyond use, well inside float32
LONGEST_PROFILE = 1000  # steps; a trace of more can't be opened
TASK_FLAGS = (
    "learning_rate",
    "wbce",
    "clip_offset",
    "train_split",
    "validation_split",
    "split_by",
    "split_seed",
    "features",
    "patch_size",
    "seed",
    "augment",
    "precision",
    "schedule",
    "warmup_epochs",
    "scale_learning_rate",
    "clip_norm",
    "ema",
)
# A flag on the command line that unsets another one of a --config file.
SUPERSEDED = {"cache": ("no_cache",), "batch_size": ("global_batch_size",)}


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Output):
    """The flags of training, with the original's names and defaults where it has them.

    Raises UserError naming the flag, its bound and the value found.
    """

    learning_rate: float = 0.001
    """Adam's step size, whatever the number of devices."""
    scale_learning_rate: bool = False
    """Multiply --learning-rate by the patches a step over the original's 32 (Goyal et al. 2017, arXiv:1706.02677)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the step size goes on after the warm-up: as it is, or down to 0 at the last of --epochs by a half cosine."""
    warmup_epochs: float = 0.0
    """Epochs over which the step size grows from 0, steadily."""
    clip_norm: float | None = None
    """Shrink a gradient whose norm is greater to this norm."""
    ema: float | None = None
    """Keep this share of a running mean of the parameters at each step, and test and infer with that mean."""
    epochs: int = 30
    """Times every training patch is used; a finished run goes on when this grows."""
    early_stopping: int | None = None
    """End after so many epochs without a lower validation loss; needs --validation-split."""
    batch_size: int = 32
    """Patches that each device computes at once."""
    accumulate: int = 1
    """Parts of a step that are computed one after the other: less memory, or more patches a step."""
    global_batch_size: int | None = None
    """Patches a step over all devices and parts, instead of --batch-size a device and part."""
    precision: Literal["float32", "bfloat16", "float64"] = "float32"
    """What the network computes in; parameters, loss and sums stay float32 under bfloat16. float64 is for proofs."""
    deterministic: bool = False
    """Have the same run give the same bits on a GPU too, for some speed; on CPUs it does so anyway."""
    wbce: float = 0.5
    """Weight of cloud pixels in the loss; clear pixels weigh 1."""
    clip_offset: int = 15
    """Pixels on every side of a patch that stay out of loss and metrics."""
    train_split: float = 0.8
    """Share of the labelled products to train on, the rest is tested on; 1 trains on all and tests on none."""
    validation_split: float = 0.0
    """Share of the labelled products, taken from those to train on, by whose loss the best checkpoint and the end are
    chosen; without them the best checkpoint is the one of the lowest test loss, whose score flatters it."""
    split_by: Literal["product", "orbit"] = "product"
    """What stays together on one side of the split: the copies of one granule, or all granules of one orbit."""
    mix: Literal["none", "baselines", "labels", "all"] = "none"
    """What products may differ in and be trained on together: their baseline collections, their label rules, or both;
    other mixtures are refused, as labels of several kinds are learnt as one."""
    split_seed: int = 42
    """Seed of the split."""
    cache: Literal["none", "host", "device"] = "host"
    """Where patches are kept: none reads the shards again each time, host holds a host's share of them decoded in
    memory, device holds them in the devices' memory. All three give the same batches bit for bit."""
    no_cache: bool = False
    """The same as --cache none."""
    cpu_only: bool = False
    """Leave accelerators alone."""
    features: int = FEATURES
    """Channels of the U-Net's first level; 32 makes the original's 1,948,609 parameters."""
    patch_size: int = PATCH_SIZE
    """Rows and columns of a patch, in pixels of 1 km; a multiple of 8."""
    seed: int = 42
    """Seed of the initial parameters, the order of patches and their turns."""
    augment: bool = False
    """Turn and flip each training patch at random, anew each epoch."""
    save_every_minutes: float = 10.0
    """Save in the midst of an epoch too, when so many minutes have passed since the last save."""
    profile: int = 0
    """Steps of the first epoch to trace, from the third on, into MODEL/profile (TensorBoard, Perfetto)."""
    compile_cache: str = ""
    """Folder of compiled programs, shared by runs, that saves their compilation; none without it."""
    tensorboard: bool = False
    """Write the scores of each epoch for TensorBoard, into MODEL/tensorboard (extra: tensorboard)."""
    mlperf: bool = False
    """Write the run's log in MLPerf's format, MODEL/mlperf.log (extra: mlperf)."""
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
        _check_step(self)
        _check_run(self)
        _check_launch(self)

    @property
    def cache_mode(self) -> Literal["none", "host", "device"]:
        """`cache`, or "none" under --no-cache."""
        return "none" if self.no_cache else self.cache


# What a flag was in records of versions that didn't have it; the split's seed was the only one.
DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainConfig)}


def global_batch_size(config: TrainConfig, devices: int) -> int:
    """Return the patches of one step over all `devices` and parts; UserError unless it divides evenly among them."""
    shares = devices * config.accumulate
    size = config.global_batch_size or config.batch_size * shares
    if size % shares:
        parts = f" times --accumulate {config.accumulate}" if config.accumulate > 1 else ""
        raise UserError(
            f"--global-batch-size must be a multiple of the {devices} devices{parts}; found {size}: "
            f"choose {size // shares * shares or shares} or use fewer devices"
        )
    return size


def peak_rate(config: TrainConfig, global_batch: int) -> float:
    """Return the step size that the schedule reaches, with --scale-learning-rate that for `global_batch` patches."""
    return scaled_rate(config.learning_rate, global_batch) if config.scale_learning_rate else config.learning_rate


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
    for name in (*TASK_FLAGS, *(("epochs",) if config.schedule == "cosine" else ())):
        now, before = getattr(config, name), recorded.get(name, DEFAULTS[name])
        if before != now:
            return f"--{name.replace('_', '-')} {json.dumps(before)}, not {json.dumps(now)}"
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
    inside = 0 <= config.validation_split < config.train_split
    check(inside, "validation_split", f"from 0 to below --train-split {config.train_split}", config.validation_split)
    stops = config.early_stopping
    check(stops is None or stops >= 1, "early_stopping", "1 or more", stops)
    if stops is not None and config.validation_split == 0:
        raise UserError(
            "--early-stopping needs --validation-split: chosen by the test products, the end would flatter their score"
        )
    check(config.features >= 1, "features", "1 or more", config.features)
    fits = config.patch_size >= SIZE_MULTIPLE and config.patch_size % SIZE_MULTIPLE == 0
    check(fits, "patch_size", f"a multiple of {SIZE_MULTIPLE}", config.patch_size)
    largest = config.patch_size // 2 - 1
    inside = 0 <= config.clip_offset <= largest
    check(inside, "clip_offset", f"from 0 to {largest} (--patch-size {config.patch_size})", config.clip_offset)
    for name in ("seed", "split_seed"):
        check(0 <= getattr(config, name) <= LARGEST_SEED, name, f"from 0 to {LARGEST_SEED}", getattr(config, name))


def _check_step(config: TrainConfig) -> None:
    check(config.accumulate >= 1, "accumulate", "1 or more", config.accumulate)
    warm = 0 <= config.warmup_epochs <= config.epochs
    check(warm, "warmup_epochs", f"from 0 to --epochs {config.epochs}", config.warmup_epochs)
    clip = config.clip_norm
    check(clip is None or (clip > 0 and math.isfinite(clip)), "clip_norm", "a finite number above 0", clip)
    check(config.ema is None or 0 < config.ema < 1, "ema", "above 0 and below 1", config.ema)


def _check_run(config: TrainConfig) -> None:
    check(config.save_every_minutes > 0, "save_every_minutes", "above 0", config.save_every_minutes)
    if config.no_cache and config.cache == "device":
        raise UserError("--no-cache contradicts --cache device: give one of them")
    check(0 <= config.profile <= LONGEST_PROFILE, "profile", f"from 0 to {LONGEST_PROFILE}", config.profile)


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
