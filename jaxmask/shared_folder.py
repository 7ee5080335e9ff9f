"""Edge: whether the processes of a training see one and the same folder."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxmask.processes import is_first, meet
from preprocess.errors import UserError

SEEN_WITHIN_SECONDS = 75.0  # NFS remembers for up to 60 s (acdirmax) that a folder was not there
POLL_SECONDS = 0.2


def check_shared(folder: Path, seen_within_seconds: float = SEEN_WITHIN_SECONDS) -> None:
    """Raise UserError on all processes, naming those that don't see the first one's `folder`; it must be there.

    Without it a checkpoint would never be complete: each process writes its part of it. All must call this together.
    """
    if jax.process_count() == 1:
        return
    number = multihost_utils.broadcast_one_to_all(np.int32(secrets.randbelow(2**31)))
    probe = folder / f".seen-by-all-{int(number):08x}"  # a name that no host has looked for before
    if is_first():
        probe.touch()
    meet("the probe of the model folder is there")
    everyones = multihost_utils.process_allgather(np.int32(_is_seen(probe, seen_within_seconds))).reshape(-1)
    if is_first():
        probe.unlink(missing_ok=True)
    blind = np.flatnonzero(everyones == 0).tolist()
    if blind:
        raise UserError(
            f"{folder.absolute()}: not the same folder on all hosts: what process 0 writes there, process "
            f"{', '.join(map(str, blind))} can't see: choose a folder on a file system that all hosts share"
        )


def _is_seen(probe: Path, within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while not probe.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
