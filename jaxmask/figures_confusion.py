"""Bars of how the pixels of each stratum fall into agreement, missed cloud and false alarms, as themed SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmask.colour import CLEAR, CLOUD, ONLY_LABEL, ONLY_MASK, hexadecimal
from jaxmask.figures import CHART_INCHES, FONT_POINTS, INK, MUTED, STYLE, legend_above, svg_of, themed

BAR_INCHES = 0.46  # of one bar and the line above it
FRAME_INCHES = 1.2  # legend, axis and its label
LEAST_LABELLED = 0.09  # of the pixels: narrower parts have no room for their number
MILLION, THOUSAND = 1_000_000, 1_000


@dataclass(frozen=True)
class Confusion:
    """The pixels of one stratum: cloud in both, in the target alone (missed), in the mask alone, and in neither."""

    name: str
    both_cloud: int
    missed: int
    false_alarms: int
    both_clear: int

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """The four outcomes in the order of the bars."""
        return self.both_cloud, self.missed, self.false_alarms, self.both_clear

    @property
    def total(self) -> int:
        """All pixels."""
        return sum(self.counts)


@dataclass(frozen=True)
class _Outcome:
    name: str
    colour: str
    ink: str  # of a number on it
    hatch: str


# The colours of the maps of scenes, whatever the page's theme; what the maps tell by colour alone is hatched here.
OUTCOMES = (
    _Outcome("cloud in both", hexadecimal(CLOUD), "#000000", ""),
    _Outcome("missed cloud", hexadecimal(ONLY_LABEL), "#000000", "////"),
    _Outcome("false alarm", hexadecimal(ONLY_MASK), "#000000", "\\\\\\\\"),
    _Outcome("clear in both", hexadecimal(CLEAR), "#ffffff", ""),
)


def confusion_bars(name: str, title: str, rows: Sequence[Confusion], description: str = "") -> str:
    """One bar a stratum, each of all its pixels (at least one), numbered in per cent of them; as inline SVG."""
    size = CHART_INCHES[0], FRAME_INCHES + BAR_INCHES * len(rows)
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(size, layout="constrained")
        axes = figure.add_subplot()
        axes.grid(visible=False, axis="y")
        for place, row in enumerate(rows):
            _bar(axes, place, row)
        axes.set(xlim=(0, 100), ylim=(len(rows) - 0.7, -0.75), xlabel="share of the stratum's pixels, %")
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        legend_above(figure, columns=2)
        return themed(svg_of(figure), name, title, description)


def _bar(axes: Axes, place: int, row: Confusion) -> None:
    start = 0.0
    for outcome, count in zip(OUTCOMES, row.counts, strict=True):
        width = 100 * count / row.total
        label = outcome.name if place == 0 else None
        edge = outcome.ink if outcome.hatch else MUTED  # hatches are drawn in the colour of the edge
        look: Any = {"facecolor": outcome.colour, "edgecolor": edge, "hatch": outcome.hatch, "linewidth": 0.6}
        axes.barh(place, width, 0.42, start, label=label, **look)
        if count >= LEAST_LABELLED * row.total:
            _number(axes, start + width / 2, place, f"{width:.0f}", outcome)
        start += width
    above: Any = {"va": "bottom", "fontsize": FONT_POINTS}
    wrong = f"missed {_percent(row.missed, row.total)}, false {_percent(row.false_alarms, row.total)} %"
    axes.text(0, place - 0.25, f"{row.name}, {short_count(row.total)}", color=INK, ha="left", **above)
    axes.text(100, place - 0.25, wrong, color=INK, ha="right", **above)


def _number(axes: Axes, x: float, y: float, text: str, outcome: _Outcome) -> None:
    box = {"facecolor": outcome.colour, "edgecolor": "none", "pad": 1.0} if outcome.hatch else None
    axes.text(x, y, text, color=outcome.ink, ha="center", va="center_baseline", fontsize=FONT_POINTS - 1, bbox=box)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}"


def short_count(count: int) -> str:
    """A number of pixels in few letters: "950", "9.0 k", "131 k" (thousand), "1.71 M" (million)."""
    if count < THOUSAND:
        return str(count)
    value, unit = (count / MILLION, "M") if count >= 0.9995 * MILLION else (count / THOUSAND, "k")
    return f"{value:.{max(0, 3 - len(str(int(value))))}f}"[:4].rstrip(".") + f" {unit}"
