"""Two processes that train together: a signal to one stops both at the same step; the death of one ends the other."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from jaxmask.checkpoint import whole_steps
from tests.shards import make_shards
from tests.trainings import ROOT, command, history, one_device, train

LOST_SECONDS = 60  # issue 4: one host dying ends the others within a minute
Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("hdf"), 5)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One device, and programs that are compiled once for all these tests."""
    cache = str(tmp_path_factory.mktemp("compiled"))
    return one_device() | {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@contextmanager
def two_processes(words: Sequence[str], environment: dict[str, str]) -> Iterator[list[Process]]:
    """Start them; whatever happens, none is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [
        subprocess.Popen(
            [*words, "--coordinator", f"127.0.0.1:{port}", "--num-processes", "2", "--process-id", str(number)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def wait_for(process: Process, beginning: str) -> None:
    """Return when the process has printed a line that begins so."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(beginning):
            return
    raise AssertionError("".join(said))


def test_a_signal_to_one_process_stops_both_at_the_same_step(
    shards: Path, environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with two_processes(command(shards, tmp_path, epochs=100000), environment) as processes:
        wait_for(processes[0], "epoch 1/")
        processes[1].send_signal(signal.SIGUSR1)
        said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [75, 75], said
    (latest,) = whole_steps(tmp_path / "checkpoints")[-1:]
    done = len(history(tmp_path))
    assert done == latest // 4  # three steps of training and one of testing
    # On 8 devices of one process it goes on with the same global batch.
    assert train(shards, tmp_path, epochs=done + 1) == 0
    assert "8 x cpu in one process" in capsys.readouterr().err
    assert len(history(tmp_path)) == done + 1


def test_the_death_of_the_coordinator_ends_the_other(shards: Path, environment: dict[str, str], tmp_path: Path) -> None:
    # The harder death: the survivor may also be ended from C++. That of another is others_may_fail's (test_train).
    with two_processes(command(shards, tmp_path, epochs=100000), environment) as processes:
        wait_for(processes[0], "epoch 2/")
        processes[0].kill()
        said, _ = processes[1].communicate(timeout=LOST_SECONDS)
    assert processes[1].returncode not in (0, 75), said
    assert whole_steps(tmp_path / "checkpoints")
