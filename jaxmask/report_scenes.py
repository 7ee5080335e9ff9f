"""Edge: the scenes that a report shows: which of them, read from shards and masks, and drawn."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxmask import panels
from jaxmask.panels import PANEL_TITLES, ScenePictures
from jaxmask.report_numbers import Record, share, spoken
from jaxmask.report_page import Panel, SceneView
from jaxmask.run_record import Run
from jaxmask.seen import SeenScene
from jaxmask.seen_scene import read_seen_scene
from preprocess.colour import shrink
from preprocess.level1 import CONFIDENCE_BITS
from preprocess.shard import read_window

PANEL_PIXELS = 640
DARK_SHARE = 0.01
MOST_SCENES = 3
DARK_SCENES_READ = 24  # flags of so many products are read to find one at night
EVERY = 8  # of their pixels, this one along each axis


def products_to_choose_from(run: Run) -> list[Record]:
    """The evaluated products that can be shown, of the test part where there is one; else all that have a mask.

    Without an evaluation the disagreement is unknown: None.
    """
    parts = (run.config or {}).get("split", {})
    evaluated = {record["product"]: record for record in (run.evaluation or {}).get("products", ())}
    shown = [name for name in run.infos if name in run.masks]
    records = [
        evaluated.get(name)
        or {
            "product": name,
            "part": next((part for part in parts if name in parts[part]), "all"),
            "day": run.infos[name].day,
            "disagreement": None,
        }
        for name in shown
    ]
    return [record for record in records if record["part"] == "test"] or records


def sunlit_shares(run: Run, products: Sequence[Record]) -> dict[str, float]:
    """The share of pixels with the day bit, for the first of the products that are not wholly by day."""
    dark = [record["product"] for record in products if not record["day"]][:DARK_SCENES_READ]
    shares = {}
    for name in dark:
        flags = read_window(run.shards[name], slice(None), slice(None), ("flags",))["flags"][::EVERY, ::EVERY]
        shares[name] = float(np.mean(flags & CONFIDENCE_BITS["day"] > 0))
    return shares


def choose_scenes(products: Sequence[Record], sunlit: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    """Up to three (product, why): the median and the largest disagreement, and the darkest or else the smallest.

    sunlit: share of pixels by day, 0..1, of products that are not wholly by day. A product of unknown disagreement is
    shown only where no other is.
    """
    known = [record for record in products if record["disagreement"] is not None]
    if not known:
        return tuple((record["product"], "one of the products with a mask") for record in products[:MOST_SCENES])
    names = [r["product"] for r in sorted(known, key=lambda record: (record["disagreement"], record["product"]))]
    chosen = {names[(len(names) - 1) // 2]: "the median disagreement"}
    chosen.setdefault(names[-1], "the largest disagreement")
    rest = [name for name in names if name not in chosen]
    dark = sorted((name for name in rest if name in sunlit), key=lambda name: sunlit[name])
    if dark and not any(_at_night(name, sunlit) for name in chosen):
        chosen[dark[0]] = "the darkest"
    elif rest:
        chosen[rest[0]] = "the smallest disagreement"
    return tuple((name, why + ", at night" * _at_night(name, sunlit)) for name, why in chosen.items())


def _at_night(name: str, sunlit: Mapping[str, float]) -> bool:
    return sunlit.get(name, 1.0) < DARK_SHARE


def draw_scene(shard: Path, mask_path: Path, why: str, number: int) -> tuple[SceneView, ScenePictures]:
    """Read one product and its mask and draw what both of them cover; they share pixel (0, 0)."""
    seen = read_seen_scene(shard, mask_path)
    view = see_scene(seen, why, number)
    remark = f"{why}: {dict(view.facts)['disagreement']}"
    return view, ScenePictures(seen.info.product, remark, _pictures(seen))


def see_scene(seen: SeenScene, why: str, number: int) -> SceneView:
    """The scene as a page shows it; `number` tells it from the page's other scenes."""
    return SceneView(seen.info.product, why, _facts(seen), _panels(_pictures(seen), number))


def _pictures(seen: SeenScene) -> tuple[NDArray[np.uint8], ...]:
    return panels.scene_panels(seen.base, seen.label, seen.label_valid, seen.probability, seen.valid, seen.threshold)


def data_uri(content: bytes, kind: str) -> str:
    """The bytes of an image inside an address."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _facts(seen: SeenScene) -> tuple[tuple[str, str], ...]:
    compared = seen.label_valid & seen.valid
    differing = _per_cent(seen.label != seen.cloud, compared, "no label")
    return (
        ("sensing start", seen.info.start_time),
        ("cloud in the label", _per_cent(seen.label, compared, "no label")),
        ("cloud in the U-Net", _per_cent(seen.cloud, seen.valid, "no valid pixel")),
        (
            "disagreement",
            f"{differing} of {int(compared.sum()):,} pixels",
        ),
    )


def _per_cent(true: NDArray[np.bool_], among: NDArray[np.bool_], reason: str) -> str:
    return spoken(share(float(true[among].mean()) if among.any() else None, reason), " %")


def _panels(pictures: Sequence[NDArray[np.uint8]], number: int) -> tuple[Panel, ...]:
    descriptions = (
        "natural colour by day, 10.8 µm temperature by night",
        "Bayes label: cloud near-white, clear dark blue, no data grey",
        "network output from 0, clear, to 1, cloud; no data grey",
        "where label and U-Net differ",
    )
    base, *maps = pictures
    step = -(-base.shape[1] // PANEL_PIXELS)
    files = [data_uri(panels.encode(shrink(base, PANEL_PIXELS), "jpeg"), "jpeg")]
    files += [data_uri(panels.encode(np.ascontiguousarray(picture[::step, ::step])), "png") for picture in maps]
    return tuple(
        Panel(title, file, f"Scene {number}: {description}")
        for title, file, description in zip(PANEL_TITLES, files, descriptions, strict=True)
    )
