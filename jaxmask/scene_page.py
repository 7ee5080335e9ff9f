"""Edge: one scene at full resolution as a page of its own, which needs no other file and no network."""

from __future__ import annotations

from pathlib import Path

from jaxmask.page import render_page
from jaxmask.panels import NIGHT_AND_DAY
from jaxmask.report_scenes import see_scene
from jaxmask.seen import SeenScene
from preprocess.files import whole_file

SCENES_FOLDER = "scenes"  # of a run: scenes/NAME.html
TEMPLATE = "scene.html"


def write_scene_page(path: Path, seen: SeenScene, report: str = "../report.html") -> None:
    """Write `path`, the page of `seen` at full resolution, whole or not at all.

    report: where the link back leads, relative to `path`. Raises OSError where it can't be written.
    """
    text = render_page(TEMPLATE, scene=see_scene(seen, "", 1), report=report, bands=NIGHT_AND_DAY)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
