"""The other side of gpu_worker.py: processes that compute, one a framework and set of XLA flags, asked and ended.

A process that dies, or doesn't answer in time, fails what it was asked, and is started anew at the next question.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

SCRIPT = Path(__file__).resolve().parent / "gpu_worker.py"
TOLD = 400  # letters of a dead process's last words
END_SECONDS = 10.0
Key = tuple[str, str]  # framework, XLA flags


class Failed(Exception):
    """What was asked could not be done: the reason."""


@dataclass(frozen=True)
class Process:
    """A running worker, its answers as they come, and what it prints."""

    popen: subprocess.Popen[str]
    answers: queue.Queue[str | None]
    reader: threading.Thread
    log: IO[str]


class Workers:
    """Worker processes by framework and XLA flags, started when first asked."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._running: dict[Key, Process] = {}

    def ask(self, key: Key, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """What the worker answers; Failed if it refuses, dies or takes longer."""
        self.send(key, request)
        return self.receive(key, timeout_s)

    def send(self, key: Key, request: dict[str, Any]) -> None:
        """Put a question, so that several workers can be at theirs at once."""
        process = self._running.get(key)
        if process is not None and process.popen.poll() is not None:
            self.end(key)
        process = self._running.get(key)
        if process is None:
            process = self._running[key] = start(key, self._environ)
        with suppress(OSError):  # if it has died, receive tells how
            assert process.popen.stdin is not None
            process.popen.stdin.write(json.dumps(request) + "\n")
            process.popen.stdin.flush()

    def receive(self, key: Key, timeout_s: float) -> dict[str, Any]:
        """The answer to the question that was put."""
        process = self._running[key]
        try:
            line = process.answers.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            self.end(key)
            raise Failed(f"no answer within {timeout_s:.0f} s") from None
        if line is None:
            code = process.popen.wait()
            words = last_words(process.log)
            self.end(key)
            raise Failed(f"the process ended with code {code}: {words}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return dict(answer["ok"])

    def end(self, key: Key) -> None:
        """End one worker, and give back what it held."""
        process = self._running.pop(key, None)
        if process is None:
            return
        process.popen.terminate()
        try:
            process.popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()
        process.reader.join()
        for stream in (process.popen.stdin, process.popen.stdout, process.log):
            if stream is not None:
                with suppress(OSError):  # a question that never left
                    stream.close()

    def end_others(self, keys: set[Key]) -> None:
        """End all workers but these."""
        for key in set(self._running) - keys:
            self.end(key)


def start(key: Key, environ: Mapping[str, str]) -> Process:
    """Start a worker; its environment has the XLA flags of its key beside those that are set."""
    framework, flags = key
    added = {"XLA_FLAGS": f"{environ.get('XLA_FLAGS', '')} {flags}".strip()} if flags else {}
    # Both frameworks are on one device: neither may take more of its memory than it needs. Only one of them is JAX.
    added |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if framework == "jax" else {"JAX_PLATFORMS": "cpu"}
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - Workers.end closes it
    popen = subprocess.Popen(
        [sys.executable, str(SCRIPT), framework],
        env={**environ, **added},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    answers: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=read, args=(popen, answers), daemon=True)
    reader.start()
    return Process(popen, answers, reader, log)


def read(popen: subprocess.Popen[str], answers: queue.Queue[str | None]) -> None:
    """Pass answers on, and None when there will be no more."""
    assert popen.stdout is not None
    for line in popen.stdout:
        answers.put(line)
    answers.put(None)


def last_words(log: IO[str]) -> str:
    """The end of what a process printed, on one line."""
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - 4 * TOLD))
    return " ".join(log.read().split())[-TOLD:]
