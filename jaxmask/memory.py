"""Edge: how much memory there is to be had, and with how many processes of the training it is shared."""

from __future__ import annotations

import socket
import zlib
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

MEMORY_INFO = Path("/proc/meminfo")
OWN_CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that can be had without swapping, at most what container and job allow; None where nothing is told.

    Of a limit of cgroups (version 2) what is in use already is not to be had, but files that are cached are.
    """
    lines = _text(MEMORY_INFO).splitlines()
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    allowed = [_left_in(folder) for folder in _own_cgroups()]
    return min([*free, *(left for left in allowed if left is not None)], default=None)


def processes_here() -> int:
    """How many of the processes that train together run on this host; all of them must ask together."""
    if jax.process_count() == 1:
        return 1
    host = np.int32(zlib.crc32(socket.gethostname().encode()) >> 1)
    return int(np.sum(multihost_utils.process_allgather(host) == host))


def _own_cgroups() -> list[Path]:
    """The folders of this process's cgroup and of all that hold it: each has a limit of its own."""
    names = [line.removeprefix("0::/") for line in _text(OWN_CGROUP).splitlines() if line.startswith("0::/")]
    own = CGROUPS / names[0] if names else CGROUPS
    return [own, *(folder for folder in own.parents if folder.is_relative_to(CGROUPS))]


def _left_in(cgroup: Path) -> int | None:
    """Bytes below the limit of a cgroup; None where it has none."""
    limit, used = (_text(cgroup / name).strip() for name in ("memory.max", "memory.current"))
    if not limit.isdecimal():
        return None
    counts = dict(line.split() for line in _text(cgroup / "memory.stat").splitlines() if line.count(" ") == 1)
    cached = sum(int(counts.get(name, 0)) for name in ("active_file", "inactive_file"))
    return max(0, int(limit) - max(0, int(used or 0) - cached))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
