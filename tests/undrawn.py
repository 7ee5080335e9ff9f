"""Reports whose charts are empty: drawing them is most of a report's second, and not what every test is about."""

from __future__ import annotations

from typing import IO, Any

import pytest
from matplotlib.figure import Figure

EMPTY = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>'


def leave_charts_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Matplotlib write empty SVG; other pictures are drawn."""
    draw = Figure.savefig

    def savefig(self: Figure, stream: IO[Any], *arguments: Any, **options: Any) -> None:
        if options.get("format") == "svg":
            stream.write(EMPTY)
        else:
            draw(self, stream, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
