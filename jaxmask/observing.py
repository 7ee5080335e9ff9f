"""Edge: the observers that a training's flags ask for, and whether their packages are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from jaxmask.config import TrainConfig
from jaxmask.config_file import read_submission
from jaxmask.observers import MLPERF_NAME, TENSORBOARD_NAME, Observer
from jaxmask.processes import is_first
from preprocess.errors import UserError

PACKAGES = {"mlperf": "mlperf_logging", "tensorboard": "tensorboardX"}  # of the flag and extra of that name


def check_extras(config: TrainConfig) -> None:
    """Raise UserError, naming flag and extra, where a flag needs a package that isn't installed."""
    for flag, package in PACKAGES.items():
        if getattr(config, flag) and importlib.util.find_spec(package) is None:
            raise UserError(
                f"--{flag} needs the package {package}, which isn't installed: pip install 'jaxmask[{flag}]', or leave "
                f"--{flag} out"
            )


def open_observers(config: TrainConfig, folder: Path, config_file: Path | None) -> tuple[Observer, ...]:
    """Return those that write into the model `folder`: on the first process alone, none on the others.

    config_file: of --config, which may say whose submission to MLPerf this is.
    """
    if not is_first():
        return ()
    observers: list[Observer] = []
    if config.mlperf:
        from jaxmask.mlperf_log import MlperfLog

        observers.append(MlperfLog(folder / MLPERF_NAME, read_submission(config_file)))
    if config.tensorboard:
        from jaxmask.event_files import EventFiles

        observers.append(EventFiles(folder / TENSORBOARD_NAME))
    return tuple(observers)
