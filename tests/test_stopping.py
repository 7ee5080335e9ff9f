"""Signals: raised before training, noted in it, a second one at once even where Python can't run; the save clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from jaxmask.stopping import GO_ON, SAVE, SAVE_AND_STOP, SaveClock, StoppedOnRequest, stop_on_signals, wish
from tests.trainings import ROOT


def test_before_training_a_signal_ends_the_block_at_once() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(StoppedOnRequest), stop_on_signals():
        os.kill(os.getpid(), signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == before


@pytest.mark.quick
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_in_training_a_signal_becomes_a_wish(number: signal.Signals) -> None:
    with stop_on_signals() as request:
        request.training = True
        assert wish(request, None) == GO_ON
        os.kill(os.getpid(), number)
        assert [wish(request, clock) for clock in (None, SaveClock(0.0))] == [SAVE_AND_STOP, SAVE_AND_STOP]


def test_the_clock_wishes_to_save_until_it_is_restarted() -> None:
    with stop_on_signals() as request:
        clock = SaveClock(1e-9)
        time.sleep(0.001)
        assert [wish(request, clock), wish(request, None)] == [SAVE, GO_ON]
        slow = SaveClock(10.0)
        slow.restart()
        assert wish(request, slow) == GO_ON


BUSY = """
import hashlib
from jaxmask.stopping import stop_on_signals

with stop_on_signals() as request:
    request.training = True
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # half an hour in C, as in a compilation
"""


def test_a_second_signal_ends_the_process_even_where_python_cannot_run() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        process.send_signal(signal.SIGUSR1)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "a second signal: ended at once" in said
