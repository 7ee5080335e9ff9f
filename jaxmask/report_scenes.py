"""Edge: the scenes that a report shows: which of them, read from shards and masks, and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxmask.panels import ScenePictures
from jaxmask.report_numbers import Record
from jaxmask.run_record import Run
from jaxmask.scene_view import SceneView, scene_pictures, see_scene
from jaxmask.seen_scene import read_seen_scene
from preprocess.level1 import CONFIDENCE_BITS
from preprocess.shard import read_window

MOST_COLUMNS = 640  # of a scene in the report, which then stays at a MB or so a scene
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
    """Read one product and its mask and draw what both of them cover; they share pixel (0, 0).

    number: tells the scene from the page's other scenes.
    """
    seen = read_seen_scene(shard, mask_path)
    pictures = scene_pictures(seen)
    view = see_scene(seen, why, number, pictures, MOST_COLUMNS)
    return view, ScenePictures(seen.info.product, f"{why}: {dict(view.facts)['disagreement']}", pictures)
