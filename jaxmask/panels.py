"""Pictures of scenes as PNG bytes: single panels for a page, the quicklook, and the wide picture of several scenes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from jaxmask import colour
from jaxmask.figures import PROBABILITY_COLOURS

PANEL_TITLES = ("false colour", "Bayes label", "U-Net output q", "disagreement")
WIDE_PIXELS = 1600
WIDE_LIMIT_BYTES = 600_000
DPI = 100
STYLE: Any = {"font.size": 9, "axes.titlesize": 9.5, "figure.facecolor": "white", "axes.linewidth": 0.6}
INK = "#1b1f24"
NIGHT_AND_DAY = "S5, S3, S2 (1.6, 0.87, 0.66 µm) by day; S8 (10.8 µm), cold bright, by night"


@dataclass(frozen=True)
class ScenePictures:
    """One scene ready to be shown: a name, a line about it, and four (H, W, 3) uint8 pictures as `PANEL_TITLES`."""

    name: str
    remark: str
    pictures: tuple[NDArray[np.uint8], ...]


def encode(picture: NDArray[np.uint8], kind: str = "png") -> bytes:
    """An (H, W, 3) uint8 picture as a PNG or JPEG file; a PNG of few colours (a mask) becomes a palette."""
    stream = io.BytesIO()
    image = Image.fromarray(picture)
    if kind == "png":
        few = image.getcolors(256) is not None
        (image.quantize(256) if few else image).save(stream, "PNG", optimize=True)
    else:
        image.save(stream, "JPEG", quality=86, optimize=True)
    return stream.getvalue()


def scene_panels(
    base: NDArray[np.uint8],
    label: NDArray[np.bool_],
    label_valid: NDArray[np.bool_],
    probability: NDArray[np.floating],
    valid: NDArray[np.bool_],
    threshold: float,
) -> tuple[NDArray[np.uint8], ...]:
    """The four pictures of a scene in the order of `PANEL_TITLES`, (H, W, 3) uint8.

    base: false colour; label: (H, W) bool cloud, known where label_valid; probability: (H, W) 0..1, known where valid.
    """
    cloud = probability > threshold
    return (
        base,
        colour.cloud_colour(label, label_valid & valid),
        colour.probability_colour(probability, valid, PROBABILITY_COLOURS),
        colour.disagreement_colour(label, cloud, label_valid & valid),
    )


def wide_picture(scenes: Sequence[ScenePictures]) -> bytes:
    """All scenes, a row each, as one PNG 1600 pixels wide and at most 600 kB: fewer colours are taken until it fits."""
    full = _render(_wide_figure(scenes))
    image = Image.open(io.BytesIO(full)).convert("RGB")
    for colours in (256, 128, 64, 32):
        stream = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        if stream.tell() <= WIDE_LIMIT_BYTES:
            break
    return stream.getvalue()


def quicklook(
    base: NDArray[np.uint8],
    probability: NDArray[np.floating],
    valid: NDArray[np.bool_],
    threshold: float,
    title: str,
) -> bytes:
    """False colour with the mask's outline beside the probability with its colour bar, as a PNG.

    base: (H, W, 3) uint8; probability: (H, W) 0..1; valid: (H, W) bool. Axes are in pixels of the 1 km grid.
    """
    height, width = valid.shape
    with mpl.rc_context(STYLE):
        figure = Figure((12, 6 * height / width + 1.3), dpi=DPI, layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        figure.suptitle(title, color=INK, fontsize=10, parse_math=False)
        left.imshow(base, interpolation="antialiased", interpolation_stage="rgba")
        _outline(left, probability, valid, threshold)
        left.set_title(f"cloud outlined where q > {threshold:g}; {NIGHT_AND_DAY}", fontsize=7.5)
        right.imshow(colour.probability_colour(probability, valid, PROBABILITY_COLOURS), interpolation="antialiased")
        scale = ScalarMappable(Normalize(0, 1), ListedColormap(PROBABILITY_COLOURS))
        bar = figure.colorbar(scale, ax=right, fraction=0.046, pad=0.02, label="network output q (1 = cloud)")
        bar.ax.axhline(threshold, color="white", linewidth=2.4)
        bar.ax.axhline(threshold, color="black", linewidth=1)
        right.set_title("network output; grey: no data", fontsize=7.5)
        for axes in (left, right):
            axes.set_xlabel("column (1 km)")
        left.set_ylabel("row (1 km)")
        return _render(figure)


def _outline(axes: Axes, probability: NDArray[np.floating], valid: NDArray[np.bool_], threshold: float) -> None:
    """Contour at the threshold, unless the mask never crosses it; drawn dark under bright, to show on any ground."""
    seen = probability[valid]
    if seen.size and seen.min() < threshold < seen.max():
        values = np.ma.masked_array(probability, ~valid)
        axes.contour(values, levels=[threshold], colors="black", linewidths=1.1, alpha=0.5)
        axes.contour(values, levels=[threshold], colors=colour.hexadecimal(colour.ORANGE), linewidths=0.6)


def _wide_figure(scenes: Sequence[ScenePictures]) -> Figure:
    inches = WIDE_PIXELS / DPI
    shape = max((scene.pictures[0].shape for scene in scenes), key=lambda shape: shape[0] / shape[1])
    row_inches = inches / 4 * shape[0] / shape[1] * 0.97 + 0.3
    with mpl.rc_context(STYLE):
        tight = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
        figure = Figure((inches, row_inches * len(scenes) + 0.75), dpi=DPI, layout=tight)
        grid = figure.subplots(len(scenes), 4, squeeze=False)
        for number, (scene, row) in enumerate(zip(scenes, grid, strict=True)):
            for axes, picture, title in zip(row, scene.pictures, PANEL_TITLES, strict=True):
                axes.imshow(picture, interpolation="antialiased", interpolation_stage="rgba")
                axes.set(xticks=[], yticks=[])
                if number == 0:
                    axes.set_title(title, fontsize=12, color=INK, pad=8)
            row[0].set_xlabel(f"{scene.name}  ·  {scene.remark}", fontsize=8.5, color=INK, loc="left", parse_math=False)
        figure.legend(
            handles=[
                Patch(facecolor=colour.hexadecimal(rgb), edgecolor=INK, linewidth=0.5, label=text)
                for text, rgb in DISAGREEMENT_KEY
            ],
            loc="outside lower right",
            ncols=5,
            frameon=False,
            fontsize=9.5,
        )
    return figure


DISAGREEMENT_KEY = (
    ("both cloud", colour.CLOUD),
    ("both clear", colour.CLEAR),
    ("cloud in the label only", colour.ONLY_LABEL),
    ("cloud in the U-Net only", colour.ONLY_MASK),
    ("no data", colour.NO_DATA),
)


def _render(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
