"""How a message is laid out on a terminal: folded at a hanging indent, long product names shortened, its head painted.

Tables and pictures of text are left as they are: lines with two spaces in a row, or that begin with a bar.
"""

from __future__ import annotations

import re
import textwrap

INDENT = "  "
LEAST_COLUMNS = 20  # below, folding makes a message longer, not clearer
# Mission, kind and start of sensing are kept, and the collection at the end: what tells most products apart.
PRODUCT_NAME = re.compile(r"(S3[A-Z]_SL_1_RBT____\d{8}T\d{6})_\w+(_\w{3}_\w_\w\w_\d{3})")
SHORT_NAME = r"\1...\2"
LAID_OUT = re.compile(r"\||\s*\S.*  ")
# What a message is about, before its first colon: "failed", "warning", "jaxmask.train: error".
HEAD = re.compile(r"(?:[\w. ]+: (?=error:))?[\w -]{1,24}(?=:\s)")
RED, YELLOW, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"


def folded(text: str, columns: int, *, shorten: bool = False, continuation: str = "") -> str:
    """Return `text` with its lines of prose no wider than `columns`, but for words that are wider by themselves.

    A line goes on two spaces further in than it began. shorten: names of products that don't fit in a line lose their
    middle. continuation: what ends a line that goes on, as the backslash of a shell.
    """
    if columns < LEAST_COLUMNS:
        return text
    return "\n".join(_folded_line(line, columns, shorten, continuation) for line in text.split("\n"))


def painted(text: str, colour: str) -> str:
    """Return `text` with what it says before its first colon in `colour`; as it is, if that isn't short."""
    found = HEAD.match(text)
    return f"{colour}{found[0]}{PLAIN}{text[found.end() :]}" if found else text


def _folded_line(line: str, columns: int, shorten: bool, continuation: str) -> str:
    if len(line) <= columns or LAID_OUT.match(line):
        return line
    margin = line[: len(line) - len(line.lstrip())]
    room = columns - len(margin) - len(INDENT)
    words = [PRODUCT_NAME.sub(SHORT_NAME, word) if shorten and len(word) > room else word for word in line.split()]
    wrapped = textwrap.wrap(
        " ".join(words),
        columns - len(continuation),
        initial_indent=margin,
        subsequent_indent=margin + INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{continuation}\n".join(wrapped)
