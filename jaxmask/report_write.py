"""Edge: a run as its page: what can be drawn drawn, the page and the wide picture written whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jaxmask.figures import colour_bar
from jaxmask.page import render_page
from jaxmask.panels import NIGHT_AND_DAY, PAGE_KEY, ScenePictures, quantity_name, wide_picture
from jaxmask.report_drawing import draw_products
from jaxmask.report_numbers import DEFAULT_THRESHOLD
from jaxmask.report_page import Live, Page, make_page
from jaxmask.report_products import product_table
from jaxmask.report_scenes import choose_scenes, draw_scene, products_to_choose_from, sunlit_shares
from jaxmask.run_record import Run, StageFailure
from jaxmask.scene_page import VIEWER_SCRIPTS
from jaxmask.scene_view import SceneView
from preprocess.files import whole_file
from preprocess.flags import Parallel
from preprocess.pool import one_line

REPORT_NAME = "report.html"
SCENES_NAME = "scenes.png"
SCRIPTS = ("report/products.js", "report/live.js")


@dataclass(frozen=True)
class DrawnScenes:
    """The chosen scenes drawn for the page and for the wide picture, and those that could not be."""

    views: tuple[SceneView, ...] = ()
    pictures: tuple[ScenePictures, ...] = ()
    failed: tuple[StageFailure, ...] = ()


@dataclass(frozen=True)
class Written:
    """What a report came to."""

    page: Path
    files: tuple[Path, ...]
    absent: tuple[str, ...]
    unread: tuple[StageFailure, ...]
    products: int  # rows of the table
    drawn: int  # products drawn now
    full_scenes: int  # that have a page


def write_report(
    record: Run,
    scenes: int | None,
    flags: Parallel,
    *,
    live: Live | None = None,
    draw: Callable[[Run], DrawnScenes] | None = None,
) -> Written:
    """Draw the products, `scenes` of them in full (None: all), and write the page and RUN/scenes.png.

    draw: instead of `draw_scenes`, where what was drawn before may still do. What can't be drawn is a failure on the
    page.
    """
    folder = record.places.run
    drawings = draw_products(record, scenes, flags)
    chosen = (draw or draw_scenes)(record)
    unread = _distinct((*record.unread, *drawings.failures, *chosen.failed))
    table = product_table(record, drawings.products, drawings.full, (*record.failures, *unread))
    page = make_page(record, table, chosen.views, _bar(record), unread, live)
    with whole_file(folder / REPORT_NAME) as partial:
        partial.write_text(render(page), encoding="utf-8")
    if chosen.pictures:
        with whole_file(folder / SCENES_NAME) as partial:
            partial.write_bytes(wide_picture(chosen.pictures))
    return Written(
        page=folder / REPORT_NAME,
        files=tuple(folder / name for name in (REPORT_NAME, SCENES_NAME) if name == REPORT_NAME or chosen.pictures),
        absent=tuple(page.absent),
        unread=unread,
        products=len(table.rows),
        drawn=drawings.drawn_now,
        full_scenes=len(drawings.full),
    )


def draw_scenes(record: Run) -> DrawnScenes:
    """Choose scenes and draw them."""
    products = products_to_choose_from(record)
    drawn: list[tuple[SceneView, ScenePictures]] = []
    failed: list[StageFailure] = []
    for name, why in choose_scenes(products, sunlit_shares(record, products)):
        try:
            drawn.append(draw_scene(record.shards[name], record.masks[name], why, len(drawn) + 1))
        except Exception as error:
            failed.append(StageFailure("report", name, one_line(error)))
    return DrawnScenes(tuple(view for view, _ in drawn), tuple(picture for _, picture in drawn), tuple(failed))


def render(page: Page) -> str:
    """The page as HTML, everything escaped but the charts that we drew."""
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    scripts = (*SCRIPTS, *(VIEWER_SCRIPTS if page.scenes else ()))
    return render_page(REPORT_NAME, scripts, page=page, key=PAGE_KEY, bands=NIGHT_AND_DAY, written=written)


def _bar(record: Run) -> str:
    """The colour bar of the masks, which are all of one quantity and threshold; "" without a mask."""
    if not record.masks:
        return ""
    name = quantity_name(record.mask_attributes.get("quantity", "q"))
    threshold = record.mask_attributes.get("threshold", DEFAULT_THRESHOLD)
    return colour_bar("probability", "Colours of the masks, 0 to 1", name, threshold)


def _distinct(failures: tuple[StageFailure, ...]) -> tuple[StageFailure, ...]:
    """One product that neither the table nor the viewer can read has failed once."""
    return tuple(dict.fromkeys(failures))
