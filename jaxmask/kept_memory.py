"""Edge: the process's memory: what a step gives back is kept for the next one."""

from __future__ import annotations

import ctypes
import sys

# Names and numbers of mallopt(3)
SETTINGS = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_ARENA_MAX": (-8, 1)}


def keep_memory() -> bool:
    """Have the C library (glibc) keep freed memory; return whether it does.

    To be called before JAX starts its threads, each of which would get memory of its own from the system. A step on a
    CPU takes a gigabyte for its intermediate results and gives it back, every time, and each page of it must be zeroed
    anew: a quarter of the step's processor time. Kept, a training is as big between its steps as in them.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has none
        return False
    return all(mallopt(name, value) == 1 for name, value in SETTINGS.values())
