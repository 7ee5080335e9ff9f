"""What observers are told in tests, without a training: of 3 steps an epoch on 24 patches, tested on 6."""

from __future__ import annotations

from typing import Any

from jaxmask.config import TrainConfig, to_json
from jaxmask.observers import Beginning

BEGINNING = Beginning(
    parameters=7849, devices=8, processes=2, hosts=2, gpus=8, device_kind="NVIDIA H100", global_batch=64,
    steps_per_epoch=3, train_patches=24, validation_patches=0, test_patches=6, epochs=2, epochs_done=0, steps_done=0,
    flags=to_json(TrainConfig(epochs=2, global_batch_size=64)),
)  # fmt: skip


def scores(loss: float) -> dict[str, float | None]:
    return {"loss": loss, "accuracy": 0.75, "precision": None, "recall": 0.5, "f1": 0.6, "iou": 0.4, "weight": 9.0}


def line(epoch: int, *, validation: bool = False) -> dict[str, Any]:
    """A line of history."""
    return {
        "epoch": epoch,
        "train": scores(1 / epoch),
        "validation": scores(2 / epoch) if validation else None,
        "test": scores(3 / epoch),
        "patches_per_second": 100.0 * epoch,
        "wait_share": 0.25,
    }
