"""How fast a training went, epoch by epoch, and how much of that it waited, as themed SVG."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from jaxmask.figures import (
    CHART_INCHES,
    LINE_STYLES,
    MARKERS,
    SERIES,
    STYLE,
    floats,
    line_look,
    svg_of,
    themed,
    whole_numbered,
)

LEAST_TOP_PERCENT = 5.0  # so that little waiting looks little


def speed_panels(
    name: str,
    title: str,
    epochs: Sequence[float],
    patches_per_second: Sequence[float | None],
    waiting_percent: Sequence[float | None],
    description: str = "",
) -> str:
    """Patches trained on in a second, and below it, where it is known, the time waited; both from 0; as inline SVG."""
    rows = [(patches_per_second, "patches/s"), (waiting_percent, "waiting, %")]
    shown = [(values, label) for values, label in rows if any(value is not None for value in values)]
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(CHART_INCHES, layout="constrained")
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for number, (axes, (values, label)) in enumerate(zip(panels, shown, strict=True)):
            style = {"color": SERIES[number], "linestyle": LINE_STYLES[number], "marker": MARKERS[number]}
            axes.plot(epochs, floats(values), **style, **line_look(len(epochs)))
            axes.set_ylabel(label)
            axes.set_ylim(0, max(1.1 * axes.get_ylim()[1], LEAST_TOP_PERCENT if label.endswith("%") else 0))
        whole_numbered(panels[-1], epochs)
        panels[-1].set_xlabel("epoch")
        figure.align_ylabels(panels)
        return themed(svg_of(figure), name, title, description)
