"""Where the time of a step went on a device: JAX's profile, added up by kernel and by kind of kernel."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

NAMED = 25  # kernels told by name
# By what the names of kernels (cuDNN, CUTLASS, XLA's fusions) hold, the first that fits.
KINDS = {
    "convolutions and products": r"conv|gemm|xmma|cutlass|wgrad|dgrad|cudnn|implicit|nvjet|winograd",
    "pooling": r"select.and.scatter|reduce.window|scatter",
    "transposes and copies": r"transpose|memcpy|copy|nchw|nhwc",
    "reductions": r"reduce",
    "element by element": r"fusion|loop|add|multiply|maximum|select|convert|broadcast",
}


def summary(folder: Path, steps: int) -> dict[str, Any]:
    """Microseconds a step of each kernel and kind in the newest trace under the folder, those of a device if any.

    "busy_share": of the time from the first kernel's begin to the last one's end; ValueError if there is no trace.
    """
    traces = sorted(folder.rglob("*.trace.json.gz"), key=lambda path: path.stat().st_mtime)
    if not traces:
        raise ValueError(f"{folder}: the profiler left no *.trace.json.gz")
    with gzip.open(traces[-1], "rt") as file:
        return kernels(json.load(file)["traceEvents"], steps) | {"trace": traces[-1].name}


def kernels(events: list[dict[str, Any]], steps: int) -> dict[str, Any]:
    """The same of a trace's events (Chrome's trace format; times in microseconds)."""
    events = [event for event in events if "pid" in event]
    devices = {event["pid"] for event in events if is_device(event)}
    streams = {(event["pid"], event["tid"]) for event in events if event["pid"] in devices and is_stream(event)}
    found = [
        event
        for event in events
        if event.get("ph") == "X" and (event["pid"], event.get("tid")) in streams and event.get("dur", 0) > 0
    ]
    if not found:
        return {"kernels": {}, "kinds": {}, "busy_share": None, "us_a_step": None}
    by_name: Counter[str] = Counter()
    by_kind: Counter[str] = Counter()
    for event in found:
        by_name[event["name"]] += event["dur"]
        by_kind[kind_of(event["name"])] += event["dur"]
    span = max(event["ts"] + event["dur"] for event in found) - min(event["ts"] for event in found)
    return {
        "kernels": {name: time / steps for name, time in by_name.most_common(NAMED)},
        "kinds": {name: time / steps for name, time in by_kind.most_common()},
        "busy_share": sum(by_name.values()) / span,
        "us_a_step": span / steps,
    }


def is_device(event: dict[str, Any]) -> bool:
    """Whether an event tells that its process is an accelerator."""
    return event.get("name") == "process_name" and "/device:" in event["args"]["name"]


def is_stream(event: dict[str, Any]) -> bool:
    """Whether an event tells that its thread is a stream of kernels; other rows repeat those by module or operation."""
    return event.get("name") == "thread_name" and event["args"]["name"].startswith("Stream")


def kind_of(kernel: str) -> str:
    """Which of KINDS a kernel is."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, kernel, re.IGNORECASE)), "other")
