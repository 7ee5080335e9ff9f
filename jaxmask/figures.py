"""Charts of a run as SVG text that takes its colours from the page around it, so that light and dark both read well."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from jaxmask.colour import BLUE, GREEN, VERMILION, hexadecimal

# Stand-ins that Matplotlib draws with; themed() puts the page's CSS variables, with a fallback, in their place.
INK, MUTED, GRID = "#010101", "#020202", "#030303"
SERIES = ("#040404", "#050505", "#060606", "#070707")
DEEP_PURPLE = "#b0568b"  # Okabe and Ito's is too pale for a line on white
THEME = {
    INK: "var(--ink, #1b1f24)",
    MUTED: "var(--muted, #57606a)",
    GRID: "var(--line, #d8dee4)",
    SERIES[0]: f"var(--series-1, {hexadecimal(BLUE)})",
    SERIES[1]: f"var(--series-2, {hexadecimal(VERMILION)})",
    SERIES[2]: f"var(--series-3, {hexadecimal(GREEN)})",
    SERIES[3]: f"var(--series-4, {DEEP_PURPLE})",
}
LINE_STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
MARK_DASHES = (0, (1.5, 2))
CHART_INCHES = (4.5, 2.9)
FONT_POINTS = 10.5  # 10.6 px where a chart is as wide as the text of a page of 360 px
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": FONT_POINTS,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.linewidth": 0.7,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": FONT_POINTS,
    "hatch.linewidth": 0.8,
}

BIN_K = 0.1
LEAST_HALF_RANGE_K, MOST_HALF_RANGE_K = 1.0, 5.0
RSDS_SHOWN = 6.0

PROBABILITY_COLOURS: NDArray[np.floating] = np.asarray(mpl.colormaps["cividis"](np.arange(256)))[:, :3]


@dataclass(frozen=True)
class Line:
    """One curve: a name for the legend, and a value (or None where there is none) at each abscissa."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Mark:
    """A place on the x axis that deserves a line across, and its name for the legend."""

    name: str
    x: float


@dataclass(frozen=True)
class Sample:
    """One histogram: a name for the legend, and its values in K, (N,)."""

    name: str
    differences_k: NDArray[np.floating]


def curves(
    name: str,
    title: str,
    x: Sequence[float],
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    mark: Mark | None = None,
    description: str = "",
) -> str:
    """Up to four curves over whole-numbered x; as inline SVG. `name` makes ids unique; `title` is read to the blind."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(CHART_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for line, colour, style, marker in zip(lines, SERIES, LINE_STYLES, MARKERS, strict=False):
            axes.plot(x, floats(line.values), style, color=colour, marker=marker, **line_look(len(x)), label=line.name)
        if mark is not None:
            axes.axvline(mark.x, color=INK, linewidth=0.9, linestyle=MARK_DASHES, label=mark.name)
        whole_numbered(axes, x)
        axes.set(xlabel=x_label, ylabel=y_label)
        legend_above(figure, columns=2)
        return themed(svg_of(figure), name, title, description)


def floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    """The values, (N,) float64, NaN for None: a gap in a line."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def line_look(points: int) -> dict[str, Any]:
    """Width of a line, and markers on about 15 of its points however many there are."""
    return {"linewidth": 1.6, "markersize": 3.4, "markevery": max(1, points // 15)}


def whole_numbered(axes: Axes, x: Sequence[float]) -> None:
    """An x axis around whole numbers x, with ticks at whole numbers alone."""
    margin = 0.5 + 0.02 * (max(x) - min(x))
    axes.set_xlim(max(min(x) - margin, 0.5 * min(x)), max(x) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))


def difference_histogram(name: str, title: str, samples: Sequence[Sample], x_label: str) -> str:
    """Up to two histograms on the same bins of 0.1 K; as SVG. The label counts, by sample, what lies beyond."""
    low, high = histogram_range_k([sample.differences_k for sample in samples])
    edges = np.arange(round(low / BIN_K), round(high / BIN_K) + 1) * BIN_K
    beyond = [int(np.sum((s.differences_k < edges[0]) | (s.differences_k > edges[-1]))) for s in samples]
    told = f" ({' and '.join(map(str, beyond))} beyond the axis)" if any(beyond) else ""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(CHART_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for sample, colour, style in zip(samples, SERIES, LINE_STYLES, strict=False):
            counts, _ = np.histogram(sample.differences_k, edges)
            axes.stairs(counts, edges, fill=True, color=colour, alpha=0.16)
            axes.stairs(counts, edges, color=colour, linestyle=style, linewidth=1.6, label=sample.name)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set(xlabel=x_label + told, ylabel="match-ups per 0.1 K")
        axes.set_xlim(edges[0], edges[-1])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        legend_above(figure, columns=1)
        return themed(svg_of(figure), name, title)


def histogram_range_k(samples: Sequence[NDArray[np.floating]]) -> tuple[float, float]:
    """Symmetric axis limits in whole bins: 6 robust standard deviations of all values, but 1 K to 5 K."""
    values = np.concatenate([np.asarray(sample, np.float64) for sample in samples] or [np.zeros(0)])
    spread = 1.4826 * float(np.median(np.abs(values))) if values.size else 0.0
    half = min(max(RSDS_SHOWN * spread, LEAST_HALF_RANGE_K), MOST_HALF_RANGE_K)
    half = float(np.ceil(half / BIN_K) * BIN_K)
    return -half, half


def colour_bar(name: str, title: str, label: str, threshold: float) -> str:
    """The colour bar of a probability, 0 to 1, with its threshold marked; as inline SVG."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name, "axes.grid": False}):
        figure = Figure((3.4, 0.62), layout="constrained")
        axes = figure.add_subplot()
        scale = ScalarMappable(Normalize(0, 1), ListedColormap(PROBABILITY_COLOURS))
        bar = figure.colorbar(scale, cax=axes, orientation="horizontal", label=label)
        bar.set_ticks(sorted({0.0, 0.25, 0.5, 0.75, 1.0} | {threshold}))
        bar.ax.axvline(threshold, color="white", linewidth=2.4)
        bar.ax.axvline(threshold, color="black", linewidth=1)
        return themed(svg_of(figure), name, title)


def themed(svg: str, name: str, title: str, description: str = "") -> str:
    """Matplotlib's SVG made fit for a page that holds several: theme colours, unique ids, a name for screen readers.

    description: what the chart shows in numbers, read after the title; "" for none.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    for stand_in, variable in THEME.items():
        svg = svg.replace(stand_in, variable)
    told = f' aria-describedby="{name}-description"' if description else ""
    svg = svg.replace("<svg", f'<svg role="img" aria-labelledby="{name}-title"{told}', 1)
    head = svg.index(">") + 1
    texts = f'<title id="{name}-title">{escape(title)}</title>'
    texts += f'<desc id="{name}-description">{escape(description)}</desc>' if description else ""
    return svg[:head] + texts + svg[head:]


def svg_of(figure: Figure) -> str:
    """The figure as Matplotlib writes it, without a date."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def legend_above(figure: Figure, columns: int) -> None:
    """Outside the axes, where it can't hide data, however narrow the page."""
    figure.legend(loc="outside upper left", ncols=columns, borderaxespad=0.1, handlelength=2)
