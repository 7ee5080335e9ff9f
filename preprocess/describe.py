"""Edge: the command that tells what a product or shard holds, and shows it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from preprocess.command import Failure, Output, log, run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED, UserError
from preprocess.files import whole_file
from preprocess.flags import check
from preprocess.level1 import Product
from preprocess.netcdf import open_file, open_source
from preprocess.outcome import attempt
from preprocess.product import find_products, read_product
from preprocess.scene import Scene
from preprocess.shard import SUFFIXES, find_shards, read_shard
from preprocess.sources import is_product_folder
from preprocess.summary import summarise_product, summarise_scene
from preprocess.summary_text import summary_lines

PNG = ".png"


@dataclass(frozen=True)
class DescribeConfig(Output):
    """Tell what SLSTR products and shards hold: grids, light, fill, labels, flags, every channel, and what is odd."""

    paths: Positional[tuple[Path, ...]]
    """.SEN3 folders, zips, shards, folders of these, or lists of products."""
    png: Path | None = None
    """Show each too, in natural colour by day, in microphysics (S7, S8, S9) by night, with latitudes, longitudes and
    coast: NAME.png in this folder, of a shard NAME_native.png or NAME_reference.png; or this one file."""

    def __post_init__(self) -> None:
        if not self.paths:
            raise UserError("nothing to describe: name one or more products, shards or folders of them")


def main(config: DescribeConfig) -> int:
    """Print a summary of each, as JSON (their items, and failures) if asked to, or if quiet what is odd about it alone.

    Returns 3 if some could not be read.
    """
    items = [item for path in config.paths for item in find_items(path)]
    one_file = config.png is not None and config.png.suffix == PNG
    check(len(items) == 1 or not one_file, "png", f"a folder for {len(items)} items", config.png)
    summaries, failures = [], list[Failure]()
    for item in items:
        outcome = attempt(partial(describe, png=config.png), item)
        if outcome.value is None:
            told = outcome.error or ""
            failures.append(Failure(str(item), told))
            log.error("failed: %s", told if told.startswith(str(item)) else f"{item}: {told}")
            continue
        summaries.append(outcome.value)
        if config.quiet:
            for warning in outcome.value["warnings"]:
                log.warning("%s: %s", item, warning)
        elif not config.json:
            print("\n".join(summary_lines(outcome.value)))
    if config.json:
        found = {"items": summaries, "failures": [asdict(failure) for failure in failures]}
        print(json.dumps(found, allow_nan=False))
    return EXIT_SOME_FAILED if failures else EXIT_DONE


def find_items(path: Path) -> list[Path]:
    """The products and shards at `path`; raises UserError if there are none."""
    if path.suffix in SUFFIXES and path.is_file():
        return [path]
    if not path.is_dir() or is_product_folder(path) or not any(_shard_files(path)):
        return find_products(path)
    if any(file.suffix == SUFFIXES[0] for file in _shard_files(path)):
        return find_shards(path)
    try:  # an .h5 may be anything, such as the table of match-ups beside an archive's zips
        return find_products(path)
    except UserError:
        return find_shards(path)


def describe(path: Path, png: Path | None = None) -> dict[str, Any]:
    """The summary of one product or shard, its path beside it; raises UserError if it can't be read.

    Its picture is written to `png`, a file of that suffix or else a folder.
    """
    if path.suffix in SUFFIXES:
        shard = read_shard(path)
        summary = summarise_scene(shard)
        scene = shard if png else None
    else:
        product = read_product(path, cloud=True, verify="md5")
        summary = summarise_product(product) | {"processor": processor_version(path)}
        scene = _native_scene(product) if png else None
    if png and scene:
        name = summary["product"] + (f"_{scene.info.convention}" if path.suffix in SUFFIXES else "")
        save_picture(png if png.suffix == PNG else png / f"{name}{PNG}", scene)
    return {"path": str(path), **summary}


def processor_version(path: Path) -> str | None:
    """What made a product, as its files say: "IPF-SL-1 06.08"; None if they don't."""
    with open_source(path) as source, open_file(source, "S7_BT_in.nc") as file:
        try:
            return str(file.attribute("source"))
        except UserError:
            return None


def save_picture(path: Path, scene: Scene) -> None:
    """Write a PNG of what a scene looks like, with its graticule, its coast and a key, whole or not at all."""
    from preprocess.scene_figure import picture_of  # Matplotlib is not needed, nor waited for, without --png

    content = picture_of(scene)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_bytes(content)


def _native_scene(product: Product) -> Scene:
    from preprocess.compose import make_scene  # not needed, nor waited for, without --png

    return make_scene(product)


def _shard_files(folder: Path) -> Iterator[Path]:
    for part in (folder, folder / "day", folder / "night"):
        yield from (file for file in part.glob("*") if file.suffix in SUFFIXES)


if __name__ == "__main__":
    sys.exit(run("preprocess.describe", DescribeConfig, main))
