"""Edge: the truth test's differences as a figure: U-Net minus label and minus the pixelwise network, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from truth_page import CLEAR, CLOUDY, MINUS, SURFACES, TIMES

from preprocess.files import whole_file

STYLES = (("#0072b2", "o", -0.15), ("#d55e00", "s", 0.15))
STRATA = ("all", *CLEAR, *CLOUDY, *SURFACES, *TIMES)


def save(report: dict[str, Any], path: Path) -> None:
    """Draw one panel a label: accuracy differences in percentage points, by stratum; PNG, whole or not at all."""
    rules = report["labels"]
    figure = Figure(figsize=(1.5 + 3.4 * len(rules), 5.2), dpi=110)
    panels = figure.subplots(1, len(rules), sharey=True, squeeze=False)[0]
    for panel, (rule, found) in zip(panels, rules.items(), strict=True):
        draw(panel, found["differences"])
        panel.set_title(f"label: {rule}", fontsize=9)
    panels[0].set_yticks(range(len(STRATA)), STRATA)
    panels[0].invert_yaxis()
    panels[-1].legend(fontsize=7)
    figure.tight_layout()
    with whole_file(path) as partial:
        FigureCanvasAgg(figure).print_png(partial)


def draw(panel: Axes, differences: dict[str, Any]) -> None:
    """One label's differences: a mark each, and a line from end to end of its interval where there is one."""
    for (name, pair), (colour, marker, shift) in zip(MINUS.items(), STYLES, strict=True):
        for place, stratum in enumerate(STRATA):
            numbers = differences[pair][stratum]["accuracy"]
            if numbers["value"] is None:
                continue
            if numbers["low"] is not None:
                ends = [100 * numbers["low"], 100 * numbers["high"]]
                panel.plot(ends, [place + shift] * 2, color=colour, linewidth=1.2)
            label = {"label": name} if place == 0 else {}
            panel.plot(100 * numbers["value"], place + shift, marker, color=colour, markersize=3.5, **label)
    panel.axvline(0, color="black", linewidth=0.6)
    panel.set_xlabel("right pixels, percentage points", fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(axis="x", linewidth=0.3)
