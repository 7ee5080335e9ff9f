"""Edge: how many processor cores this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CONTROL_GROUPS = Path("sys/fs/cgroup")
MEMBERSHIP = Path("proc/self/cgroup")


def available_cores(root: Path = Path("/")) -> int:
    """The cores this process may use: its affinity, capped by the quotas of its control groups; at least 1.

    Quotas of both versions of Linux control groups count, the process's own and those of every group around it
    (Documentation/admin-guide/cgroup-v2.rst: cpu.max; cgroup-v1: cpu.cfs_quota_us); a part of a core is left over.
    `root` is the file system to look in.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *_quotas(root)]))


def _quotas(root: Path) -> Iterator[int]:
    for folder in _groups(root):
        for read in (_quota_v2, _quota_v1):
            try:
                quota = read(folder)
            except (OSError, ValueError, ZeroDivisionError):
                continue
            if quota is not None:
                yield quota


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups that may limit this process, each with those around it, as far as they can be seen."""
    base = root / CONTROL_GROUPS
    try:
        lines = (root / MEMBERSHIP).read_text().splitlines()
    except OSError:
        lines = []
    for line in ("0::/", *lines):
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        hierarchy = base / controllers if controllers else base
        for part in (PurePosixPath(name.lstrip("/")), *PurePosixPath(name.lstrip("/")).parents):
            yield hierarchy / part


def _quota_v2(folder: Path) -> int | None:
    quota, period = (folder / "cpu.max").read_text().split()
    return None if quota == "max" else int(quota) // int(period)


def _quota_v1(folder: Path) -> int | None:
    quota = int((folder / "cpu.cfs_quota_us").read_text())
    return None if quota < 0 else quota // int((folder / "cpu.cfs_period_us").read_text())
