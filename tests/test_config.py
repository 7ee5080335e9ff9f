"""Flags: the original's defaults, bounds by name, JSON and back, what makes another task."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jaxmask.config import TrainConfig, changed_flag, from_json, global_batch_size, peak_rate, to_json
from preprocess.errors import UserError


@pytest.mark.quick
def test_defaults_are_the_originals() -> None:
    # ../shared/reference/README.md: optimiser, loss, split and patches of the original.
    config = TrainConfig()
    assert (config.learning_rate, config.epochs, config.batch_size) == (0.001, 30, 32)
    assert (config.wbce, config.clip_offset, config.train_split) == (0.5, 15, 0.8)
    assert (config.features, config.patch_size, config.seed) == (32, 256, 42)
    assert config.cache_mode == "host"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"learning_rate": 0.0}, "--learning-rate must be above 0 and at most 1e.30; found 0.0"),
        ({"learning_rate": float("nan")}, "--learning-rate must be above 0 and at most 1e.30; found nan"),
        ({"epochs": 0}, "--epochs must be 1 or more; found 0"),
        ({"batch_size": 0}, "--batch-size must be 1 or more; found 0"),
        ({"global_batch_size": 0}, "--global-batch-size must be 1 or more; found 0"),
        ({"wbce": -1.0}, "--wbce must be a finite number above 0; found -1.0"),
        ({"train_split": 0.0}, "--train-split must be above 0 and at most 1; found 0.0"),
        ({"train_split": 1.5}, "--train-split must be above 0 and at most 1; found 1.5"),
        ({"features": 0}, "--features must be 1 or more; found 0"),
        ({"patch_size": 100}, "--patch-size must be a multiple of 8; found 100"),
        ({"patch_size": 32, "clip_offset": 16}, r"--clip-offset must be from 0 to 15 \(--patch-size 32\); found 16"),
        ({"seed": -1}, "--seed must be from 0 to 2147483647; found -1"),
        ({"validation_split": 0.8}, "--validation-split must be from 0 to below --train-split 0.8; found 0.8"),
        ({"validation_split": float("nan")}, "--validation-split must be from 0 to below"),
        ({"early_stopping": 0, "validation_split": 0.1}, "--early-stopping must be 1 or more; found 0"),
        ({"early_stopping": 2}, "--early-stopping needs --validation-split"),
        ({"accumulate": 0}, "--accumulate must be 1 or more; found 0"),
        ({"epochs": 3, "warmup_epochs": 4.0}, "--warmup-epochs must be from 0 to --epochs 3; found 4.0"),
        ({"clip_norm": 0.0}, "--clip-norm must be a finite number above 0; found 0.0"),
        ({"ema": 1.0}, "--ema must be above 0 and below 1; found 1.0"),
        ({"save_every_minutes": 0.0}, "--save-every-minutes must be above 0; found 0.0"),
        ({"profile": 1001}, "--profile must be from 0 to 1000; found 1001"),
        ({"no_cache": True, "cache": "device"}, "--no-cache contradicts --cache device: give one of them"),
        ({"coordinator": "localhost:1234"}, "must be given together"),
        ({"coordinator": "localhost", "num_processes": 1, "process_id": 0}, "--coordinator must be HOST:PORT"),
        ({"coordinator": "a:1", "num_processes": 2, "process_id": 2}, "--process-id must be from 0 to 1; found 2"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(flags: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainConfig(**flags)  # type: ignore[arg-type]


def test_no_cache_is_cache_none() -> None:
    assert TrainConfig(no_cache=True).cache_mode == "none"


def test_json_and_back() -> None:
    config = TrainConfig(learning_rate=0.01, features=4, patch_size=64, split_by="orbit", global_batch_size=8)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_json_of_a_later_version_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="hold soup, which"):
        from_json(to_json(TrainConfig()) | {"soup": 0.99})


@pytest.mark.parametrize(
    ("batch_size", "global_batch", "devices", "expected"), [(32, None, 8, 256), (32, 24, 8, 24), (3, None, 1, 3)]
)
def test_global_batch_size(batch_size: int, global_batch: int | None, devices: int, expected: int) -> None:
    assert global_batch_size(TrainConfig(batch_size=batch_size, global_batch_size=global_batch), devices) == expected


def test_a_global_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UserError, match="--global-batch-size must be a multiple of the 8 devices; found 20: choose 16"):
        global_batch_size(TrainConfig(global_batch_size=20), 8)


def test_what_makes_another_task() -> None:
    config = TrainConfig()
    recorded = to_json(config)
    assert changed_flag(recorded, replace(config, epochs=60, cache="none", cpu_only=True, quiet=True)) is None
    assert changed_flag(recorded, replace(config, learning_rate=0.01)) == "--learning-rate 0.001, not 0.01"
    assert changed_flag(recorded, replace(config, split_by="orbit")) == '--split-by "product", not "orbit"'
    free = replace(config, early_stopping=2, validation_split=0.1)
    assert changed_flag(to_json(free), replace(free, early_stopping=5, accumulate=4, deterministic=True)) is None


def test_a_cosine_ends_at_its_last_epoch_so_another_number_is_another_task() -> None:
    config = TrainConfig(schedule="cosine")
    assert changed_flag(to_json(config), replace(config, epochs=60)) == "--epochs 30, not 60"


def test_flags_that_older_records_lack_were_at_their_defaults() -> None:
    config = TrainConfig()
    older = {name: value for name, value in to_json(config).items() if name not in ("precision", "ema", "schedule")}
    assert changed_flag(older, config) is None
    assert changed_flag(older, replace(config, ema=0.9)) == "--ema null, not 0.9"


def test_the_step_size_is_scaled_by_the_patches_a_step() -> None:
    assert peak_rate(TrainConfig(learning_rate=0.5), 64) == 0.5
    assert peak_rate(TrainConfig(learning_rate=0.5, scale_learning_rate=True), 64) == 1.0  # for 32 patches
