"""What commands write to a terminal and to a pipe: widths, colours, bars, lines of a log."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import struct
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from preprocess import progress as progress_module
from preprocess.command import Failure, finish, run
from preprocess.errors import UserError
from preprocess.flags import Output
from preprocess.progress import progress
from preprocess.terminal import log, log_to_stderr, shows_colour, tell_error, terminal_columns

NAME = "S3A_SL_1_RBT____20180510T013727_20180510T014027_20180511T102927_0179_031_074_2881_LN2_O_NT_002"
ESCAPE = "\x1b"


@dataclass(frozen=True)
class Config(Output):
    """Do nothing."""


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], columns: int = 80) -> str:
    """What `act` writes to standard error where that is a terminal so wide; line ends as they were written."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    with os.fdopen(its, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setenv("TERM", "xterm")
        act()
        stream.flush()
        shown = os.read(ours, 65536)
    with suppress(OSError):
        while more := os.read(ours, 65536):
            shown += more
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def refused(config: Config) -> int:
    raise UserError(f"/far/away/{NAME}.zip: not a zip, or a truncated one; fetch it again and again until it is whole")


def partly(folder: Path) -> Callable[[Config], int]:
    def main(config: Config) -> int:
        log.info("one moment")
        log.warning("warning: the model was trained on the products of 16 of these 23 masks, which may flatter it")
        return finish(config, {"message": "1 of 2 done"}, [Failure(f"{NAME}.zip", "truncated")], folder)

    return main


@pytest.mark.quick
def test_an_error_is_folded_and_red_on_a_terminal_and_one_line_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = on_a_terminal(monkeypatch, lambda: run("x", Config, refused, []))
    assert shown == (
        f"{ESCAPE}[31mx: error{ESCAPE}[0m:\n  /far/away/{NAME}.zip:\n"
        "  not a zip, or a truncated one; fetch it again and again until it is whole\n"
    )
    assert run("x", Config, refused, []) == 2
    piped = capsys.readouterr().err
    assert piped.count("\n") == 1
    assert ESCAPE not in piped


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_messages_fit_their_terminal_and_the_list_of_failures_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    shown = on_a_terminal(monkeypatch, lambda: run("x", Config, partly(Path("out")), []), columns)
    assert max(map(len, shown.splitlines())) <= columns
    assert (NAME in shown) == (columns == 120)
    assert "warning: the model was trained" in shown
    assert json.loads((tmp_path / "out" / "failures.json").read_text())[0]["item"] == f"{NAME}.zip"


def test_colour_is_for_terminals_that_show_it_and_people_who_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def both() -> None:
        log_to_stderr(quiet=True)
        log.warning("warning: a")
        tell_error("x: error: b")

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert on_a_terminal(monkeypatch, both).count(ESCAPE) == 4
    monkeypatch.setenv("NO_COLOR", "1")
    assert on_a_terminal(monkeypatch, both) == "warning: a\nx: error: b\n"
    monkeypatch.delenv("NO_COLOR")

    def dumb() -> None:
        os.environ["TERM"] = "dumb"
        both()

    assert ESCAPE not in on_a_terminal(monkeypatch, dumb)
    assert not shows_colour(io.StringIO())
    assert terminal_columns(io.StringIO()) is None


def test_a_message_amid_a_bar_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    def act() -> None:
        log_to_stderr(quiet=False)
        with progress(2, "convert", "products") as advance:
            advance(1, "")
            log.warning("made again: %s", "a.hdf")
            advance(1, "")

    shown = on_a_terminal(monkeypatch, act)
    # What a carriage return begins again is overwritten: the last piece of a line is what is seen.
    seen = [line.split("\r")[-1].rstrip() for line in shown.splitlines()]
    assert "made again: a.hdf" in seen
    assert seen[-1].startswith("convert: 100%|")
    assert seen[-1].endswith("| 2/2 products, 00:00 gone, 00:00 left")
    assert max(len(piece) for line in shown.splitlines() for piece in line.split("\r")) <= 80


def test_a_log_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """1000 items of 10 s each: a line at each 5 %, of which the first is told when 50 are done."""
    now = iter(range(0, 20000, 10))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: float(next(now)))
    log_to_stderr(quiet=False)
    with progress(1000, "convert", "products") as advance:
        for _ in range(1000):
            advance(1, "")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 19
    assert lines[0] == "convert: 50 of 1000 products (5 %), 0:08:20 gone, 2:38:20 left"


@pytest.mark.parametrize(("seconds", "items", "lines"), [(10, 5, 0), (61, 4, 3), (700, 100, 99), (100, 1, 0)])
def test_short_runs_leave_no_line_and_slow_ones_one_in_ten_minutes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: int, items: int, lines: int
) -> None:
    now = iter(range(0, 10**6, seconds))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: float(next(now)))
    log_to_stderr(quiet=False)
    for quiet in (True, False):
        with progress(items, "x", "items", quiet=quiet, done=0) as advance:
            for _ in range(items):
                advance(1, "words of its own")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == lines
    assert all(line.endswith("%), words of its own") and "\r" not in line for line in told)
