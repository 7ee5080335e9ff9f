"""Joining other processes, and losing them: what is said, how soon, and with which exit code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxmask.launch_choice import Launch
from jaxmask.processes import HEARTBEAT_SECONDS, leave, others_may_fail, start_distributed
from preprocess.errors import EXIT_LOST, LostOthersError, UserError

ROOT = Path(__file__).resolve().parents[1]
LATE = """
import sys
from jaxmask.launch_choice import Launch
from jaxmask.processes import start_distributed
start_distributed(Launch("flags", sys.argv[1], 2, int(sys.argv[2])), join_seconds=1.0)
"""
# Two processes sum together for ever, until process 1 is lost in the way that the first argument names.
LOSING = """
import os, signal, sys, time
import jax, jax.numpy as jnp, numpy as np
from jaxmask import processes
from jaxmask.launch_choice import choose_launch
from jaxmask.mesh import make_mesh, replicated, to_global, use_cpu_only
from preprocess.command import Output, run
from preprocess.errors import UserError

processes.HEARTBEAT_SECONDS = 5

def main(config):
    use_cpu_only()
    jax.config.update("jax_enable_preemption_service", False)
    processes.start_distributed(choose_launch(os.environ))
    mesh = make_mesh()
    total = jax.jit(jnp.sum, out_shardings=replicated(mesh))
    with processes.others_may_fail():
        for step in range(1000000):
            float(total(to_global(mesh, np.ones(64, np.float32))))
            if step == 3 and jax.process_index() == 1:
                if sys.argv[1] == "failing":
                    raise UserError("process 1 has failed")
                if sys.argv[1] == "in":
                    time.sleep(1)  # the other waits in the next sum
                os.kill(os.getpid(), signal.SIGKILL)
            if step == 3 and sys.argv[1] == "out":
                time.sleep(60)

processes.leave(run("lose", Output, main, []))
"""


def start(code: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    paths = {"PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | paths | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        err = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    return process.returncode, err


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_alone_there_is_nobody_to_join() -> None:
    start_distributed(Launch("alone"))
    assert not jax.distributed.is_initialized()


@pytest.mark.quick
def test_a_port_in_use_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(UserError, match=f"process 0 can't listen at {address} .*already in use.*another port"):
            start_distributed(Launch("flags", address, 2, 0))


def test_who_waits_in_vain_says_for_whom() -> None:
    """Without this jax would abort from C++, with a stack trace that names no address."""
    nobody, alone, nowhere = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", "no-such-host.invalid:1234"
    cases = {
        (nobody, "1"): "process 0 isn't there: Connection refused",
        (alone, "0"): "process 0 is there, but not all 2 have come",
        (nowhere, "1"): "there is no host no-such-host.invalid",
    }
    waiting = {case: start(LATE, *case) for case in cases}
    for (address, number), why in cases.items():
        code, err = ended(waiting[address, number])
        assert code == EXIT_LOST, err
        assert f"process {number} of 2 (flags) could not join the others at {address} within 1 s ({why}" in err
        assert "Check failure" not in err


@pytest.mark.parametrize(
    ("way", "codes", "message"),
    [
        ("in", {EXIT_LOST}, "process 0 lost another process of this training"),
        ("out", {-6}, "another task died"),  # jax's own words, from C++
        ("failing", {EXIT_LOST, -6}, ""),
    ],
)
def test_who_loses_another_ends(way: str, codes: set[int], message: str) -> None:
    environ = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}", "JAX_NUM_PROCESSES": "2"}
    both = [start(LOSING, way, **environ, JAX_PROCESS_ID=number) for number in "01"]
    (survivor, err), (lost, last_words) = map(ended, both)
    assert survivor in codes, err
    assert message in err
    assert lost == (2 if way == "failing" else -9)  # a failure doesn't wait for the others at exit
    assert ("process 1 has failed" in last_words) == (way == "failing")


def test_a_dead_host_is_noticed_within_a_minute() -> None:
    assert HEARTBEAT_SECONDS <= 30


def test_a_lost_process_is_told_from_other_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: Exception) -> None:
        with others_may_fail():
            raise error

    lost = "UNKNOWN: Gloo all-reduce failed: Connection closed by peer\nmore"
    with pytest.raises(jax.errors.JaxRuntimeError):  # one process has nobody to lose
        fail(jax.errors.JaxRuntimeError(lost))
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    for kind in (jax.errors.JaxRuntimeError, ValueError):
        with pytest.raises(LostOthersError, match=r"lost another .*\(UNKNOWN: Gloo .* peer\); run all of them again"):
            fail(kind(lost))
    for error in (jax.errors.JaxRuntimeError("INTERNAL: a bug"), ValueError("shapes differ")):
        with pytest.raises(type(error), match=str(error)):
            fail(error)
    assert LostOthersError.exit_code == EXIT_LOST


def test_leaving_alone_is_a_plain_exit() -> None:
    with pytest.raises(SystemExit, match=r"^3$"):
        leave(3)
    with pytest.raises(SystemExit, match=r"^2$"):
        leave(2)


def test_a_device_without_memory_enough_says_how_to_need_less() -> None:
    words = r"too little memory \(RESOURCE_EXHAUSTED: 3 GiB\): choose a smaller --batch-size"
    with pytest.raises(UserError, match=words), others_may_fail():
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 3 GiB\nand more")
