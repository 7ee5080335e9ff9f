"""Edge: how much memory there is to be had, and with how many processes of the training it is shared."""

from __future__ import annotations

import socket
import zlib
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

MEMORY_INFO = Path("/proc/meminfo")
CGROUP_MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")


def available_memory() -> int | None:
    """Bytes that can be had without swapping, at most what the container allows; None where the system doesn't tell."""
    lines = _text(MEMORY_INFO).splitlines()
    limits = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    allowed = _text(CGROUP_MEMORY_MAX).strip()
    return min([*limits, int(allowed)] if allowed.isdecimal() else limits, default=None)


def processes_here() -> int:
    """How many of the processes that train together run on this host; all of them must ask together."""
    if jax.process_count() == 1:
        return 1
    host = np.int32(zlib.crc32(socket.gethostname().encode()) >> 1)
    return int(np.sum(multihost_utils.process_allgather(host) == host))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
