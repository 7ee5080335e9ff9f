"""Edge: the command that turns products into shards, one HDF file each, whole or not at all."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from preprocess.command import finish, log, run, sort_out
from preprocess.compose import make_scene
from preprocess.convert_settings import ConvertConfig, differing_setting, settle, views_of
from preprocess.errors import UserError
from preprocess.files import clear_leftovers, writable_folder
from preprocess.labels import (
    SURFACE_CLASSES,
    ClassCounts,
    add_counts,
    constant_classes,
    constant_warnings,
    recorded_counts,
)
from preprocess.netcdf import open_source
from preprocess.pool import map_items
from preprocess.product import find_products, read_identity, read_product
from preprocess.scene import Scene, SceneInfo, fit
from preprocess.shard import read_info, read_layout, write_shard

__all__ = ["ConvertConfig", "Converted", "convert_product", "main"]


@dataclass(frozen=True)
class Converted:
    """One shard in the output folder: whether it was there before, and what the run's summary tells of it."""

    path: Path
    reused: bool
    labelled: bool
    verified: bool  # by any sums
    rows_cropped: int
    columns_cropped: int
    classes: ClassCounts


def main(config: ConvertConfig) -> int:
    """Convert every product that can be; return the exit code."""
    config = settle(config)
    products = find_products(config.products)
    output = writable_folder(config.output)
    if config.scheduler is not None:  # its workers may run in other folders
        products, config = [path.absolute() for path in products], replace(config, output=output.absolute())
    _clear(output)
    work = functools.partial(convert_product, config=config)
    try:
        outcomes = map_items(
            work, products, workers=config.workers, scheduler=config.scheduler,
            label="convert", unit="products", quiet=config.quiet,
        )  # fmt: skip
        done, failures = sort_out(outcomes)
    finally:
        _clear(output)
    for warning in constant_warnings(add_counts(item.classes for item in done)):
        log.warning("%s", warning)
    return finish(config, summarise(done, len(products), config), failures, output)


def _clear(output: Path) -> None:
    """Remove what workers that died, now or in an earlier run, left half-written."""
    for part in ("day", "night"):
        clear_leftovers(output / part)


def convert_product(path: Path, config: ConvertConfig) -> Converted:
    """Write the shard of one product, unless one of the same product and settings is there; `config` is settled.

    Raises UserError if the product can't be read, or if a shard of other settings is there and --overwrite
    is not given.
    """
    with open_source(path) as source:
        identity = read_identity(source)
    day, night = (config.output / part / f"{identity['name']}.hdf" for part in ("day", "night"))
    for shard, other in ((day, night), (night, day)):
        if shard.exists() and not config.overwrite:
            info = _reusable(shard, config, identity["manifest_md5"])
            if info is not None:
                # Of an earlier version, where a run was killed between writing this one and removing that.
                other.unlink(missing_ok=True)
                return _converted(shard, info, reused=True)
    scene = _scene(path, config)
    if (size := config.size()) is not None:
        scene = fit(scene, *size)
    kept, other = (day, night) if scene.info.day else (night, day)
    write_shard(kept, scene)
    other.unlink(missing_ok=True)
    if not kept.exists():
        raise UserError(f"{kept} has gone: another command converts another version of {path.name} to the same folder")
    return _converted(kept, scene.info, reused=False)


def _scene(path: Path, config: ConvertConfig) -> Scene:
    """The scene of a product, at its own size; the product's memory is free for what is made of the scene."""
    views = views_of(config)
    product = read_product(
        path, positions=config.regrid == "neighbours", oblique="oblique" in views, verify=config.verify
    )
    return make_scene(
        product,
        convention=config.convention,
        calibration=config.calibration,
        label_rule=config.label,
        rads=config.rads,
        regrid=config.regrid,
        texture=config.texture,
        views=views,
    )


