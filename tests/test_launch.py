"""Local launch: who is told what, whose output goes where, and how the first failure ends the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxmask.launch_choice import choose_launch
from launch.local import LocalConfig, environment, first_failure, main
from preprocess.errors import UserError

ROOT = Path(__file__).resolve().parents[1]


def local(*flags: str, code: str) -> list[str]:
    return [sys.executable, "-m", "launch.local", *flags, "--", sys.executable, "-c", code]


def run_local(*flags: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(local(*flags, code=code), cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.quick
def test_each_process_learns_who_it_is() -> None:
    config = LocalConfig(processes=3, gpus_per_process=2)
    assert environment(1, config, 1234) == {
        "JAX_COORDINATOR_ADDRESS": "127.0.0.1:1234",
        "JAX_NUM_PROCESSES": "3",
        "JAX_PROCESS_ID": "1",
        "CUDA_VISIBLE_DEVICES": "2,3",
    }
    assert "CUDA_VISIBLE_DEVICES" not in environment(0, LocalConfig(), 1234)


def test_training_understands_what_it_is_told() -> None:
    launch = choose_launch(environment(1, LocalConfig(processes=3), 1234))
    assert (launch.by, launch.coordinator, launch.processes, launch.process) == ("environment", "127.0.0.1:1234", 3, 1)


def test_a_bad_count_is_refused() -> None:
    with pytest.raises(UserError, match="--processes must be 1 or more; found 0"):
        LocalConfig(processes=0)


def test_logs_are_told_apart_and_only_the_first_process_has_stdout() -> None:
    code = "import os, sys; n = os.environ['JAX_PROCESS_ID']; print('out', n); print('log', n, file=sys.stderr)"
    done = run_local("--processes", "2", code=code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out 0\n"
    assert sorted(done.stderr.splitlines()) == ["[0] log 0", "[1] log 1", "[1] out 1"]


def test_the_first_failure_ends_all_and_is_named() -> None:
    # The others would sleep far beyond the limit that run_local sets.
    code = "import os, sys, time; os.environ['JAX_PROCESS_ID'] == '1' and sys.exit(7); time.sleep(600)"
    done = run_local("--processes", "3", code=code)
    assert done.returncode == 7
    assert "process 1 failed with exit code 7; ending the 2 still running" in done.stderr


def test_a_killed_process_is_named_by_its_signal() -> None:
    done = run_local("--processes", "1", code="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == 137
    assert "process 0 failed with signal SIGKILL" in done.stderr


def test_items_left_out_or_a_requested_stop_are_no_failure() -> None:
    code = (
        "import os, sys, time; n = int(os.environ['JAX_PROCESS_ID']); time.sleep(n / 2); print(n); sys.exit([3, 75][n])"
    )
    done = run_local("--processes", "2", code=code)
    assert done.returncode == 75
    assert "[1] 1" in done.stderr  # the slower one was left to finish


@pytest.mark.parametrize(
    ("codes", "named"),
    [
        ([0, None, 3, 75], None),
        ([None, 2, 1], 1),
        ([69, None, -9], 2),  # the others lost the one that was killed
        ([-6, 69, 1], 2),  # SIGABRT is how jax's own watch ends a process
        ([69, -6], 0),
    ],
)
def test_of_processes_that_die_together_the_cause_is_named(codes: list[int | None], named: int | None) -> None:
    assert first_failure(codes) == named


def test_a_process_that_keeps_on_after_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch.local.GRACE_SECONDS", 0.2)
    code = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "time.sleep(1.0); os.environ['JAX_PROCESS_ID'] == '1' and sys.exit(7); time.sleep(600)"
    )
    assert main([sys.executable, "-c", code], LocalConfig(processes=2)) == 7


def test_the_end_of_the_terminal_ends_all_unless_under_nohup() -> None:
    code = "import sys, time; print('ready', file=sys.stderr, flush=True); time.sleep(2.5)"
    command = local("--processes", "1", code=code)
    listen = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    listening = [sys.executable, "-c", listen]  # the tests themselves may run under nohup
    for prefix, expected in ((["nohup"], 0), (listening, 128 + signal.SIGHUP)):
        with subprocess.Popen(
            [*prefix, *command], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE
        ) as launcher:
            assert launcher.stderr is not None
            while b"ready" not in launcher.stderr.readline():
                pass
            launcher.send_signal(signal.SIGHUP)
            assert launcher.wait(timeout=40) == expected


def test_a_signal_is_passed_on() -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75)); "
        "print('ready', file=sys.stderr, flush=True); time.sleep(50)"
    )
    with subprocess.Popen(
        local("--processes", "2", code=code), cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as launcher:
        assert launcher.stderr is not None
        for _ in range(2):
            launcher.stderr.readline()
        launcher.send_signal(signal.SIGUSR1)
        assert launcher.wait(timeout=40) == 75


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "2"], "no command to start: write it after --"),
        (["--", "/no/such/program"], "/no/such/program can't be started"),
    ],
)
def test_what_cannot_be_started_is_refused(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "launch.local", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
