"""Edge: one scene and its mask as a PNG file."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from jaxmask import colour
from jaxmask.figures import PROBABILITY_COLOURS
from jaxmask.maskfile import Mask
from jaxmask.panels import quantity_name
from preprocess.colour import Look, Night, scene_look
from preprocess.errors import UserError
from preprocess.files import whole_file
from preprocess.map_lines import Line, block_means, map_lines
from preprocess.scene import Scene, SceneInfo
from preprocess.scene_figure import (
    STYLE,
    KeyLine,
    Panel,
    Scale,
    draw_scene,
    fitted,
    map_key,
    notes,
    png,
    scale_of,
    time_and_size,
)

THRESHOLD = 0.5
OUTLINE = colour.hexadecimal(colour.ORANGE)
BAR, BAR_MARGIN = 14, 84  # pixels: the colour bar's width, and what it needs with its numbers


def save_quicklook(
    path: Path,
    scene: Scene,
    probability: NDArray[np.floating],
    valid: NDArray[np.bool_],
    threshold: float = THRESHOLD,
    quantity: str = "q",
    night: Night = "microphysics",
) -> None:
    """Write `path`, a PNG of false colour with the mask's outline beside the network's output, whole or not at all.

    probability: (H, W) float 0..1 (1 = cloud), the output q, or P(cloud) where `quantity` is "P"; valid: (H, W) bool,
    where it counts; night: what is shown where there is no sunlight. Raises UserError if these and the scene differ in
    size.
    """
    if not (scene.refs.shape[:2] == probability.shape == valid.shape):
        raise UserError(
            f"{path}: a quicklook needs scene and mask of one size; found a scene of {scene.refs.shape[:2]}, a mask of "
            f"{probability.shape} and its validity of {valid.shape}: make the mask from this scene"
        )
    settings = {"threshold": threshold, "quantity": quantity}
    places = {"latitude": scene.latitude, "longitude": scene.longitude, "flags": scene.flags}
    mask = Mask(scene.info.product, np.asarray(probability), np.asarray(valid, bool), settings, **places)
    write_quicklook(path, scene_look(scene, night=night), scene.info, mask)


def write_quicklook(path: Path, look: Look, info: SceneInfo, mask: Mask) -> None:
    """The same from what the scene looks like and its mask, of one size."""
    picture = quicklook(look, info, mask)
    with whole_file(path) as partial:
        partial.write_bytes(picture)


def quicklook(look: Look, info: SceneInfo, mask: Mask) -> bytes:
    """False colour with the mask's outline beside the mask's values with their colour bar, as a PNG.

    Both with the graticule of the mask's positions and the coast of its flags, where it has them. A scene that is
    larger than a panel is shown by means over whole blocks, from which the outline is drawn too.
    """
    scale = scale_of(*mask.valid.shape)
    values, known = block_means(mask.probability, mask.valid, scale.step)
    lines = map_lines(mask.latitude, mask.longitude, mask.flags, scale.step)
    quantity, buffer = mask.attributes.get("quantity", "q"), int(mask.attributes.get("buffer", 0))
    spread = f", cloud spread by {buffer} pixels" if buffer else ""
    outline = _outline(values, known, mask.threshold, scale)
    panels = (
        Panel(fitted(look.picture, scale), "false colour, and the mask's outline", known, outline, OUTLINE),
        Panel(colour.probability_colour(values, known, PROBABILITY_COLOURS), f"the mask's values{spread}", known),
    )
    key = [KeyLine(f"cloud where {quantity} > {mask.threshold:g}", OUTLINE), *map_key(lines, not known.all())]
    title = f"{info.product}   {time_and_size(info, scale)}"
    with mpl.rc_context(STYLE):
        figure, axes = draw_scene(title, panels, scale, lines, key, notes(look, scale), BAR_MARGIN)
        box = axes[1].get_position()
        width = figure.get_figwidth() * figure.dpi
        bar = figure.add_axes((box.x1 + 8 / width, box.y0, BAR / width, box.height), xticks=[])
        bar.imshow(PROBABILITY_COLOURS[:, None], extent=(0, 1, 0, 1), aspect="auto", origin="lower")
        bar.axhline(mask.threshold, color="white", linewidth=2.4)
        bar.axhline(mask.threshold, color="black", linewidth=1)
        bar.yaxis.tick_right()
        bar.yaxis.set_label_position("right")
        bar.set_ylabel(quantity_name(quantity))
        return png(figure)


def _outline(
    values: NDArray[np.floating], known: NDArray[np.bool_], threshold: float, scale: Scale
) -> tuple[Line, ...]:
    """Where the mask crosses its threshold, in the scene's pixels; none where it never does."""
    rows, columns = (np.arange(size) * scale.step + (scale.step - 1) / 2 for size in values.shape)
    if min(values.shape) < 2:
        return ()
    found = contour_generator(columns, rows, np.ma.masked_array(values, ~known)).lines(threshold)
    return tuple(np.asarray(piece) for piece in found)
