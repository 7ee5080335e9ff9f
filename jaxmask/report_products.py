"""The report's table of products: one row each, those without a mask and those that failed too, with the reasons."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from jaxmask.drawn_product import DrawnProduct
from jaxmask.granules import assign_masks
from jaxmask.matchups import product_names
from jaxmask.report_numbers import Cell, Record, number, share
from jaxmask.run_record import Run, StageFailure
from jaxmask.scene_view import SCENES_FOLDER
from jaxmask.split import PARTS, recorded_split
from preprocess.names import SUFFIX, item_name, parse_name

NO_PART = "none"


@dataclass(frozen=True)
class ProductRow:
    """One product; what isn't known of it is "", or a cell with the reason."""

    name: str
    thumbnail: str  # a data URI
    scene: str  # address of its full scene, from the page, or ""
    start: str  # ISO 8601, UTC
    part: str  # of the split
    light: str
    label_share: Cell  # cloud, %
    mask_share: Cell  # cloud, %
    disagreement: Cell  # %
    matchups: Cell
    failures: tuple[str, ...]  # "stage: reason"


@dataclass(frozen=True)
class ProductTable:
    """All rows in the order of their sensing start, and what a reader can choose by."""

    rows: tuple[ProductRow, ...]
    parts: tuple[str, ...]
    lights: tuple[str, ...]
    failed: int


def product_table(
    run: Run, drawn: Mapping[str, DrawnProduct], full: Iterable[str], failures: Iterable[StageFailure]
) -> ProductTable:
    """The table of a run. drawn: what was drawn, by product; full: those with a page of their full scene."""
    reasons = failures_by_product(failures)
    evaluated = {record["product"]: record for record in (run.evaluation or {}).get("products", ())}
    names = {*run.products, *run.shards, *run.masks, *evaluated, *(name for name in reasons if _is_product(name))}
    counts = matchup_counts(run)
    parts, pages = _parts(run), frozenset(full)
    rows = [
        _row(
            run,
            name,
            drawn.get(name),
            evaluated.get(name),
            part=parts.get(name, NO_PART if parts else str(evaluated.get(name, {}).get("part", ""))),
            matchups=None if counts is None else counts[name],
            failures=reasons.get(name, ()),
            full=name in pages,
        )
        for name in names
    ]
    rows.sort(key=lambda row: (row.start == "", row.start, row.name))
    return ProductTable(
        rows=tuple(rows),
        parts=tuple(sorted({row.part for row in rows if row.part})),
        lights=tuple(sorted({row.light for row in rows if row.light})),
        failed=sum(1 for row in rows if row.failures),
    )


def failures_by_product(failures: Iterable[StageFailure]) -> dict[str, tuple[str, ...]]:
    """What failed, by the product that the item's file name begins with: "stage: reason" each."""
    found: dict[str, dict[str, None]] = {}
    for failure in failures:
        name = item_name(failure.item)
        found.setdefault(name, {})[f"{failure.stage}: {failure.reason}"] = None
    return {name: tuple(reasons) for name, reasons in found.items()}


def matchup_counts(run: Run) -> Counter[str] | None:
    """The number of match-ups that each product's mask was sampled for; None if the table was not kept."""
    if run.matchups is None or "cems_path" not in run.matchups:
        return None
    names, of_row = product_names(np.asarray(run.matchups["cems_path"]))
    masks, _ = assign_masks(names.tolist(), run.masks)
    counts: Counter[str] = Counter()
    for mask, count in zip(masks, np.bincount(of_row, minlength=len(names)).tolist(), strict=True):
        if mask is not None:
            counts[mask] += count
    return counts


def _row(
    run: Run,
    name: str,
    drawn: DrawnProduct | None,
    evaluated: Record | None,
    *,
    part: str,
    matchups: int | None,
    failures: tuple[str, ...],
    full: bool,
) -> ProductRow:
    why = _why_nothing(run, name)
    # What evaluate counted comes first, so that the page doesn't hold two figures of one thing.
    figures = evaluated or (vars(drawn) if drawn else {})
    label = figures.get("label_cloud_share", figures.get("label_share"))
    mask = figures.get("mask_cloud_share", figures.get("mask_share"))
    info = run.infos.get(name)
    unlabelled = "no label" if info is not None and not info.labelled else why or "not compared"
    return ProductRow(
        name=name,
        thumbnail=f"data:image/webp;base64,{base64.b64encode(drawn.thumbnail).decode()}" if drawn else "",
        scene=scene_address(name) if full else "",
        start=info.start_time if info is not None else parse_name(name).start_time,
        part=part,
        light=drawn.light if drawn else "",
        label_share=share(label, unlabelled),
        mask_share=share(mask, why or "no valid pixel"),
        disagreement=share(figures.get("disagreement"), unlabelled),
        matchups=number(matchups, 0, "not known") if name in run.masks else number(None, 0, why),
        failures=failures,
    )


def scene_address(name: str) -> str:
    """The address, from the page, of a product's full scene: what means something in addresses (#, ?, %) is quoted."""
    quoted = quote(name, errors="surrogateescape")  # the bytes of the name on disk, whatever they are
    return f"{SCENES_FOLDER}/{quoted}.html"


def _why_nothing(run: Run, name: str) -> str:
    if name not in run.shards:
        return "no shard"
    return "" if name in run.masks else "no mask"


def _parts(run: Run) -> dict[str, str]:
    """The part of the split that each product is in; empty without a record of training."""
    if run.config is None:
        return {}
    split = recorded_split(run.config["split"])
    return {name: part for part in PARTS for name in getattr(split, part)}


def _is_product(name: str) -> bool:
    return bool(parse_name(name.removesuffix(SUFFIX)).platform)
