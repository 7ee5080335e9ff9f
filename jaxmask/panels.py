"""Pictures of scenes as PNG bytes: single panels for a page, and the wide picture of several scenes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from jaxmask import colour
from jaxmask.figures import PROBABILITY_COLOURS
from preprocess.colour import RECIPES, shrink

PANEL_TITLES = ("false colour", "Bayes label", "U-Net output", "disagreement")
WIDE_PIXELS = 1600
WIDE_LIMIT_BYTES = 600_000
HEAD, CAPTION, FOOT, GAP = 34, 34, 34, 8  # pixels
DPI = 100
STYLE: Any = {"font.size": 9, "axes.titlesize": 9.5, "figure.facecolor": "white", "axes.linewidth": 0.6}
INK = "#1b1f24"
NIGHT_AND_DAY = "; ".join(RECIPES)


@dataclass(frozen=True)
class ScenePictures:
    """One scene ready to be shown: a name, a line about it, and four (H, W, 3) uint8 pictures as `PANEL_TITLES`."""

    name: str
    remark: str
    pictures: tuple[NDArray[np.uint8], ...]


def quantity_name(quantity: str) -> str:
    """What a mask's values are: "q", the network's output, or "P", which `infer --probability` stores."""
    return "P(cloud)" if quantity == "P" else "network output q (1 = cloud)"


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
    """All scenes, a row each, as one PNG 1600 pixels wide and at most 600 kB: colours, then detail, go to fit."""
    panel = (WIDE_PIXELS - 5 * GAP) // 4
    for colours, detail in ((160, panel), (96, panel), (48, panel), (48, panel // 2), (16, panel // 4)):
        shown = scenes if detail == panel else [_coarser(scene, detail) for scene in scenes]
        image = Image.open(io.BytesIO(_render(_wide_figure(shown)))).convert("RGB")
        stream = io.BytesIO()
        image.quantize(palette=_palette(scenes, colours), dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        if stream.tell() <= WIDE_LIMIT_BYTES:
            break
    return stream.getvalue()


def _coarser(scene: ScenePictures, columns: int) -> ScenePictures:
    return replace(scene, pictures=tuple(shrink(picture, columns) for picture in scene.pictures))


def _palette(scenes: Sequence[ScenePictures], colours: int) -> Image.Image:
    """The maps' own colours, greys for letters, a third as many for probabilities, `colours` for false colour."""
    thumbs = np.concatenate([shrink(scene.pictures[0], 200).reshape(-1, 3) for scene in scenes])
    adaptive = Image.fromarray(thumbs[None]).quantize(colours).getpalette() or []
    keys = [channel for _, rgb in DISAGREEMENT_KEY for channel in rgb]
    greys = [level for level in range(0, 256, 17) for _ in range(3)]
    table = PROBABILITY_COLOURS[np.linspace(0, 255, colours // 3).astype(int)]
    entries = keys + greys + np.rint(255 * table).astype(int).ravel().tolist() + adaptive[: 3 * colours]
    palette = Image.new("P", (1, 1))
    palette.putpalette(entries)
    return palette


def _wide_figure(scenes: Sequence[ScenePictures]) -> Figure:
    """Placed by the pixel: every panel as wide as the next, whatever is written around it."""
    panel = (WIDE_PIXELS - 5 * GAP) // 4
    heights = [round(panel * scene.pictures[0].shape[0] / scene.pictures[0].shape[1]) for scene in scenes]
    total = HEAD + sum(heights) + len(scenes) * CAPTION + FOOT
    with mpl.rc_context(STYLE):
        figure = Figure((WIDE_PIXELS / DPI, total / DPI), dpi=DPI)
        top = total - HEAD
        for scene, height in zip(scenes, heights, strict=True):
            for column, picture in enumerate(scene.pictures):
                left = GAP + column * (panel + GAP)
                box = (left / WIDE_PIXELS, (top - height) / total, panel / WIDE_PIXELS, height / total)
                axes = figure.add_axes(box, xticks=[], yticks=[])
                axes.imshow(picture, aspect="auto", interpolation="antialiased", interpolation_stage="rgba")
            text = f"{scene.name}  ·  {scene.remark}"
            place = (GAP / WIDE_PIXELS, (top - height - 6) / total)
            figure.text(*place, text, fontsize=8.5, color=INK, va="top", parse_math=False)
            top -= height + CAPTION
        for column, title in enumerate(PANEL_TITLES):
            middle = GAP + column * (panel + GAP) + panel / 2
            place = (middle / WIDE_PIXELS, 1 - 0.55 * HEAD / total)
            figure.text(*place, title, fontsize=12, color=INK, ha="center", va="center")
        _wide_key(figure, total)
    return figure


def _wide_key(figure: Figure, total: int) -> None:
    """The foot of the wide picture: what the colours mean. total: its height in pixels."""
    bar = figure.add_axes((162 / WIDE_PIXELS, 10 / total, 160 / WIDE_PIXELS, 14 / total), xticks=[], yticks=[])
    bar.imshow(PROBABILITY_COLOURS[None], aspect="auto")
    for left, text in ((GAP, "U-Net output:   0 clear"), (332, "1 cloud")):
        figure.text(left / WIDE_PIXELS, 17 / total, text, fontsize=9.5, color=INK, va="center")
    figure.legend(
        handles=[
            Patch(facecolor=colour.hexadecimal(rgb), edgecolor=INK, linewidth=0.5, label=text)
            for text, rgb in DISAGREEMENT_KEY
        ],
        loc="lower right",
        bbox_to_anchor=(1 - GAP / WIDE_PIXELS, 0),
        ncols=5,
        frameon=False,
        fontsize=9.5,
        borderaxespad=0.2,
    )


DISAGREEMENT_KEY = (
    ("both cloud", colour.CLOUD),
    ("both clear", colour.CLEAR),
    ("cloud in the label only", colour.ONLY_LABEL),
    ("cloud in the U-Net only", colour.ONLY_MASK),
    ("no data", colour.NO_DATA),
)
PAGE_KEY = tuple((text, colour.hexadecimal(rgb)) for text, rgb in DISAGREEMENT_KEY)  # as HTML writes colours


def _render(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
