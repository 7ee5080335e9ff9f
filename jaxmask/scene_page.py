"""Edge: one scene at full resolution as a page of its own, which needs no other file and no network."""

from __future__ import annotations

from pathlib import Path

from jaxmask.figures import colour_bar
from jaxmask.page import render_page
from jaxmask.panels import NIGHT_AND_DAY, PAGE_KEY, quantity_name
from jaxmask.scene_view import making_facts, see_scene
from jaxmask.seen import SeenScene
from preprocess.files import whole_file

TEMPLATE = "scene.html"
VIEWER_SCRIPTS = ("vendor/openseadragon.min.js", "viewer.js")


def write_scene_page(path: Path, seen: SeenScene, report: str = "../report.html") -> None:
    """Write `path`, the page of `seen` at full resolution, whole or not at all.

    report: where the link back leads, relative to `path`. Raises OSError where it can't be written.
    """
    text = render_page(
        TEMPLATE,
        VIEWER_SCRIPTS,
        scene=see_scene(seen),
        making=making_facts(seen),
        report=report,
        bands=NIGHT_AND_DAY,
        key=PAGE_KEY,
        bar=colour_bar("probability", "Colours of the mask, 0 to 1", quantity_name(seen.quantity), seen.threshold),
    )
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
