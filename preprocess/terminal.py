"""Edge: how commands speak on standard error: folded and sparingly coloured on a terminal, line by line elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import nullcontext
from typing import TextIO

from tqdm import tqdm

from preprocess.folding import RED, YELLOW, folded, painted

log = logging.getLogger("jaxmask")

CLEAR_LINE = "\r\x1b[K"
COLOURS = {logging.WARNING: YELLOW, logging.ERROR: RED}


class Messages(logging.StreamHandler[TextIO]):
    """Log records on standard error, whatever it is when they come; bars make way for them.

    A record's `continuation` ends those of its lines that go on in the next one, as of a command in a shell.
    another: this is a process beside the one whose bar is on the terminal.
    """

    def __init__(self, *, another: bool = False) -> None:
        super().__init__(sys.stderr)
        self._another = another

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            text = self.format(record)
            columns, colour = terminal_columns(self.stream), COLOURS.get(record.levelno)
            if columns is not None:
                text = folded(text, columns, shorten=True, continuation=getattr(record, "continuation", ""))
            if shows_colour(self.stream):
                text = painted(text, colour) if colour else text
                text = CLEAR_LINE + text if self._another else text
            with nullcontext() if columns is None else tqdm.external_write_mode(file=self.stream):
                self.stream.write(text + self.terminator)
                self.flush()
        except Exception:
            self.handleError(record)


def log_to_stderr(*, quiet: bool, another: bool = False) -> None:
    """Send what commands say to standard error: all of it, or if quiet warnings and errors alone."""
    log.handlers[:] = [Messages(another=another)]
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False


def tell_error(text: str) -> None:
    """Write why a command ends to standard error; names in it are whole."""
    columns = terminal_columns(sys.stderr)
    text = text if columns is None else folded(text, columns)
    print(painted(text, RED) if shows_colour(sys.stderr) else text, file=sys.stderr)


def terminal_columns(stream: TextIO) -> int | None:
    """Return how wide the terminal is that `stream` writes to; None if it is none, or doesn't tell."""
    if not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def shows_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours, and nobody asked for none (https://no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether `stream` writes to a terminal."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
