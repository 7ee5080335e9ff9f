"""Edge: how much memory there is to be had."""

from __future__ import annotations

from pathlib import Path

MEMORY_INFO = Path("/proc/meminfo")
CGROUP_MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")


def available_memory() -> int | None:
    """Bytes that can be had without swapping, at most what the container allows; None where the system doesn't tell."""
    lines = _text(MEMORY_INFO).splitlines()
    limits = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    allowed = _text(CGROUP_MEMORY_MAX).strip()
    return min([*limits, int(allowed)] if allowed.isdecimal() else limits, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
