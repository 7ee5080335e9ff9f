"""What MLPerf's log says of a training before it begins: whose it is, and every number that decides its course.

Keys are those of mlperf_logging.mllog.constants, or of MLPerf HPC's rules; what neither has is named as our flag is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxmask.config import from_json, peak_rate
from jaxmask.observers import Beginning
from jaxmask.optimiser import BETA_1, BETA_2, EPSILON

BENCHMARK = "cloudmask"
# Of cloudMaskConfig.yaml, for each of our fields.
NAMES = {"organisation": "organisation", "division": "division", "status": "status", "platform": "platform"}

Setting = tuple[str, Any]


class Submission(NamedTuple):
    """Whose training this is; by default nobody's that says so, and held to no rules but its own."""

    organisation: str = "unspecified"
    division: str = "open"
    status: str = "research"
    platform: str = ""  # the devices, if empty


def submission_of(content: Mapping[str, Any]) -> Submission:
    """Return what a cloudMaskConfig.yaml says, at its top or under "submission"; content: its entries by name."""
    nested = content.get("submission")
    said = (dict(nested) if isinstance(nested, Mapping) else {}) | dict(content)
    return Submission(**{field: str(said[name]) for field, name in NAMES.items() if said.get(name)})


def submission_settings(submission: Submission, beginning: Beginning) -> list[Setting]:
    """Return key and value of the lines that say whose training this is, and on what."""
    return [
        ("submission_benchmark", BENCHMARK),
        ("submission_org", submission.organisation),
        ("submission_division", submission.division),
        ("submission_status", submission.status),
        ("submission_platform", submission.platform or f"{beginning.devices} x {beginning.device_kind}"),
        ("number_of_nodes", beginning.hosts),
        ("accelerators_per_node", beginning.gpus // beginning.hosts),
        ("number_of_ranks", beginning.devices),
    ]


def task_settings(beginning: Beginning) -> list[Setting]:
    """Return key and value of the lines that say what is trained, and how."""
    config = from_json(beginning.flags)
    settings: list[Setting] = [
        ("seed", config.seed),
        ("global_batch_size", beginning.global_batch),
        ("train_samples", beginning.train_patches),
        ("eval_samples", beginning.test_patches or beginning.validation_patches),
        ("validation_samples", beginning.validation_patches),
        ("max_epochs", beginning.epochs),
        ("max_image_size", [config.patch_size, config.patch_size]),
        ("parameters", beginning.parameters),
        ("gradient_accumulation_steps", config.accumulate),
        ("lowest_numerical_precision_in_linear", config.precision),
        ("opt_name", "adam"),
        ("opt_base_learning_rate", peak_rate(config, beginning.global_batch)),
        ("opt_adam_beta_1", BETA_1),
        ("opt_adam_beta_2", BETA_2),
        ("opt_adam_epsilon", EPSILON),
        ("opt_weight_decay", 0.0),
        ("opt_learning_rate_decay_schedule", config.schedule),
        ("opt_learning_rate_warmup_epochs", config.warmup_epochs),
        ("opt_learning_rate_warmup_steps", round(config.warmup_epochs * beginning.steps_per_epoch)),
        ("opt_learning_rate_training_steps", config.epochs * beginning.steps_per_epoch),
        ("wbce", config.wbce),
        ("clip_offset", config.clip_offset),
        ("augment", config.augment),
    ]
    if config.clip_norm is not None:
        settings.append(("opt_gradient_clip_norm", config.clip_norm))
    if config.ema is not None:
        settings.append(("model_eval_ema_factor", config.ema))
    return settings
