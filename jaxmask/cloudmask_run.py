"""A run of MLCommons Science's CloudMask benchmark: what its file asks for, and the lines and result that it logs.

Names, lines and keys: https://github.com/mlcommons/science, benchmarks/cloudmask/slstr_cloud.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxmask.cloudmask_config import entries, model_folder
from jaxmask.tiles import CROP_SIZE, PATCH_SIZE
from preprocess.errors import UserError

NEEDED = ("train_dir", "inference_dir", "model_file", "output_dir", "log_file")
LOG_NAME = "mlperf_logfile"


@dataclass(frozen=True)
class BenchmarkRun:
    """Where the benchmark's file has its data read and its results written; all but the log of MLPerf must be there."""

    train_dir: Path
    inference_dir: Path
    model_file: Path  # Keras HDF5, written beside our model folder of the same name
    output_dir: Path  # of the masks
    log_file: Path
    mlperf_logfile: Path | None
    crop_size: int

    @property
    def model(self) -> Path:
        """Our model folder."""
        return Path(model_folder(str(self.model_file)))


@dataclass(frozen=True)
class Agreement:
    """One product of the inference set: pixels counted, and how many of them mask and label agree on."""

    product: str
    pixels: int
    equal: int

    @property
    def share(self) -> float | None:
        """Share of the counted pixels; None where none was."""
        return self.equal / self.pixels if self.pixels else None


def benchmark_run(file: str, content: Mapping[str, Any]) -> BenchmarkRun:
    """Return what the entries `content` of `file` ask for; UserError names what is missing, open or can't be."""
    named = entries(content)
    missing = [name for name in NEEDED if not named.get(name)]
    if missing:
        raise UserError(f"{file}: a run needs {', '.join(NEEDED)}; {', '.join(missing)} is not there: add it")
    for name in (*NEEDED, LOG_NAME):
        if "{" in str(named.get(name)):
            raise UserError(f"{file}: {name} is left open by a placeholder ({named[name]}): write the path there")
    if named.get("PATCH_SIZE", PATCH_SIZE) != PATCH_SIZE:
        raise UserError(
            f"{file}: PATCH_SIZE must be {PATCH_SIZE}, of which the tiles of inference are; found {named['PATCH_SIZE']}"
        )
    crop = named.get("CROP_SIZE", CROP_SIZE)
    if not isinstance(crop, int) or not 0 <= crop < PATCH_SIZE:
        raise UserError(f"{file}: CROP_SIZE must be a whole number from 0 to {PATCH_SIZE - 1}; found {crop}")
    paths = {name: Path(str(named[name])).expanduser() for name in NEEDED}
    log = Path(str(named[LOG_NAME])).expanduser() if named.get(LOG_NAME) else None
    return BenchmarkRun(**paths, mlperf_logfile=log, crop_size=crop)


def training_line(samples: int, epochs: int, batch_size: int, nodes: int, gpus: int, seconds: float) -> str:
    """Return the benchmark's line of a training of `samples` products, which took `seconds`."""
    return (
        f"CloudMask training, samples = {samples}, epochs={epochs}, bs={batch_size}, nodes={nodes}, gpus={gpus}, "
        f"time_per_epoch={seconds / epochs:.2f}"
    )


def inference_line(inferences: int, batch_size: int, nodes: int, gpus: int, seconds: float) -> str:
    """Return the benchmark's line of the inference of so many products, which took `seconds`."""
    return (
        f"CloudMask inference, inferences={inferences}, bs={batch_size}, nodes={nodes}, gpus={gpus}, "
        f"time_per_inference={seconds / inferences:.2f}"
    )


def training_result(samples: int, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the benchmark's record of a training: last and all epochs; val_ is of the test products, as there."""
    curves = {
        f"{prefix}{name}": [(line.get(part) or {}).get(name) for line in history]
        for part, prefix in (("train", ""), ("test", "val_"))
        for name in ("accuracy", "loss")
    }
    return {"samples": samples, **{name: curve[-1] for name, curve in curves.items()}, "history": curves}


def inference_result(agreements: Sequence[Agreement]) -> dict[str, Any]:
    """Return the benchmark's record of the inference: what it calls accuracy is agreement with the label.

    avg_accuracy: mean over the products, as there; agreement: share of all counted pixels.
    """
    shares = [agreement.share for agreement in agreements]
    counted = [share for share in shares if share is not None]
    pixels = sum(agreement.pixels for agreement in agreements)
    return {
        "avg_accuracy": sum(counted) / len(counted) if counted else None,
        "accuracy": shares,
        "products": [agreement.product for agreement in agreements],
        "agreement": sum(agreement.equal for agreement in agreements) / pixels if pixels else None,
        "pixels": pixels,
    }
