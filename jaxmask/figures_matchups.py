"""Charts of match-ups beside their histogram: map, dependence, coverage, paired differences; as themed SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from jaxmask.figures import (
    CHART_INCHES,
    INK,
    LINE_STYLES,
    MARKERS,
    MUTED,
    SERIES,
    STYLE,
    floats,
    legend_above,
    svg_of,
    themed,
)
from preprocess.map_lines import degrees_label

DIVERGING = "PuOr_r"  # ColorBrewer's: purple below zero, orange above, told apart with any common colour vision
EDGE = "#808080"  # about markers, so that the palest show on a light ground and the darkest on a dark one
RASTER_DPI = 200  # of the markers alone: 100,000 of them are 1.3 MB so, and would be 18 MB as paths
TALL_INCHES = (CHART_INCHES[0], 4.0)
MAP_MARGIN_DEG, LEAST_SPAN_DEG = 3.0, 12.0
BAR_CAP = 2.5


@dataclass(frozen=True, eq=False)
class MapPoints:
    """Match-ups (N,): degrees north and east, satellite minus buoy in K, and whether the mask keeps them."""

    latitude: NDArray[np.floating]
    longitude: NDArray[np.floating]
    difference_k: NDArray[np.floating]
    kept: NDArray[np.bool_]


@dataclass(frozen=True)
class Binned:
    """One series of a dependence: bins' edges, median and half an interval in K (None: none), and counts."""

    name: str
    low: Sequence[float]
    high: Sequence[float]
    median_k: Sequence[float | None]
    half_k: Sequence[float | None]
    counts: Sequence[int]


@dataclass(frozen=True)
class CoverageCurve:
    """RSD in K and cold tail in per cent where a mask keeps a given share of rows in per cent; its own point last."""

    name: str
    coverage: Sequence[float]
    rsd_k: Sequence[float | None]
    cold_tail: Sequence[float | None]
    native: tuple[float, float, float] | None


@dataclass(frozen=True)
class Difference:
    """A row of paired differences: its name, and for each quantity value and interval (None: none)."""

    name: str
    values: Sequence[float | None]
    intervals: Sequence[tuple[float, float] | None]


def difference_map(name: str, title: str, points: MapPoints, limit_k: float, description: str) -> str:
    """Where match-ups lie, on an equirectangular map with a graticule, coloured within -limit_k to limit_k."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure((CHART_INCHES[0], 3.3), layout="constrained", dpi=RASTER_DPI)
        axes = figure.add_subplot()
        scale = ScalarMappable(Normalize(-limit_k, limit_k), mpl.colormaps[DIVERGING])
        order = np.argsort(np.abs(points.difference_k), kind="stable")  # what is far off lies on top
        looks = ((False, "X", 16, "rejected: cloud"), (True, "o", 13, "kept: clear"))
        for kept, marker, size, text in looks:
            rows = order[points.kept[order] == kept]
            place = points.longitude[rows], points.latitude[rows]
            colours = scale.to_rgba(points.difference_k[rows])
            look: dict[str, Any] = {"marker": marker, "s": size, "linewidths": 0.35, "edgecolors": EDGE}
            axes.scatter(*place, c=colours, rasterized=True, zorder=2 + kept, **look)
            axes.scatter([], [], color=MUTED, marker=marker, s=28, label=f"{text}, N = {len(rows):,}")
        _frame(axes, points)
        bar = figure.colorbar(scale, ax=axes, orientation="horizontal", extend="both", aspect=35, pad=0.02)
        bar.set_label("satellite minus buoy, K")
        legend_above(figure, columns=2)
        return themed(svg_of(figure), name, title, description)


def _frame(axes: Axes, points: MapPoints) -> None:
    """Limits about the match-ups, whole degrees with their sides on the axes, a degree as wide as high."""
    for values, bound, limit, axis, sides in (
        (points.longitude, 180.0, axes.set_xlim, axes.xaxis, "EW"),
        (points.latitude, 90.0, axes.set_ylim, axes.yaxis, "NS"),
    ):
        low, high = float(values.min()) - MAP_MARGIN_DEG, float(values.max()) + MAP_MARGIN_DEG
        wider = max(0.0, LEAST_SPAN_DEG - (high - low)) / 2
        limit(max(low - wider, -bound), min(high + wider, bound))
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 3, 6, 9, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _, sides=sides: degrees_label(value, sides)))
    axes.set_aspect("equal", adjustable="box")
    axes.set(xlabel="longitude", ylabel="latitude")


def dependence_chart(name: str, title: str, series: Sequence[Binned], x_label: str, description: str) -> str:
    """Medians by bins with their intervals, above how many match-ups each is of."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(TALL_INCHES, layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
        for number, (each, colour, marker) in enumerate(zip(series, SERIES, MARKERS, strict=False)):
            low, high = floats(each.low), floats(each.high)
            middle = (low + high) / 2 + (number - (len(series) - 1) / 2) * 0.16 * (high - low)
            look: dict[str, Any] = {"fmt": marker, "markersize": 4.5, "linewidth": 1.2, "capsize": BAR_CAP}
            upper.errorbar(middle, floats(each.median_k), floats(each.half_k), color=colour, label=each.name, **look)
            style = LINE_STYLES[number]
            lower.hlines(each.counts, low, high, color=colour, linestyle=style, linewidth=1.6)
        upper.axhline(0, color=MUTED, linewidth=0.8)
        upper.set_ylabel("median, K")
        lower.set(xlabel=x_label, ylabel="match-ups")
        lower.set_ylim(0, 1.15 * max((count for each in series for count in each.counts), default=1) or 1)
        lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3, min_n_ticks=1))
        legend_above(figure, columns=2)
        return themed(svg_of(figure), name, title, description)


