"""The help of flags: docstrings unwrapped, no line too wide, colours by the stream that is written to."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
from tyro.conf import Positional, arg

from preprocess.command import called
from preprocess.flag_help import field_docs, read_flags
from preprocess.flags import Parallel

ESCAPE = "\x1b"


@dataclass(frozen=True)
class Config(Parallel):
    """Do something to a folder that is as long as a line can be, and then a bit more, so that it has to be wrapped."""

    folder: Positional[Annotated[Path, arg(metavar="FOLDER")]]
    """The folder."""
    locate: Literal["index", "position"] | None = None
    """By what, if it is not the usual; a text that is long enough to be wrapped in the source, where it is not to be
    broken when it is shown."""
    share: float = 0.5
    words: tuple[str, ...] = ()


def test_docstrings_are_one_line_each_those_of_bases_among_them() -> None:
    docs = field_docs(Config)
    assert list(docs) == ["quiet", "json", "workers", "scheduler", "folder", "locate"]
    assert docs["locate"].endswith("where it is not to be broken when it is shown.")
    assert docs["folder"] == "The folder."


@pytest.mark.quick
def test_help_is_no_wider_than_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        read_flags(Config, "x", ["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "usage: x [-h] [OPTIONS] FOLDER"
    text = " ".join(line.strip("│ ") for line in lines)
    assert "so that it has to be wrapped." in text
    assert "--locate {index,position} By what, if it is not the usual; a text that is long enough to be wrapped" in text
    assert "--workers INT" in text
    assert "None" not in text
    assert ESCAPE not in text


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("coloured", ["stdout", "stderr"])
def test_colour_goes_by_the_stream_that_is_written_to(monkeypatch: pytest.MonkeyPatch, coloured: str) -> None:
    streams = {name: Terminal() if name == coloured else io.StringIO() for name in ("stdout", "stderr")}
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    for argv in (["--help"], ["a", "--nonsense"]):
        with pytest.raises(SystemExit):
            read_flags(Config, "x", argv)
    told = {name: stream.getvalue() for name, stream in streams.items()}
    assert "--nonsense" not in told["stdout"]
    assert "--scheduler" in told["stdout"]
    assert "--nonsense" in told["stderr"]
    assert {name for name, text in told.items() if ESCAPE in text} == {coloured}
    monkeypatch.setenv("NO_COLOR", "1")
    streams[coloured].truncate(0)
    with pytest.raises(SystemExit):
        read_flags(Config, "x", ["--help"] if coloured == "stdout" else ["a", "--nonsense"])
    assert ESCAPE not in streams[coloured].getvalue()


def test_defaults_and_values_are_what_they_were() -> None:
    config = read_flags(Config, "x", ["a", "--workers", "3", "--words", "b", "c", "--locate", "index"])
    assert config == Config(folder=Path("a"), workers=3, words=("b", "c"), locate="index")
    assert read_flags(Config, "x", ["a"], config) == Config(Path("a"), workers=3, words=("b", "c"), locate="index")
    assert read_flags(Config, "x", ["a", "--workers", "None"]).workers is None


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["python", "bin/jaxmask", "train", "hdf"], "jaxmask train"),
        (["python", "-m", "jaxmask", "train"], "jaxmask train"),
        (["python", "-m", "jaxmask.train", "hdf"], "jaxmask.train"),
        (["python", "-m", "jaxmask.train", "jaxmask", "train"], "jaxmask.train"),
    ],
)
def test_a_command_is_called_what_the_user_calls_it(
    monkeypatch: pytest.MonkeyPatch, words: list[str], name: str
) -> None:
    monkeypatch.setattr(sys, "orig_argv", words)
    assert called("jaxmask.train") == name
