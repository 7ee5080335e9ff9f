"""A scene drawn for people: panels placed by the pixel, map lines over them, and a key that says what is what."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from preprocess.colour import RECIPES, Look, Night, scene_look, shrink
from preprocess.map_lines import GridLine, Line, MapLines, block_means, map_lines
from preprocess.scene import Scene, SceneInfo

PANEL_COLUMNS, PANEL_ROWS = 768, 1200  # a panel is the scene enlarged or shrunk by the whole number that comes nearest
LEAST_COLUMNS = 800  # what a title needs
HEAD, HEADING, GAP, KEY_ROW, NOTE_ROW = 34, 20, 16, 24, 16  # pixels
DPI = 100
INK, PAPER = "#1b1f24", "white"
STYLE: Any = {"font.size": 8, "figure.facecolor": PAPER, "axes.linewidth": 0.6, "text.color": INK}
COAST, GRID, CASING = "#ffffff", "#ffffff", "#101010"
STRIPES = ((140, 140, 140), (96, 96, 96))  # no data: no composite, nor the mask's colours, is striped
STRIPE_PIXELS = 5
DASHES = (0, (5, 3))
LABEL_MARGIN = 0.045  # of a panel's width and height: labels stay within it
LABEL_SIZE = (0.08, 0.04)  # and this far from each other
PIXELS_A_LETTER = 5.0  # of the notes


@dataclass(frozen=True)
class Scale:
    """How a scene of so many rows and columns is shown: each pixel `repeat` times, or blocks of `step` as one."""

    rows: int
    columns: int
    repeat: int
    step: int

    @property
    def shown(self) -> tuple[int, int]:
        """Rows and columns of a panel in pixels of the picture."""
        return self.rows // self.step * self.repeat, self.columns // self.step * self.repeat

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of a panel in pixels of the scene, as Matplotlib takes them."""
        return -0.5, self.columns // self.step * self.step - 0.5, self.rows // self.step * self.step - 0.5, -0.5


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture of the scene, (H, W, 3) uint8 or, by blocks, smaller; its heading; lines in its own colour over it."""

    picture: NDArray[np.uint8]
    heading: str
    known: NDArray[np.bool_]  # as the picture; striped elsewhere
    outline: tuple[Line, ...] = ()
    outline_colour: str = INK


@dataclass(frozen=True)
class KeyLine:
    """An entry of the key: a line, or a patch where `colour` is None."""

    text: str
    colour: str | None = None
    style: Any = "-"


def scale_of(rows: int, columns: int) -> Scale:
    """Whole numbers only, so that every pixel of the scene counts alike."""
    repeat = max(1, min(PANEL_COLUMNS // columns, PANEL_ROWS // rows))
    return Scale(rows, columns, repeat, max(-(-columns // PANEL_COLUMNS), -(-rows // PANEL_ROWS)))


def fitted(picture: NDArray[np.uint8], scale: Scale) -> NDArray[np.uint8]:
    """An (H, W, 3) picture by the blocks of `scale`."""
    return picture if scale.step == 1 else shrink(picture, -(-scale.columns // scale.step))


def picture_of(scene: Scene, night: Night = "microphysics") -> bytes:
    """What a scene looks like, as a PNG with its map lines and its key."""
    look, valid = scene_look(scene, night=night), scene.valid[..., 0] > 0
    scale = scale_of(*valid.shape)
    lines = map_lines(scene.latitude, scene.longitude, scene.flags, scale.step)
    _, known = block_means(valid, valid, scale.step)
    panel = Panel(fitted(look.picture, scale), time_and_size(scene.info, scale), known)
    with mpl.rc_context(STYLE):
        key = map_key(lines, not known.all())
        figure, _ = draw_scene(scene.info.product, [panel], scale, lines, key, notes(look, scale))
        return png(figure)


def time_and_size(info: SceneInfo, scale: Scale) -> str:
    """When a scene was sensed, and of how many pixels it is."""
    return f"{info.start_time}   {scale.columns} x {scale.rows} pixels of 1 km"


def notes(look: Look, scale: Scale) -> list[str]:
    """What the picture's colours are, of the composites that are in it, and at what scale it is."""
    blocks = [f"Shown by means over {scale.step} x {scale.step} pixels."] if scale.step > 1 else []
    return [RECIPES[number] for number in look.composites] + blocks


def draw_scene(
    title: str,
    panels: Sequence[Panel],
    scale: Scale,
    lines: MapLines,
    key: Sequence[KeyLine],
    notes: Sequence[str],
    margin: int = 0,
) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side; `margin`: pixels kept free at the right. To be called within `STYLE`."""
    rows, columns = scale.shown
    width = max(len(panels) * (columns + GAP) + GAP + margin, LEAST_COLUMNS)
    told = [line for note in notes for line in textwrap.wrap(note, int((width - 2 * GAP) / PIXELS_A_LETTER))]
    foot = KEY_ROW + NOTE_ROW * len(told) + GAP // 2
    height = HEAD + HEADING + rows + foot
    figure = Figure((width / DPI, height / DPI), dpi=DPI)
    figure.text(GAP / width, 1 - 0.5 * HEAD / height, title, fontsize=9.5, va="center", parse_math=False)
    drawn = []
    for number, panel in enumerate(panels):
        left = GAP + number * (columns + GAP)
        axes = figure.add_axes((left / width, foot / height, columns / width, rows / height), xticks=[], yticks=[])
        _draw(axes, panel, scale, lines)
        axes.set_title(panel.heading, fontsize=8, pad=4)
        drawn.append(axes)
    _draw_key(figure, key, (foot - KEY_ROW / 2) / height, GAP / width, columns=len(key))
    for number, line in enumerate(told):
        place = (foot - KEY_ROW - NOTE_ROW * (number + 0.5)) / height
        figure.text(GAP / width, place, line, fontsize=7.5, va="center", parse_math=False)
    return figure, drawn


def png(figure: Figure) -> bytes:
    """The figure as a PNG file that holds nothing of when and by what it was made."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 4})
    return stream.getvalue()


