"""Diagrams of shares against shares: ROC, precision and recall, reliability; as themed SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmask.figures import (
    CHART_INCHES,
    INK,
    LINE_STYLES,
    MARKERS,
    MUTED,
    SERIES,
    STYLE,
    legend_above,
    svg_of,
    themed,
)

DIAGRAM_INCHES = (CHART_INCHES[0], 4.6)
FROM_0_TO_1 = (-0.02, 1.02)
FROM_0_TO_100 = (-2, 102)
DOTTED = (0, (1, 2))
NO_SERIES = -1  # of a line of reference: of no series, grey
POINT_MARKERS = ("X", "P", "D")


@dataclass(frozen=True)
class Curve:
    """One curve of a diagram: a name for the legend, its points, and the series whose colour and line it has."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    series: int = 0


@dataclass(frozen=True)
class Place:
    """One point of a diagram that deserves a sign, in the colour of the series that it belongs to."""

    name: str
    x: float
    y: float
    series: int = 0


@dataclass(frozen=True)
class Bins:
    """One series of a reliability diagram, by bins: their edges, pixels, mean P(cloud), and share of cloud."""

    name: str
    low: Sequence[float]
    high: Sequence[float]
    counts: Sequence[int]
    probability: Sequence[float]
    cloud_share: Sequence[float]
    series: int = 0


@dataclass(frozen=True)
class Diagram:
    """What `diagram` draws: curves and signs in per cent of 0..100, and lines of reference, dotted."""

    x_label: str
    y_label: str
    curves: Sequence[Curve]
    places: Sequence[Place] = ()
    references: Sequence[Curve] = field(default=())


def diagram(name: str, title: str, drawn: Diagram, description: str = "") -> str:
    """Curves from 0 to 100 % on both axes; as inline SVG."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(DIAGRAM_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for line in drawn.references:
            colour = SERIES[line.series] if line.series >= 0 else MUTED
            axes.plot(line.x, line.y, linestyle=DOTTED, color=colour, linewidth=1.2, label=line.name)
        for curve in drawn.curves:
            style: Any = {"color": SERIES[curve.series], "linestyle": LINE_STYLES[curve.series], "linewidth": 1.8}
            axes.plot(curve.x, curve.y, label=curve.name, **style)
        for number, place in enumerate(drawn.places):
            look: Any = {"marker": POINT_MARKERS[number], "color": SERIES[place.series], "markeredgecolor": INK}
            axes.plot([place.x], [place.y], linestyle="none", markersize=9, label=place.name, clip_on=False, **look)
        axes.set(xlabel=drawn.x_label, ylabel=drawn.y_label, xlim=FROM_0_TO_100, ylim=FROM_0_TO_100)
        legend_above(figure, columns=1)
        return themed(svg_of(figure), name, title, description)


def reliability_diagram(name: str, title: str, series: Sequence[Bins], description: str = "") -> str:
    """How often there is cloud where P(cloud) says so, and below it how many pixels say so; as inline SVG."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(DIAGRAM_INCHES, layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], linestyle=DOTTED, color=MUTED, linewidth=1.2, label="as often as it says")
        for bins in series:
            look: Any = {"color": SERIES[bins.series], "linestyle": LINE_STYLES[bins.series], "linewidth": 1.6}
            upper.plot(
                bins.probability, bins.cloud_share, label=bins.name, marker=MARKERS[bins.series], markersize=4, **look
            )
        for bins in series[:1] if len({tuple(bins.counts) for bins in series}) == 1 else series:
            edges, counts = stairs(bins)
            style: Any = {"color": SERIES[bins.series], "linestyle": LINE_STYLES[bins.series]}
            lower.stairs(counts, edges, linewidth=1.6, baseline=None, **style)
        _count_axis(lower, [count for bins in series for count in bins.counts])
        upper.set(ylabel="share with cloud", ylim=FROM_0_TO_1, xlim=FROM_0_TO_1)
        lower.set(xlabel="P(cloud) of the U-Net", ylabel="pixels per bin")
        legend_above(figure, columns=1)
        return themed(svg_of(figure), name, title, description)


def _count_axis(axes: Axes, counts: Sequence[int]) -> None:
    """Powers of ten around the counts, written without exponents."""
    low, high = (10.0**edge for edge in (np.floor(np.log10(min(counts))), np.ceil(np.log10(max(counts) + 1))))
    axes.set_yscale("log")
    axes.set_ylim(0.8 * low, 1.25 * high)
    axes.set_yticks([low, high], [f"{round(edge):,}" for edge in (low, high)])
    axes.minorticks_off()


def stairs(bins: Bins) -> tuple[np.ndarray, np.ndarray]:
    """Edges (M + 1,) and pixels (M,) of all steps from the first bin to the last; NaN between bins that don't touch."""
    edges, counts = [bins.low[0]], []
    for low, high, count in zip(bins.low, bins.high, bins.counts, strict=True):
        if low > edges[-1] + 1e-9:
            edges.append(low)
            counts.append(np.nan)
        edges.append(high)
        counts.append(float(count))
    return np.array(edges), np.array(counts)
