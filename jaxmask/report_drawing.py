"""Edge: every product of a run drawn once, in worker processes: its line in the table, and its full scene's page."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxmask.drawn_product import DrawnProduct, look_at
from jaxmask.report_numbers import Record
from jaxmask.run_record import Run, StageFailure
from jaxmask.scene_page import write_scene_page
from jaxmask.scene_view import SCENES_FOLDER
from jaxmask.seen_scene import read_seen_scene
from preprocess.files import whole_file, writable_folder
from preprocess.flags import Parallel
from preprocess.pool import map_items

FORM = 2  # of what is drawn: raised when it looks otherwise, so that all is drawn again


@dataclass(frozen=True)
class Job:
    """One product to draw. full: write its full scene's page too."""

    shard: Path
    mask: Path
    folder: Path
    name: str
    full: bool


@dataclass(frozen=True)
class Drawing:
    """The record of one product's drawing. full: its full scene was drawn too; key: what it was made from."""

    product: DrawnProduct
    full: bool
    key: Mapping[str, Any]


@dataclass(frozen=True)
class Drawings:
    """What was drawn, now or before, by product; whose full scene has a page; what could not be drawn."""

    products: Mapping[str, DrawnProduct]
    full: frozenset[str]
    failures: tuple[StageFailure, ...]
    drawn_now: int


def draw_products(run: Run, scenes: int | None, flags: Parallel) -> Drawings:
    """Draw all products that have a shard and a mask into RUN/scenes, but those whose drawing is up to date.

    scenes: so many full scenes are written, those of `full_scenes`; None: all. A drawing is up to date if it was made
    by this version from the same shard and mask, by their sizes and times of change.
    """
    names = [name for name in run.infos if name in run.masks]  # what could not be read has failed already
    if not names:
        return Drawings({}, frozenset(), (), 0)
    folder = writable_folder(run.places.run / SCENES_FOLDER)
    wanted = full_scenes(names, (run.evaluation or {}).get("products", ()), scenes)
    jobs = [Job(run.shards[name], run.masks[name], folder, name, name in wanted) for name in names]
    outdated = [job for job in jobs if not _is_current(job)]
    outcomes = map_items(
        draw, outdated, workers=flags.workers, scheduler=flags.scheduler, label="drawing", quiet=flags.quiet
    )
    failed = {outcome.item.name: outcome.error for outcome in outcomes if outcome.error is not None}
    products, full = {}, set()
    for job in jobs:
        if job.name not in failed and (record := _read(job)) is not None:
            products[job.name] = record.product
            if record.full and _page(job).exists():
                full.add(job.name)
    failures = tuple(StageFailure("report", name, failed[name]) for name in sorted(failed))
    return Drawings(products, frozenset(full), failures, len(outdated) - len(failed))


def full_scenes(names: Sequence[str], evaluated: Iterable[Record], count: int | None) -> frozenset[str]:
    """The `count` products whose full scenes are worth most: held out first, then by disagreement; None: all."""
    records = {record["product"]: record for record in evaluated}

    def worth(name: str) -> tuple[bool, float, str]:
        record = records.get(name, {})
        return record.get("part") != "test", -(record.get("disagreement") or 0.0), name

    return frozenset(sorted(names, key=worth)[:count])


def draw(job: Job) -> None:
    """Read one product and write what is shown of it: the scene's page first, the line of the table last."""
    key = _key(job)
    page = _page(job)
    page.unlink(missing_ok=True)  # of an earlier mask: it must not stand beside the new one's figures
    seen = read_seen_scene(job.shard, job.mask)
    product = look_at(seen)
    if job.full:
        write_scene_page(page, seen)
    thumbnail = base64.b64encode(product.thumbnail).decode()
    record = asdict(product) | {"thumbnail": thumbnail, "full": job.full, "key": key}
    with whole_file(_place(job)) as partial:
        partial.write_text(json.dumps(record, allow_nan=False))


def _place(job: Job) -> Path:
    return job.folder / f"{job.name}.json"


def _key(job: Job) -> dict[str, Any]:
    """What a drawing was made from."""
    states = {name: path.stat() for name, path in (("shard", job.shard), ("mask", job.mask))}
    files = {name: [state.st_mtime_ns, state.st_size] for name, state in states.items()}
    return {"form": FORM, "version": version("jaxmask"), **files}


def _is_current(job: Job) -> bool:
    record = _read(job)
    try:
        if record is None or record.key != _key(job):
            return False
    except OSError:
        return False  # gone since it was found: drawing it says so
    return not job.full or (record.full and _page(job).exists())


def _read(job: Job) -> Drawing | None:
    """What was drawn of a product; None if nothing was, or in another form, or its file is damaged."""
    try:
        record = json.loads(_place(job).read_text())
        if record["key"]["form"] != FORM:
            return None
        values = {name: record[name] for name in DrawnProduct.__dataclass_fields__}
        values["thumbnail"] = base64.b64decode(record["thumbnail"])
        return Drawing(DrawnProduct(**values), bool(record["full"]), record["key"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _page(job: Job) -> Path:
    return job.folder / f"{job.name}.html"