def map_key(lines: MapLines, striped: bool) -> list[KeyLine]:
    """What `draw_scene` draws over every panel, in words."""
    key = []
    if lines.coast:
        key.append(KeyLine("coast, by the product's flags", COAST))
    if lines.parallels or lines.meridians:
        apart = f"{lines.latitude_spacing_deg:g}° of latitude, {lines.longitude_spacing_deg:g}° of longitude"
        key.append(KeyLine(f"graticule: {apart}", GRID, DASHES))
    return key + ([KeyLine("striped: no data")] if striped else [])


def _draw(axes: Axes, panel: Panel, scale: Scale, lines: MapLines) -> None:
    picture = panel.picture
    if scale.repeat > 1:
        picture = picture.repeat(scale.repeat, 0).repeat(scale.repeat, 1)
        known = panel.known.repeat(scale.repeat, 0).repeat(scale.repeat, 1)
    else:
        known = panel.known
    axes.imshow(_striped(picture, known), extent=scale.extent, interpolation="nearest", aspect="auto")
    grid = [piece for line in (*lines.parallels, *lines.meridians) for piece in line.pieces]
    axes.add_collection(LineCollection(grid, colors=CASING, linewidths=1.8, alpha=0.45), autolim=False)
    axes.add_collection(LineCollection(grid, colors=GRID, linewidths=0.9, linestyles=DASHES), autolim=False)
    for collection, colour in ((lines.coast, COAST), (panel.outline, panel.outline_colour)):
        axes.add_collection(LineCollection(collection, colors=CASING, linewidths=2.2, alpha=0.8), autolim=False)
        axes.add_collection(LineCollection(collection, colors=colour, linewidths=1.0), autolim=False)
    written: list[NDArray[np.floating]] = []
    for line in lines.parallels:
        _write(axes, line, scale, written, by_column=True)
    for line in lines.meridians:
        _write(axes, line, scale, written, by_column=False)


def _striped(picture: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture with stripes where nothing is known."""
    if known.all():
        return picture
    row, column = np.nonzero(~known)
    striped = picture.copy()
    striped[row, column] = np.array(STRIPES, np.uint8)[(row + column) // STRIPE_PIXELS % 2]
    return striped


def _write(axes: Axes, line: GridLine, scale: Scale, written: list[NDArray[np.floating]], by_column: bool) -> None:
    """The label on its line, near the left end of a parallel, near the lower end of a meridian, apart from others."""
    place = label_place(np.concatenate(line.pieces), scale, written, by_column)
    if place is None:
        return
    written.append(place)
    column, row = place
    axes.text(
        column,
        row,
        line.label,
        color=PAPER,
        fontsize=7.5,
        ha="center",
        va="center",
        clip_on=True,
        path_effects=[withStroke(linewidth=2, foreground=CASING)],
    )


def label_place(
    points: Line, scale: Scale, written: Sequence[NDArray[np.floating]], by_column: bool
) -> NDArray[np.floating] | None:
    """The leftmost, or else lowest, of a line's points that is within the panel and apart from labels `written`."""
    sides = np.array([scale.columns, scale.rows])
    free = ((points > LABEL_MARGIN * sides) & (points < (1 - LABEL_MARGIN) * sides)).all(axis=1)
    for other in written:
        free &= (np.abs(points - other) > LABEL_SIZE * sides).any(axis=1)
    if not free.any():
        return None
    along = points[:, 0] if by_column else -points[:, 1]
    place: NDArray[np.floating] = points[int(np.argmin(np.where(free, along, np.inf)))]
    return place


def _draw_key(figure: Figure, key: Sequence[KeyLine], height: float, left: float, columns: int) -> None:
    handles: list[Any] = []
    for entry in key:
        if entry.colour is None:
            handles.append(
                Patch(facecolor="#8c8c8c", edgecolor="#606060", hatch="/////", linewidth=0, label=entry.text)
            )
            continue
        stroke = [withStroke(linewidth=3, foreground=CASING)]
        style = {"color": entry.colour, "linestyle": entry.style, "linewidth": 1.2, "path_effects": stroke}
        handles.append(Line2D([], [], label=entry.text, **style))
    if handles:
        figure.legend(
            handles=handles, loc="center left", bbox_to_anchor=(left, height), ncols=columns, frameon=False,
            fontsize=8, borderaxespad=0, borderpad=0, columnspacing=1.6, handlelength=2.2,
        )  # fmt: skip
