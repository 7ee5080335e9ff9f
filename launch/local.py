"""Edge: start several processes of one training on this machine; the first failure ends them all."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO

from preprocess.command import log, run
from preprocess.errors import EXIT_DONE, EXIT_LOST, EXIT_SAVED, EXIT_SOME_FAILED, UserError
from preprocess.flags import Output, check

POLL_SECONDS = 0.1
GRACE_SECONDS = 10.0
ENDED_WELL = (EXIT_DONE, EXIT_SOME_FAILED, EXIT_SAVED)
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
# How a process ends that another one's death has ended: ours by EXIT_LOST, jax's own watch by SIGABRT.
CONSEQUENCES = (EXIT_LOST, -signal.SIGABRT)
SEPARATOR = "--"


@dataclass(frozen=True)
class LocalConfig(Output):
    """Start processes that train together: launch.local --processes 2 -- python -m jaxmask.train hdf/ model/"""

    processes: int = 2
    """Processes to start, each with all the devices it can see."""
    gpus_per_process: int | None = None
    """Show each process only its own GPUs, this many; needed where there are GPUs, as processes can't share one."""
    port: int | None = None
    """Port of the first process; by default a free one."""

    def __post_init__(self) -> None:
        check(self.processes >= 1, "processes", "1 or more", self.processes)
        gpus = self.gpus_per_process
        check(gpus is None or gpus >= 1, "gpus_per_process", "1 or more", gpus)
        check(self.port is None or 0 < self.port < 2**16, "port", "from 1 to 65535", self.port)


@dataclass(frozen=True)
class Child:
    """A started process and the threads that pass on what it prints."""

    number: int
    process: subprocess.Popen[bytes]
    printers: tuple[threading.Thread, ...]


def main(command: Sequence[str], config: LocalConfig) -> int:
    """Run `command` in every process; return 0, 3 or 75 if all ended with those, else the first failure's code."""
    if not command:
        raise UserError(
            "no command to start: write it after --, as in ... --processes 2 -- python -m jaxmask.train ..."
        )
    port = config.port or _free_port()
    children: list[Child] = []
    try:
        with _forward_signals(children) as signals:
            for number in range(config.processes):
                children.append(_start(command, number, config, port))
            return _wait(children, signals)
    finally:
        _end(children)


def environment(number: int, config: LocalConfig, port: int) -> dict[str, str]:
    """Return what process `number` finds in its environment beside what this one has: where and who it is."""
    variables = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": str(config.processes),
        "JAX_PROCESS_ID": str(number),
    }
    if config.gpus_per_process is not None:
        first = number * config.gpus_per_process
        gpus = range(first, first + config.gpus_per_process)
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(str(gpu) for gpu in gpus)
    return variables


def first_failure(codes: Sequence[int | None]) -> int | None:
    """Return which process has failed, by its exit code, rather a cause than a consequence; None if none has."""
    failed = [number for number, code in enumerate(codes) if code is not None and code not in ENDED_WELL]
    return min(failed, key=lambda number: codes[number] in CONSEQUENCES, default=None)


def _start(command: Sequence[str], number: int, config: LocalConfig, port: int) -> Child:
    try:
        process = subprocess.Popen(
            list(command),
            env=os.environ | environment(number, config, port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # a Ctrl-C reaches it once, through this process
        )
    except OSError as error:
        raise UserError(f"{command[0]} can't be started ({error.strerror}): check the command after --") from error
    pipes = [(process.stdout, number == 0), (process.stderr, False)]
    printers = tuple(threading.Thread(target=_print, args=(number, *pipe), daemon=True) for pipe in pipes)
    for printer in printers:
        printer.start()
    return Child(number, process, printers)


def _print(number: int, pipe: IO[bytes], is_output: bool) -> None:
    """Pass on the first process's stdout as it is, every other line to stderr behind the process's number."""
    with pipe:
        for line in pipe:
            text = line.decode(errors="replace").rstrip("\n")
            out = sys.stdout if is_output else sys.stderr
            out.write(f"{text}\n" if is_output else f"[{number}] {text}\n")
            out.flush()


def _wait(children: Sequence[Child], signals: list[int]) -> int:
    """Return when all have ended well, one has failed, or a second signal says not to wait."""
    while True:
        codes = [child.process.poll() for child in children]
        failed = first_failure(codes)
        if failed is not None:
            return _failed(children[failed], codes[failed] or 0, codes.count(None))
        if None not in codes:
            return max(code for code in codes if code is not None)
        if len(signals) > 1:
            return 128 + signals[-1]
        time.sleep(POLL_SECONDS)


def _failed(child: Child, code: int, running: int) -> int:
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    ending = f"; ending the {running} still running" if running else ""
    log.error("process %d failed with %s%s", child.number, how, ending)
    return 128 - code if code < 0 else code


def _end(children: Sequence[Child]) -> None:
    """Ask those that run to end, then make them, and let the last lines be printed."""
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
    for child in children:
        for printer in child.printers:
            printer.join(timeout=1.0)


@contextmanager
def _forward_signals(children: Sequence[Child]) -> Iterator[list[int]]:
    """Pass signals on to the children, who know how to stop; yield the list of those that came."""
    came: list[int] = []

    def forward(signum: int, frame: object) -> None:
        came.append(signum)
        for child in children:
            if child.process.poll() is None:
                child.process.send_signal(signum)

    heard = [number for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN]  # not SIGHUP under nohup
    previous = {number: signal.signal(number, forward) for number in heard}
    try:
        yield came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _divide(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own flags, and the command behind the first --."""
    split = list(arguments).index(SEPARATOR) if SEPARATOR in arguments else len(arguments)
    return list(arguments[:split]), list(arguments[split + 1 :])


if __name__ == "__main__":
    own, command = _divide(sys.argv[1:])
    sys.exit(run("launch.local", LocalConfig, partial(main, command), own))
