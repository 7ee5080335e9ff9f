"""Our docstrings are plain text with `names` in backticks: shown so, letter by letter, not read as reStructuredText."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CODE = re.compile(r"(`[^`]+`)")
PARAGRAPH = re.compile(r"(Returns? |Raises |[a-z_]+(, [a-z_]+)*: )")  # how its sentences on arguments and results begin
LETTERS = re.compile(r"([*|\\]|_(?=\W|$))")
PROMPT = ">>>"


def as_restructured_text(lines: list[str]) -> list[str]:
    """The lines of a docstring with code as code, and everything else escaped; examples stay as they are."""
    made, in_example = [], False
    for line in lines:
        starts = line.lstrip().startswith(PROMPT)
        in_example = bool(line.strip()) and (in_example or starts)
        first_of_example = starts and not (made and made[-1].lstrip().startswith(PROMPT))
        if first_of_example or (not in_example and PARAGRAPH.match(line)):
            made.append("")
        made.append(line if in_example else _line(line))
    return made


def _line(line: str) -> str:
    parts = CODE.split(line)  # every second one is code
    return "".join(
        f"``{part[1:-1]}``" if number % 2 else LETTERS.sub(r"\\\1", part) for number, part in enumerate(parts)
    )


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_restructured_text(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
