"""One scene as a page shows it: what is known of it, its pictures, and what its viewer unpacks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxmask import panels
from jaxmask.panels import PANEL_TITLES
from jaxmask.report_numbers import share, spoken
from jaxmask.seen import SeenScene, share_of
from jaxmask.viewer_content import viewer_content
from preprocess.colour import shrink

SCENES_FOLDER = "scenes"  # of a run, beside its page: scenes/NAME.html
PANEL_COLUMNS = 640  # of a picture without the viewer: in print, and where no scripts run


@dataclass(frozen=True)
class Panel:
    """One picture of a scene, as a data URI."""

    title: str
    source: str
    description: str


@dataclass(frozen=True)
class SceneView:
    """One scene: its product, why it was chosen, what is known of it, its pictures, and its viewer's content as JSON.

    The first picture is false colour on the pixels that the viewer has values of.
    """

    product: str
    reason: str
    facts: tuple[tuple[str, str], ...]
    panels: tuple[Panel, ...]
    content: dict[str, Any]


def see_scene(
    seen: SeenScene,
    why: str = "",
    number: int = 1,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    most_columns: int | None = None,
) -> SceneView:
    """The scene as a page shows it, at most `most_columns` wide; None: at full resolution.

    number: tells it from the page's other scenes; pictures: those of `scene_pictures`, where they are there already.
    """
    drawn = _panels(pictures or scene_pictures(seen), number, most_columns)
    return SceneView(seen.info.product, why, scene_facts(seen), drawn, viewer_content(seen, most_columns))


def scene_pictures(seen: SeenScene) -> tuple[NDArray[np.uint8], ...]:
    """The four pictures of `panels.PANEL_TITLES`, (H, W, 3) uint8."""
    return panels.scene_panels(seen.base, seen.label, seen.label_valid, seen.probability, seen.valid, seen.threshold)


def scene_facts(seen: SeenScene) -> tuple[tuple[str, str], ...]:
    """When it was sensed, and what share is cloud by label and mask where both know; without a label by mask alone."""
    differing = _per_cent(seen.label != seen.cloud, seen.compared, "no label")
    return (
        ("sensing start", seen.info.start_time),
        ("cloud in the label", _per_cent(seen.label, seen.compared, "no label")),
        ("cloud in the U-Net", _per_cent(seen.cloud, seen.judged, "no valid pixel")),
        ("disagreement", f"{differing} of {int(seen.compared.sum()):,} pixels"),
    )


def making_facts(seen: SeenScene) -> tuple[tuple[str, str], ...]:
    """What the product is and how its arrays and its mask were made, as words."""
    info = seen.info
    height, width = seen.valid.shape
    return (
        ("platform", info.platform),
        ("collection", info.collection),
        ("convention", info.convention),
        ("calibration", info.calibration),
        ("regridding", info.regridding),
        ("label rule", info.label_rule),
        ("threshold", f"{seen.quantity} > {seen.threshold:g}"),
        ("size", f"{height:,} rows of {width:,} pixels of 1 km"),
    )


def data_uri(content: bytes, kind: str) -> str:
    """The bytes of an image inside an address."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _per_cent(true: NDArray[np.bool_], among: NDArray[np.bool_], reason: str) -> str:
    return spoken(share(share_of(true, among), reason), " %")


def _panels(pictures: Sequence[NDArray[np.uint8]], number: int, most_columns: int | None) -> tuple[Panel, ...]:
    descriptions = (
        "false colour",
        "Bayes label: cloud near-white, clear dark blue, no data grey",
        "network output from 0, clear, to 1, cloud; no data grey",
        "where label and U-Net differ",
    )
    base, *maps = pictures
    step = -(-base.shape[1] // PANEL_COLUMNS)
    shown = base if most_columns is None else shrink(base, most_columns)
    files = [data_uri(panels.encode(shown, "jpeg"), "jpeg")]
    files += [data_uri(panels.encode(np.ascontiguousarray(picture[::step, ::step])), "png") for picture in maps]
    return tuple(
        Panel(title, file, f"Scene {number}: {description}")
        for title, file, description in zip(PANEL_TITLES, files, descriptions, strict=True)
    )
