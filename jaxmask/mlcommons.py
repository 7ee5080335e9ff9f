"""Edge: a run of MLCommons Science's CloudMask benchmark from its own file: train, infer, log; agreement too."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import split
from typing import Any

import jax

from jaxmask.cloudmask_agreement import agreement_of
from jaxmask.cloudmask_run import (
    BenchmarkRun,
    benchmark_run,
    inference_line,
    inference_result,
    training_line,
    training_result,
)
from jaxmask.command_line import parse
from jaxmask.config import global_batch_size
from jaxmask.config_file import read_cloudmask, read_submission
from jaxmask.devices import count_hosts
from jaxmask.history import read_history
from jaxmask.infer import main as infer_main
from jaxmask.infer_config import InferConfig
from jaxmask.keras_weights import write_keras_model
from jaxmask.machine import this_machine
from jaxmask.maskfile import MASK_SUFFIX
from jaxmask.model import load_model
from jaxmask.processes import is_first, leave, meet
from jaxmask.train import TrainCommand
from jaxmask.train import main as train_main
from preprocess import command
from preprocess.command import Failure, finish, run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED, UserError
from preprocess.files import write_json
from preprocess.flags import Output
from preprocess.pool import one_line
from preprocess.shard import find_shards

RESULT_NAME = "mlcommons.json"
FAILURES_NAME = "mlcommons_failures.json"  # failures.json there is of infer
WENT_ON = (EXIT_DONE, EXIT_SOME_FAILED)


@dataclass(frozen=True)
class MlcommonsConfig(Output):
    """Run MLCommons' CloudMask benchmark: train, write a mask for each product of its inference set, log as it does,
    and tell what it doesn't: how far those masks agree with their labels. The same command goes on where one ended."""

    config: Path = Path("cloudMaskConfig.yaml")
    """The benchmark's file: train_dir, inference_dir, model_file, output_dir, log_file, mlperf_logfile and the task."""
    train_flags: str = ""
    """Further flags of jaxmask.train in one text, --train-flags="--cache device --precision bfloat16"; they win over
    the file."""
    infer_flags: str = ""
    """Further flags of jaxmask.infer in one text, --infer-flags="--backend openvino"."""


@dataclass(frozen=True)
class Part:
    """One of the run's two parts: its exit code, how many epochs or masks it made, and from when to when."""

    code: int
    made: int
    seconds: float
    began_ms: int
    ended_ms: int


def main(config: MlcommonsConfig) -> int:
    """Train, infer and judge, each by what the file says; returns the exit code."""
    if importlib.util.find_spec("mlperf_logging") is None:
        raise UserError("jaxmask.mlcommons needs the package 'mlperf-logging': pip install 'jaxmask[mlperf]'")
    from jaxmask.mlcommons_log import benchmark_log

    wanted = benchmark_run(str(config.config), read_cloudmask(config.config))
    shards = find_shards(wanted.inference_dir)  # if they are missing, that is told before hours of training
    training = train_command(config, wanted)
    infer_config(config, wanted, training)  # and so are wrong flags
    trained = _train(training)
    machine, hosts = this_machine(), count_hosts()  # which all processes count together
    with benchmark_log(wanted.mlperf_logfile if is_first() else None) as said:
        said.begin(read_submission(config.config), machine, hosts, trained.began_ms)
        said.span("Training", trained.began_ms, trained.ended_ms)
        if trained.code not in WENT_ON:
            said.abort(trained.code)
            return trained.code
        model = load_model(wanted.model)  # by all processes: they wait for each other in it
        inferred = _infer(infer_config(config, wanted, training), wanted, shards)
        said.span("Inference", inferred.began_ms, inferred.ended_ms)
        if inferred.code not in WENT_ON:
            said.abort(inferred.code)
            return inferred.code
        if not is_first():
            return inferred.code
        write_keras_model(wanted.model_file, model.features, model.params)
        samples, batch = len(find_shards(wanted.train_dir)), global_batch_size(training, machine.devices)
        _append_lines(wanted.log_file, samples, batch, hosts, machine.gpus, trained, inferred)
        said_of = {"bs": batch, "nodes": hosts, "gpus": machine.gpus}
        result, failures = _judge(wanted, shards, samples, inferred, said_of)
        said.end(result)
    write_json(wanted.output_dir / RESULT_NAME, result)
    summary = result | {"message": closing_message(wanted, result)}
    return max(trained.code, inferred.code, finish(config, summary, failures, wanted.output_dir, FAILURES_NAME))


