"""Run a module as one of several processes on this machine, on a core of its own as far as there are enough.

JAX_PROCESS_ID=1 python scaling_process.py jaxmask.train SHARDS MODEL ...
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Take the core, then become the module."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(os.environ.get("JAX_PROCESS_ID", "0")) % len(cores)]})
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
