"""A process of gpu.py that computes with one framework: it does what it is asked, a line of JSON for each request.

    python gpu_worker.py jax|torch

Requests on stdin: {"do": "describe"}, {"do": "prepare", "name", "work"}, {"do": "time", "name", "seconds"},
{"do": "trace", "name", "folder", "steps"}, {"do": "drop", "name"}. Answers on stdout: {"ok": {...}}, or {"error":
"..."} where the framework refused, after which the process goes on. What anything else prints goes to stderr.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

LONGEST_ERROR = 600  # letters
CLOCK = time.perf_counter


class Worker:
    """What has been made ready, by name."""

    def __init__(self, framework: Any) -> None:
        self._framework = framework
        self._prepared: dict[str, Any] = {}

    def describe(self) -> dict[str, Any]:
        """What this process computes on and with."""
        return dict(self._framework.describe())

    def prepare(self, name: str, work: dict[str, Any]) -> dict[str, Any]:
        """Compile, do once, and say how long that took."""
        begun = CLOCK()
        prepared = self._framework.prepare(work)
        self._prepared[name] = prepared
        return {"first_call_s": CLOCK() - begun, "about": prepared.about}

    def time(self, name: str, seconds: float) -> dict[str, Any]:
        """Repeat for about so long: how many items in how many seconds."""
        prepared = self._prepared[name]
        one = max(timed(prepared, 1), 1e-6)
        times = max(1, round(seconds / one))
        return {"items": times * prepared.items, "seconds": timed(prepared, times), "repetitions": times}

    def trace(self, name: str, folder: str, steps: int) -> dict[str, Any]:
        """Record a profile of some repetitions, and tell what took their time."""
        import gpu_trace
        import jax

        prepared = self._prepared[name]
        prepared.run(1)
        with jax.profiler.trace(folder):
            prepared.run(steps)
        return gpu_trace.summary(Path(folder), steps)

    def drop(self, name: str) -> dict[str, Any]:
        """Forget it, and give back what it held."""
        self._prepared.pop(name, None)
        gc.collect()
        if not self._prepared:
            self._framework.forget()
        return {}


def timed(prepared: Any, times: int) -> float:
    """Seconds of so many repetitions."""
    begun = CLOCK()
    prepared.run(times)
    return CLOCK() - begun


def main() -> int:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # native libraries print there too
    worker: Worker | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            worker = worker or Worker(importlib.import_module(f"gpu_{sys.argv[1]}"))
            answer = {"ok": getattr(worker, request.pop("do"))(**request)}
        except Exception as error:  # of any library, for its record
            gc.collect()
            answer = {"error": f"{type(error).__name__}: {error}"[:LONGEST_ERROR]}
        answers.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
