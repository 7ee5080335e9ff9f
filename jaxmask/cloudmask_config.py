"""The configuration file of MLCommons Science's CloudMask benchmark, cloudMaskConfig.yaml, as flags of our training.

Names and their meaning: https://github.com/mlcommons/science, benchmarks/cloudmask (slstr_cloud.py, data_loader.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from jaxmask.mlperf_settings import NAMES as SUBMISSION_NAMES
from jaxmask.pixels import CHANNELS
from preprocess.errors import UserError

MARKS = {"train_dir", "inference_dir", "model_file", "mlperf_logfile"}  # names that no flag of ours has
GROUPS = ("experiment", "image", "training")  # later versions of the file nest some of the names
# Our flag of each name. MirroredStrategy shares a batch among the devices, so batch_size is the global one.
FLAGS = {
    "train_dir": "shards",
    "model_file": "model",
    "seed": "seed",
    "learning_rate": "learning_rate",
    "epochs": "epochs",
    "epoch": "epochs",
    "batch_size": "global_batch_size",
    "train_split": "train_split",
    "validation_split": "validation_split",
    "clip_offset": "clip_offset",
    "wbce": "wbce",
    "no_cache": "no_cache",
    "PATCH_SIZE": "patch_size",
}
PATHS = ("train_dir", "model_file")
LOSSES = {"binary_crossentropy": 1.0, "weighted_cross_entropy": 0.5}  # weight of cloud pixels
MODEL_SUFFIXES = (".h5", ".hdf5", ".keras")
PATIENCE_EPOCHS = 25  # in the files that name early_stoppage_patience
VALIDATION_SHARE = 0.1  # the benchmark stops early by the test products; we keep these from being chosen by

Flags = dict[str, tuple[str, Any]]


def is_cloudmask(names: Mapping[str, Any]) -> bool:
    """Whether a file of these top names is the benchmark's."""
    return bool(MARKS & names.keys())


def train_flags(file: str, content: Mapping[str, Any], *, has_mlperf: bool) -> tuple[Flags, str]:
    """Return our flags, each with the name in the file that it comes from and its value, and the notice for people.

    content: the file's entries by name. has_mlperf: whether MLPerf's log can be written here.
    Raises UserError where the benchmark's task is not ours: other channels, another loss.
    """
    named = entries(content)
    if named.get("N_CHANNELS", CHANNELS) != CHANNELS:
        raise UserError(f"{file}: N_CHANNELS must be {CHANNELS}, the channels of a shard; found {named['N_CHANNELS']}")
    open_places = [name for name in PATHS if "{" in str(named.get(name))]
    flags = {flag: (name, named[name]) for name, flag in FLAGS.items() if name in named and name not in open_places}
    flags |= _loss(file, named) | _early_stopping(named)
    if "model" in flags:
        flags["model"] = ("model_file", model_folder(str(flags["model"][1])))
    if "mlperf_logfile" in named and has_mlperf:
        flags["mlperf"] = ("mlperf_logfile", True)
    return flags, _notice(file, named, flags, open_places)


def entries(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the file's entries by name, those that later versions nest in groups among them, numbers as numbers."""
    groups = [content[name] for name in GROUPS if isinstance(content.get(name), Mapping)]
    return {str(name): _plain(value) for group in (*groups, content) for name, value in group.items()}


def _loss(file: str, named: Mapping[str, Any]) -> Flags:
    """Without a weight in the file its program's loss is the plain cross entropy."""
    if "wbce" in named:
        return {}
    name = "training_loss" if "training_loss" in named else "loss"
    loss = named.get(name, "binary_crossentropy")
    if loss not in LOSSES:
        raise UserError(f"{file}: {name} must be one of {', '.join(LOSSES)}; found {loss}")
    return {"wbce": (name, LOSSES[loss])}


def _early_stopping(named: Mapping[str, Any]) -> Flags:
    if named.get("early_stoppage") is not True:
        return {}
    share = named.get("validation_split", VALIDATION_SHARE)
    patience = named.get("early_stoppage_patience", PATIENCE_EPOCHS)
    return {"early_stopping": ("early_stoppage", patience), "validation_split": ("early_stoppage", share)}


def _notice(file: str, named: Mapping[str, Any], flags: Flags, open_places: list[str]) -> str:
    told = []
    if "global_batch_size" in flags:
        told.append(f"--global-batch-size {flags['global_batch_size'][1]}, as its batch_size is shared by all devices")
    if flags["wbce"][0] != "wbce":
        told.append(f"--wbce {flags['wbce'][1]:g}, as its loss weighs cloud so")
    if "model" in flags:
        told.append(f"the model folder is {flags['model'][1]}, of which jaxmask.export writes a model.h5")
    if "early_stopping" in flags:
        told.append(f"--validation-split {flags['validation_split'][1]} to stop early by, not by the test products")
    if "mlperf_logfile" in named:
        told.append("the log is MODEL/mlperf.log" if "mlperf" in flags else "no MLPerf log (it needs the extra mlperf)")
    told += [f"{name} is left open by a placeholder, give it on the command line" for name in open_places]
    used = {*FLAGS, *GROUPS, *(source for source, _ in flags.values()), *PATHS, "mlperf_logfile", "N_CHANNELS"}
    used |= {"benchmark", *SUBMISSION_NAMES} if "mlperf" in flags else set()
    used |= {"early_stoppage_patience"} if "early_stopping" in flags else set()
    unused = sorted(name for name in named if name not in used)
    rest = f"; of no use to training here: {', '.join(unused)}" if unused else ""
    return f"{file} is of MLCommons CloudMask: {'; '.join(told)}{rest}"


def model_folder(model_file: str) -> str:
    """Return the folder that our model is kept in where the benchmark has one file."""
    path = PurePosixPath(model_file)
    return str(path.with_suffix("") if path.suffix in MODEL_SUFFIXES else path)


def _plain(value: Any) -> Any:
    """A number or truth value that a later version of the file holds as text."""
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
