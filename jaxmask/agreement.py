"""Edge: that all processes of a training see the same products and have the same flags and packages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from numpy.typing import NDArray

from jaxmask.record import Record
from preprocess.errors import UserError

# Of one process, or of one host's disk.
MAY_DIFFER = ("coordinator", "process_id", "quiet", "json", "compile_cache")
DIGEST_BYTES = 16


def check_agreement(record: Record, sizes: Sequence[tuple[str, int, int]], shards: Path) -> None:
    """Raise UserError on all processes, naming what differs, unless all of them have made the same record.

    sizes: name, rows and columns of each product, on which the number of steps depends.
    """
    if jax.process_count() == 1:
        return
    first = {"versions of packages": record["versions"]}  # other versions may have other flags
    for part in (first, agreed(record) | {"the products' rows and columns": sizes}):
        everyones = multihost_utils.process_allgather(digests(part))
        differs = differing(tuple(part), everyones)
        if differs:
            raise UserError(
                f"the processes differ in {', '.join(differs)} (shards: {shards}): give all of them the same command, "
                "folder and packages"
            )


def agreed(record: Record) -> dict[str, Any]:
    """What must be the same everywhere, by the name that people know it by."""
    flags = {f"--{name.replace('_', '-')}": value for name, value in record["flags"].items() if name not in MAY_DIFFER}
    products = {"the labelled products": record["split"]}
    others = ("flags", "split", "left_out", "versions")
    kinds = {name.replace("_", " "): value for name, value in record.items() if name not in others}
    return flags | kinds | products


def digests(part: Mapping[str, Any]) -> NDArray[np.uint8]:
    """(values, 16): the start of the SHA-256 of each value as JSON."""
    hashes = (hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest() for value in part.values())
    return np.stack([np.frombuffer(digest[:DIGEST_BYTES], np.uint8) for digest in hashes])


def differing(names: Sequence[str], everyones: NDArray[np.uint8]) -> list[str]:
    """The names whose digests, (processes, names, 16), are not the same on all processes."""
    same = (everyones == everyones[:1]).all(axis=(0, 2))
    return [name for name, equal in zip(names, same, strict=True) if not equal]