def train_command(config: MlcommonsConfig, wanted: BenchmarkRun) -> TrainCommand:
    """The flags of the training: the file's, and over them those of --train-flags. UserError as jaxmask.train's."""
    quiet = ["--quiet"] if config.quiet else []
    found = parse(TrainCommand, "jaxmask.train", ["--config", str(config.config), *quiet, *split(config.train_flags)])
    if found.model != wanted.model:
        raise UserError(f"--train-flags can't move the model, which {config.config} has in {wanted.model}")
    return found


def infer_config(config: MlcommonsConfig, wanted: BenchmarkRun, training: TrainCommand) -> InferConfig:
    """The flags of the inference: the benchmark's tiles, and over them those of --infer-flags."""
    places = [str(path) for path in (wanted.model, wanted.inference_dir, wanted.output_dir)]
    tiles = ["--tiling", "reference", "--crop-size", str(wanted.crop_size)]
    switches = [f"--{name}" for name, on in (("cpu-only", training.cpu_only), ("quiet", config.quiet)) if on]
    return command.parse(
        InferConfig, "jaxmask.infer", [*places, *tiles, *switches, *_processes(), *split(config.infer_flags)]
    )


def closing_message(wanted: BenchmarkRun, result: dict[str, Any]) -> str:
    """What people are told at the end."""
    inference = result["inference"]
    agreement = inference["agreement"]
    judged = sum(share is not None for share in inference["accuracy"])
    told = "none of its products is labelled" if agreement is None else f"{agreement:.4f} of {inference['pixels']:,}"
    return (
        f"masks and labels of the inference set agree on {told} pixels ({judged} of {len(inference['products'])} "
        f"products); {wanted.output_dir / RESULT_NAME}, {wanted.log_file}"
    )


def _processes() -> list[str]:
    """Which of the training's processes this is, once they have met."""
    if not jax.distributed.is_initialized():
        return []
    return ["--num-processes", str(jax.process_count()), "--process-id", str(jax.process_index())]


def _train(training: TrainCommand) -> Part:
    began_ms, begun = _milliseconds(), time.monotonic()
    before = 0 if training.overwrite else len(read_history(training.model))
    code = train_main(training)
    seconds = time.monotonic() - begun
    return Part(code, len(read_history(training.model)) - before, seconds, began_ms, _milliseconds())


def _infer(config: InferConfig, wanted: BenchmarkRun, shards: Sequence[Path]) -> Part:
    began_ms, begun = _milliseconds(), time.monotonic()
    before = _mask_times(wanted, shards)
    code = infer_main(config)
    if jax.process_count() > 1:
        meet("all masks are written")
    seconds, after = time.monotonic() - begun, _mask_times(wanted, shards)
    made = sum(before.get(path) != written for path, written in after.items())
    return Part(code, made, seconds, began_ms, _milliseconds())


def _append_lines(
    log_file: Path, samples: int, batch: int, hosts: int, gpus: int, trained: Part, inferred: Part
) -> None:
    """Write the benchmark's lines of what was done in this run, and not in one before it."""
    lines = []
    if trained.made > 0:
        lines.append(training_line(samples, trained.made, batch, hosts, gpus, trained.seconds))
    if inferred.made > 0:
        lines.append(inference_line(inferred.made, batch, hosts, gpus, inferred.seconds))
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def _judge(
    wanted: BenchmarkRun, shards: Sequence[Path], samples: int, inferred: Part, said_of: dict[str, int]
) -> tuple[dict[str, Any], list[Failure]]:
    """Return the benchmark's result, with the agreement of all masks, and what could not be judged."""
    agreements, failures = [], []
    for shard in shards:
        try:
            agreements.append(agreement_of(_mask(wanted, shard), shard))
        except (UserError, OSError) as error:
            failures.append(Failure(str(shard), one_line(error)))
    each = f"{inferred.seconds / inferred.made:.2f}" if inferred.made else None
    return {
        "name": "cloudmask",
        "training": training_result(samples, read_history(wanted.model)),
        "inference": inference_result(agreements),
        "inference_analyze": {"number": inferred.made, **said_of, "time_per_inference": each},
    }, failures


def _mask(wanted: BenchmarkRun, shard: Path) -> Path:
    return wanted.output_dir / f"{shard.stem}{MASK_SUFFIX}"


def _mask_times(wanted: BenchmarkRun, shards: Sequence[Path]) -> dict[Path, int]:
    masks = [_mask(wanted, shard) for shard in shards]
    return {mask: mask.stat().st_mtime_ns for mask in masks if mask.exists()}


def _milliseconds() -> int:
    return int(time.time() * 1e3)


if __name__ == "__main__":
    leave(run("jaxmask.mlcommons", MlcommonsConfig, main))
