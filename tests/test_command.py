"""What every command does the same way: flags, exit codes, messages on stderr, JSON alone on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tyro.conf import Positional

from preprocess.command import Failure, Parallel, Terminated, check, finish, print_summary, run
from preprocess.errors import UserError

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Config(Parallel):
    """Do nothing to a folder."""

    folder: Positional[Path]
    """The folder."""
    train_split: float = 0.8
    """A share."""
    force: bool = False
    """Do it anyway."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 < self.train_split <= 1, "train_split", "above 0 and at most 1", self.train_split)


def raising(error: BaseException) -> Callable[[Config], int]:
    def main(config: Config) -> int:
        raise error

    return main


@pytest.mark.quick
def test_flags_become_the_dataclass(tmp_path: Path) -> None:
    seen = []

    def main(config: Config) -> int:
        seen.append(config)
        return 0

    assert run("x", Config, main, [str(tmp_path), "--train_split", "0.5", "--force", "--workers", "0"]) == 0
    assert run("x", Config, main, [str(tmp_path), "--train-split", "0.5"]) == 0
    assert seen[0] == Config(folder=tmp_path, train_split=0.5, force=True, workers=0)
    assert seen[1] == Config(folder=tmp_path, train_split=0.5)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("this file: expected that"), 2, "x: error: this file: expected that"),
        (KeyboardInterrupt(), 130, "x: interrupted; whatever was finished is whole"),
        (Terminated(), 143, "x: terminated; whatever was finished is whole"),
        (OSError(28, "No space left on device", "hdf/a.hdf"), 2, "x: error: hdf/a.hdf: No space left on device; mend"),
        (PermissionError(13, "Permission denied", "a"), 2, "x: error: a: Permission denied; mend this and run again"),
    ],
)
def test_what_is_no_bug_ends_in_one_line(
    tmp_path: Path, error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("x", Config, raising(error), [str(tmp_path)]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("error", [ValueError("what"), FileNotFoundError(2, "No such file", "a")])
def test_a_bug_shows_its_traceback_and_asks_for_a_report(
    tmp_path: Path, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("x", Config, raising(error), [str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "x: this is a bug in jaxmask; please report it" in told


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([".", "--train-split", "1.5"], "--train-split must be above 0 and at most 1; found 1.5"),
        ([".", "--workers", "-2"], "--workers must be 0 or more; found -2"),
    ],
)
def test_a_flag_out_of_bounds_names_flag_bound_and_value(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("x", Config, lambda config: 0, argv) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], [".", "--nonsense"], [".", "--train-split", "half"], [".", "more"]])
def test_usage_errors_exit_with_2_and_start_nothing(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run("x", Config, raising(AssertionError("started")), argv)
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "python -m x" in captured.err


def test_help_names_every_flag_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run("x", Config, lambda config: 0, ["--help"])
    assert exit_info.value.code == 0
    told = capsys.readouterr().out
    for words in ("--train-split", "0.8", "--force", "--workers", "--scheduler", "--quiet", "--json", "A share."):
        assert words in told
    assert "--no-force" not in told


def test_finish_lists_failures_and_clears_the_list_when_there_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = [Failure("a.zip", "a.zip: truncated"), Failure("b.zip", "ValueError: odd")]

    def failing(config: Config) -> int:
        return finish(config, {"message": "1 of 3 done", "done": 1}, failures, tmp_path)

    assert run("x", Config, failing, [str(tmp_path)]) == 3
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "failed: a.zip: truncated"  # not named twice
    assert told[1] == "failed: b.zip: ValueError: odd"
    assert told[2] == f"2 failed; all of them are listed in {tmp_path / 'failures.json'}"
    assert told[3] == "1 of 3 done"
    assert json.loads((tmp_path / "failures.json").read_text())[1] == {"item": "b.zip", "error": "ValueError: odd"}
    assert run("x", Config, lambda config: finish(config, {"message": "done"}, [], tmp_path), [str(tmp_path)]) == 0
    assert not (tmp_path / "failures.json").exists()


def test_what_fails_alike_is_told_once_and_listed_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reason = "was made with --label any, not summary; give --overwrite"
    failures = [Failure(f"in/{name}.SEN3", f"out/day/{name}.hdf {reason}") for name in ("a1", "a2", "a3")]
    failures.insert(1, Failure("in/b.zip", "in/b.zip: truncated"))

    def main(config: Config) -> int:
        return finish(config, {"message": "none done"}, failures, tmp_path)

    assert run("x", Config, main, [str(tmp_path)]) == 3
    told = capsys.readouterr().err.splitlines()
    assert told[:3] == [
        f"failed: in/a1.SEN3: out/day/a1.hdf {reason} (2 more failed likewise)",
        "failed: in/b.zip: truncated",
        f"4 failed; all of them are listed in {tmp_path / 'failures.json'}",
    ]
    listed = json.loads((tmp_path / "failures.json").read_text())
    assert [entry["item"] for entry in listed] == ["in/a1.SEN3", "in/b.zip", "in/a2.SEN3", "in/a3.SEN3"]


@pytest.mark.quick
def test_json_goes_alone_to_stdout_and_quiet_keeps_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main(config: Config) -> int:
        return finish(config, {"message": "done", "count": 3}, [Failure("a", "b")], tmp_path)

    assert run("x", Config, main, [str(tmp_path), "--json", "--quiet"]) == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"message": "done", "count": 3, "failures": [{"item": "a", "error": "b"}]}
    assert "failed: a: b" in captured.err
    assert (
        run("x", Config, lambda config: print_summary(config, {"message": "done"}) or 0, [str(tmp_path), "--quiet"])
        == 0
    )
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


SCRIPT = """
import signal, sys, time
from pathlib import Path
from dataclasses import dataclass
from preprocess.command import Output, run
from preprocess.files import whole_file

@dataclass(frozen=True)
class Config(Output):
    "Write for a long time."

def main(config):
    with whole_file(Path("out.txt")) as partial:
        partial.write_text("half")
        for line in range(10**5):
            print("started", flush=True)
            time.sleep(0.01)
    return 0

if __name__ == "__main__":
    # Tests may run in the background, where shells have their children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run("writer", Config, main))
"""


def start(folder: Path) -> subprocess.Popen[str]:
    (folder / "writer.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "writer.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_command_politely(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with start(tmp_path) as process:
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert told.startswith("writer: ")
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["writer.py"]  # nothing half done


def test_a_reader_that_has_had_enough_is_no_bug(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=60)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0
