"""Edge: how long the masks of a folder took: a record of each process that made some, beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

from jaxmask.launch_choice import Launch
from jaxmask.shares import own_name
from preprocess.command import log
from preprocess.errors import UserError
from preprocess.files import write_json

INFERENCE_NAME = "inference.json"
INFERENCE_NAMES = "inference*.json"  # of one process, and of each of several

Record = Mapping[str, Any]


def write_inference(
    folder: Path, launch: Launch, *, masks: int, pixels: int, seconds: float, backend: str, precision: str
) -> None:
    """Record that this process has just made so many masks in so many seconds, all but its imports.

    A folder that can't take the record is worth a warning only: the masks are there.
    """
    devices = jax.local_devices() if backend == "jax" else []
    record = {
        "masks": masks,
        "pixels": pixels,
        "seconds": round(seconds, 3),
        "backend": backend,
        "precision": precision,
        "device": devices[0].device_kind if devices else "cpu",
        "devices": len(devices) or 1,
        "process": launch.process,
        "processes": launch.processes,
        "finished": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    path = folder / own_name(INFERENCE_NAME, launch)
    try:
        write_json(path, record)
    except (OSError, UserError) as error:
        log.warning("%s: can't be written (%s); the report will not tell how long the masks took", path, error)


def latest_run(records: Iterable[Record]) -> tuple[Record, ...]:
    """Of records of one folder, those of the run that ended last: of all that had as many processes as it."""
    found = sorted(records, key=lambda record: record["finished"])
    return tuple(record for record in found if record["processes"] == found[-1]["processes"])
