"""The tables of trainings as text for people: as many columns as fit beside each other, the rest below them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from jaxmask.results_table import SCORES, SPEED, Column, Row, notes

WIDTH = 80
NAME_WIDTH = 24  # of a run; a longer one loses its middle
GAP = "  "


def plain_tables(rows: Sequence[Row]) -> str:
    """Return the tables of speed and of scores, at most 80 columns wide, with what their columns mean."""
    tables = [block for columns in (SPEED, SCORES) for block in _blocks(columns, rows)]
    return "\n\n".join([*tables, *("\n".join(textwrap.wrap(note, WIDTH)) for note in notes(rows))])


def _blocks(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Each begins with the runs' names."""
    names, *others = [_cells(column, rows) for column in columns]
    blocks, room = [[names]], WIDTH - len(names[-1])
    for cells in others:
        if room < len(GAP) + len(cells[-1]):
            blocks.append([names])
            room = WIDTH - len(names[-1])
        blocks[-1].append(cells)
        room -= len(GAP) + len(cells[-1])
    return ["\n".join(_lines(block)) for block in blocks]


def _cells(column: Column, rows: Sequence[Row]) -> list[str]:
    """The lines of a column's heading, then its cells, all equally wide; the heading is folded to be no wider."""
    texts = [_shortened(column.text(row)) for row in rows]
    width = max(map(len, [*texts, *column.heading.split()]))
    heading = textwrap.wrap(column.heading, width)
    return [f"{text:>{width}}" for text in (*heading, *texts)]


def _lines(block: Sequence[Sequence[str]]) -> list[str]:
    height = max(map(len, block))
    padded = [[" " * len(cells[-1])] * (height - len(cells)) + list(cells) for cells in block]
    padded[0] = [f"{cell.strip():{len(cell)}}" for cell in padded[0]]  # names stand to the left
    return [GAP.join(line).rstrip() for line in zip(*padded, strict=True)]


def _shortened(text: str) -> str:
    if len(text) <= NAME_WIDTH:
        return text
    kept = NAME_WIDTH - 3
    return f"{text[: kept // 3]}...{text[-(kept - kept // 3) :]}"
