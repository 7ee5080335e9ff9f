"""Edge: the command that shows a run as one HTML page without any other file, and its scenes as one picture."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxmask.colour import hexadecimal
from jaxmask.figures import colour_bar
from jaxmask.page import render_page
from jaxmask.panels import DISAGREEMENT_KEY, NIGHT_AND_DAY, ScenePictures, quantity_name, wide_picture
from jaxmask.report_inputs import read_run
from jaxmask.report_numbers import DEFAULT_THRESHOLD
from jaxmask.report_page import Page, SceneView, make_page
from jaxmask.report_scenes import choose_scenes, draw_scene, products_to_choose_from, sunlit_shares
from jaxmask.run_record import Places, Run, StageFailure
from preprocess.command import Failure, finish, run
from preprocess.files import whole_file, writable_folder
from preprocess.flags import Output
from preprocess.pool import one_line

REPORT_NAME = "report.html"
SCENES_NAME = "scenes.png"
SCRIPTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportConfig(Output):
    """Show a run as RUN/report.html, one page that needs no other file and no network, and RUN/scenes.png."""

    folder: Positional[Annotated[Path, arg(metavar="RUN")]]
    """Folder of the run, with archive/, extracted/, hdf/, model/ and predictions/ in it; what is missing is named."""
    archive: Path | None = None
    """Folder of the zips, if it is not RUN/archive."""
    hdf: Path | None = None
    """Folder of the shards, if it is not RUN/hdf."""
    model: Path | None = None
    """Model folder, if it is not RUN/model."""
    predictions: Path | None = None
    """Folder of the masks and statistics, if it is not RUN/predictions."""


def main(config: ReportConfig) -> int:
    """Read the run, draw it, write the page; returns 3 if a file of the run could not be read."""
    record = read_run(places(config))
    writable_folder(config.folder)
    views, pictures, unread = draw_scenes(record)
    unread = (*record.unread, *unread)
    page = make_page(record, views, _bar(record), unread)
    with whole_file(config.folder / REPORT_NAME) as partial:
        partial.write_text(render(page), encoding="utf-8")
    if pictures:
        with whole_file(config.folder / SCENES_NAME) as partial:
            partial.write_bytes(wide_picture(pictures))
    message = f"the report: {config.folder / REPORT_NAME}"
    if page.absent:
        message += f" (without {', '.join(page.absent)}: the page names the commands that make them)"
    written = [str(config.folder / name) for name in (REPORT_NAME, SCENES_NAME) if name == REPORT_NAME or pictures]
    summary = {"message": message, "written": written, "absent": sorted(page.absent)}
    return finish(config, summary, [Failure(entry.item, entry.reason) for entry in unread], config.folder)


def places(config: ReportConfig) -> Places:
    """Where the parts of the run lie: the flags' folders, else those of the run's layout."""
    root = config.folder
    return Places(
        run=root,
        archive=config.archive or root / "archive",
        extracted=root / "extracted",
        hdf=config.hdf or root / "hdf",
        model=config.model or root / "model",
        predictions=config.predictions or root / "predictions",
    )


def draw_scenes(record: Run) -> tuple[tuple[SceneView, ...], tuple[ScenePictures, ...], tuple[StageFailure, ...]]:
    """The chosen scenes drawn for the page and for the wide picture, and those that could not be."""
    products = products_to_choose_from(record)
    drawn: list[tuple[SceneView, ScenePictures]] = []
    failed: list[StageFailure] = []
    for name, why in choose_scenes(products, sunlit_shares(record, products)):
        try:
            drawn.append(draw_scene(record.shards[name], record.masks[name], why, len(drawn) + 1))
        except Exception as error:
            failed.append(StageFailure("report", name, one_line(error)))
    return tuple(view for view, _ in drawn), tuple(picture for _, picture in drawn), tuple(failed)


def render(page: Page) -> str:
    """The page as HTML, everything escaped but the charts that we drew."""
    key = [(text, hexadecimal(rgb)) for text, rgb in DISAGREEMENT_KEY]
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return render_page(REPORT_NAME, SCRIPTS, page=page, key=key, bands=NIGHT_AND_DAY, written=written)


def _bar(record: Run) -> str:
    """The colour bar of the masks, which are all of one quantity and threshold; "" without a mask."""
    if not record.masks:
        return ""
    name = quantity_name(record.mask_attributes.get("quantity", "q"))
    threshold = record.mask_attributes.get("threshold", DEFAULT_THRESHOLD)
    return colour_bar("probability", "Colours of the masks, 0 to 1", name, threshold)


if __name__ == "__main__":
    sys.exit(run("jaxmask.report", ReportConfig, main))
