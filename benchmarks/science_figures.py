"""Edge: the pictures of docs/science.md; curves and statistics alone, no pixel of a measured product."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from preprocess.files import whole_file

# Okabe and Ito's colours, as in the report; series also differ by line and marker.
BLUE, VERMILION, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#595959"
SOURCE = "Contains modified Copernicus Sentinel data 2017"
SIMULATED = "Simulated archive"
LABELS = {"bayes": "Bayes", "unet": "U-Net", "none": "no mask"}
STACKED = {"science_sun.png", "science_rows.png", "science_coverage.png"}
LINES = {"bayes": (VERMILION, "s", "--"), "unet": (BLUE, "o", "-"), "none": (GREY, "^", ":")}


def save_all(report: dict[str, Any], folder: Path) -> None:
    """Draw the four pictures; PNG, each whole or not at all."""
    drawn: dict[str, tuple[Callable[[Figure, Any], None], Any, str]] = {
        "science_sun.png": (_sun, report["product"]["sun"]["curve"], SOURCE),
        "science_rows.png": (_rows, report["product"]["rows"]["curve"], SOURCE),
        "science_outputs.png": (_outputs, report["run"]["outputs"], SIMULATED),
        "science_coverage.png": (_coverage, report["run"]["matchups"], SIMULATED),
    }
    for name, (draw, found, source) in drawn.items():
        figure = Figure(figsize=(5.4, 6.6 if name in STACKED else 4.0), dpi=110, facecolor="white")
        draw(figure, found)
        figure.tight_layout(rect=(0, 0.03, 1, 1))
        figure.text(0.99, 0.008, source, ha="right", va="bottom", fontsize=8, color=GREY)
        with whole_file(folder / name) as partial:
            FigureCanvasAgg(figure).print_png(partial)


def _panels(figure: Figure, *axes: tuple[str, str]) -> list[Axes]:
    # One below the other: side by side their letters could not be read on a telephone.
    found = list(figure.subplots(len(axes), 1, squeeze=False)[:, 0])
    for panel, (across, up) in zip(found, axes, strict=True):
        panel.set_xlabel(across, fontsize=11)
        panel.set_ylabel(up, fontsize=11)
        panel.tick_params(labelsize=10)
        panel.grid(linewidth=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    return found


def _sun(figure: Figure, curve: dict[str, Any]) -> None:
    angle, ratio = _panels(
        figure,
        ("row of the product", "sun zenith on the track, degrees"),
        ("row of the product", "reflectance, of the right one"),
    )
    angle.plot(curve["row"], curve["right_deg"], "-", color=BLUE, label="at the row itself")
    angle.plot(curve["row"], curve["original_deg"], "--", color=VERMILION, label="as the original takes it")
    angle.axhline(90, color=GREY, linewidth=0.8, linestyle=":")
    angle.annotate("horizon", (0.98, 90), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=10)
    angle.legend(fontsize=10)
    ratio.plot(curve["ratio_row"], curve["ratio"], "--", color=VERMILION, label="the original's, median of the row")
    ratio.axhline(1, color=BLUE, label="right")
    ratio.set_ylim(0, 1.1)
    ratio.legend(fontsize=10, loc="lower right")


def _rows(figure: Figure, curve: dict[str, Any]) -> None:
    shift, error = _panels(
        figure,
        ("row of the product", "lies further down by, rows"),
        ("row of the product", "S8 of that row is wrong by, rms, K"),
    )
    shift.plot(curve["row"], curve["shift_rows"], "-", color=VERMILION)
    shift.set_ylim(bottom=0)
    error.plot(curve["row"], curve["rms_k"], "-", color=VERMILION, linewidth=1)
    error.set_ylim(bottom=0)


def _outputs(figure: Figure, found: dict[str, Any]) -> None:
    (panel,) = _panels(figure, ("output of the network, q", "share of pixels"))
    q, weight = np.linspace(0, 1, 201), found["positive_weight"]
    panel.plot([0, 1], [0, 1], ":", color=GREY, label="if q were P(cloud)")
    panel.plot(q, q / (q + weight * (1 - q)), "--", color=BLUE, label=f"theory, cloud weighed by {weight:g}")
    panel.plot(found["q"], found["cloud_share"], "o", color=VERMILION, markersize=4, label="labelled cloud, held out")
    panel.set(xlim=(0, 1), ylim=(0, 1.02))
    panel.legend(fontsize=10, loc="lower right")


def _coverage(figure: Figure, found: dict[str, Any]) -> None:
    spread, tail = _panels(
        figure,
        ("match-ups kept, %", "RSD, K"),
        ("match-ups kept, %", "colder than the buoy by 1 K, %"),
    )
    for mask, curve in found["curves"].items():
        colour, _, line = LINES[mask]
        across = 100 * np.array(curve["coverage"])
        spread.plot(across, curve["rsd"], line, color=colour, label=f"{LABELS[mask]}, any threshold")
        tail.plot(across, 100 * np.array(curve["cold_tail"]), line, color=colour)
    for row in found["native"]:
        colour, marker, _ = LINES[row["mask"]]
        label = LABELS[row["mask"]] + ("" if row["mask"] == "none" else ", its own threshold")
        spread.plot(100 * row["coverage"], row["rsd"], marker, color=colour, markersize=7, label=label)
        tail.plot(100 * row["coverage"], 100 * row["cold_tail"], marker, color=colour, markersize=7)
    spread.legend(fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 1.0), frameon=False)  # hides no curve
    tail.set_ylim(bottom=0)