def coverage_chart(name: str, title: str, curves: Sequence[CoverageCurve], description: str) -> str:
    """RSD and cold tail against the share of rows that each mask keeps, its own threshold marked."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(TALL_INCHES, layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        for curve, colour, style, marker in zip(curves, SERIES, LINE_STYLES, MARKERS, strict=False):
            for axes, values in ((upper, curve.rsd_k), (lower, curve.cold_tail)):
                label = curve.name if axes is upper else None
                axes.plot(curve.coverage, floats(values), style, color=colour, linewidth=1.6, label=label)
            if curve.native is not None:
                coverage, *values_there = curve.native
                look: dict[str, Any] = {"markersize": 8, "markeredgecolor": INK, "linestyle": "none"}
                for axes, value in zip((upper, lower), values_there, strict=True):
                    label = f"{curve.name}, own threshold" if axes is upper else None
                    axes.plot([coverage], [value], marker=marker, color=colour, label=label, **look)
        upper.set_ylabel("RSD, K")
        upper.set_ylim(bottom=0)
        lower.set(xlabel="match-ups kept, %", ylabel="cold tail, %", ylim=(0, None), xlim=(0, 102))
        legend_above(figure, columns=2)
        return themed(svg_of(figure), name, title, description)


def forest(name: str, title: str, rows: Sequence[Difference], labels: Sequence[str], description: str) -> str:
    """Differences with their intervals, a row each, one panel a quantity; hollow where there is no interval."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure((CHART_INCHES[0], 1.2 + 0.34 * len(rows)), layout="constrained")
        panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
        heights = np.arange(len(rows))[::-1]
        for number, (axes, label) in enumerate(zip(panels, labels, strict=True)):
            axes.axvline(0, color=MUTED, linewidth=0.9)
            for height, row in zip(heights, rows, strict=True):
                value, interval = row.values[number], row.intervals[number]
                if value is None:
                    continue
                if interval is not None:
                    axes.plot(interval, [height, height], color=SERIES[0], linewidth=1.6, solid_capstyle="butt")
                face = SERIES[0] if interval is not None else "none"
                axes.plot(value, height, "o", markersize=5.5, markeredgecolor=SERIES[0], markerfacecolor=face)
            axes.set_xlabel(label)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=2, min_n_ticks=2))
            axes.margins(x=0.12)
        panels[0].set_yticks(heights, [row.name for row in rows])
        panels[0].set_ylim(-0.6, len(rows) - 0.4)
        return themed(svg_of(figure), name, title, description)