def _reusable(shard: Path, config: ConvertConfig, manifest_md5: str) -> SceneInfo | None:
    """The attributes of a shard made from this product with these settings; None if it must be made again.

    That is where it is damaged or of another version of the product. Raises UserError if the settings
    differ: a shard that someone wanted is not for us to throw away.
    """
    try:
        info = read_info(shard)
        layout = read_layout(shard)
    except UserError as error:
        log.warning("made again: %s", error)
        return None
    if (differing := differing_setting(info, *layout, config)) is not None:
        flag, found, asked = differing
        raise UserError(
            f"{shard} was made with --{flag} {found}, not {asked}; "
            "give --overwrite to make it again, or another output folder"
        )
    return info if info.manifest_md5 == manifest_md5 else None


def _converted(shard: Path, info: SceneInfo, *, reused: bool) -> Converted:
    return Converted(
        shard,
        reused,
        info.labelled,
        bool(info.verified),
        info.rows_cropped,
        info.columns_cropped,
        recorded_counts(info),
    )


def summarise(done: Sequence[Converted], products: int, config: ConvertConfig) -> dict[str, Any]:
    """The run in numbers; `message` is the line for people.

    `classes` tells of each surface its labelled pixels, those of cloud, what its label always is, if it never changes
    over the run ("always"), and in how many products it doesn't change ("constant_products").
    """
    classes = _classes([item.classes for item in done])
    counts = {
        "reused": sum(item.reused for item in done),
        "day": sum(item.path.parent.name == "day" for item in done),
        "unlabelled": sum(not item.labelled for item in done),
        "cropped": sum(item.rows_cropped > 0 or item.columns_cropped > 0 for item in done),
        "unverified": sum(not item.verified for item in done),
    }
    converted, night = len(done) - counts["reused"], len(done) - counts["day"]
    noun = "product is a shard" if products == 1 else "products are shards"
    notes = [f"{counts['day']} day, {night} night", *_notes(done, counts, config, classes)]
    return {
        "message": f"{len(done)} of {products} {noun} in {config.output}: {converted} converted, "
        f"{counts['reused']} reused; {'; '.join(notes)}",
        "products": len(done),
        "converted": converted,
        "night": night,
        **counts,
        "classes": classes,
        "output": str(config.output),
    }


def _notes(
    done: Sequence[Converted], counts: dict[str, int], config: ConvertConfig, classes: dict[str, dict[str, Any]]
) -> list[str]:
    """What a reader of the summary should know, beyond the usual."""
    label = "bayes" if config.label == "any" else config.label
    rows, columns = (
        max((item.rows_cropped for item in done), default=0),
        max((item.columns_cropped for item in done), default=0),
    )
    sides = [f"up to {rows} rows at the bottom"] if rows else []
    sides += [f"up to {columns} columns at the right"] if columns else []
    why = "as asked" if config.verify == "none" else "no manifest, or converted before"
    constant = [f"{name.replace('_', ' ')} {found['always']}" for name, found in classes.items() if found["always"]]
    told = (
        (counts["unlabelled"], f"unlabelled ({label} never computed: not for training)"),
        (counts["cropped"], f"cropped ({', '.join(sides)})"),
        (counts["unverified"], f"not checked against a manifest ({why})"),
    )
    notes = [f"{count} {words}" for count, words in told if count]
    return notes + ([f"the label never changes over {', '.join(constant)}"] if constant else [])


def _classes(counts: Sequence[ClassCounts]) -> dict[str, dict[str, Any]]:
    total = add_counts(counts)
    always = constant_classes(total)
    of_products = [constant_classes(count) for count in counts]
    return {
        name: {
            "pixels": pixels,
            "cloud": cloud,
            "always": always.get(name),
            "constant_products": sum(name in found for found in of_products),
        }
        for name, pixels, cloud in zip(SURFACE_CLASSES, *total, strict=True)
        if pixels
    }


if __name__ == "__main__":
    sys.exit(run("preprocess.convert", ConvertConfig, main))
