"""Edge: the command that tells what a product or shard holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from preprocess.command import Output, log, run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED, UserError
from preprocess.product import find_products, read_product
from preprocess.shard import SUFFIXES, find_shards, read_shard
from preprocess.sources import is_product_folder
from preprocess.summary import summarise_product, summarise_scene, summary_lines


@dataclass(frozen=True)
class DescribeConfig(Output):
    """Tell what SLSTR products and shards hold: size, light, fill, clouds, labels, flags, and the range of channels."""

    paths: Positional[tuple[Path, ...]]
    """.SEN3 folders, zips, shards, folders of these, or lists of products."""

    def __post_init__(self) -> None:
        if not self.paths:
            raise UserError("nothing to describe: name one or more products, shards or folders of them")


def main(config: DescribeConfig) -> int:
    """Print a summary of each, as JSON (one list) if asked to; return 3 if some could not be read."""
    items = [item for path in config.paths for item in find_items(path)]
    summaries, failed = [], 0
    for item in items:
        try:
            summary = describe(item)
        except UserError as error:
            failed += 1
            log.error("failed: %s", error)
            continue
        summaries.append(summary)
        if not config.json:
            print("\n".join(summary_lines(summary)))
    if config.json:
        print(json.dumps(summaries, allow_nan=False))
    return EXIT_SOME_FAILED if failed else EXIT_DONE


def find_items(path: Path) -> list[Path]:
    """The products and shards at `path`; raises UserError if there are none."""
    if path.suffix in SUFFIXES and path.is_file():
        return [path]
    if path.is_dir() and not is_product_folder(path) and any(_shard_files(path)):
        return find_shards(path)
    return find_products(path)


def describe(path: Path) -> dict[str, Any]:
    """The summary of one product or shard, its path beside it; raises UserError if it can't be read."""
    if path.suffix in SUFFIXES:
        return {"path": str(path), **summarise_scene(read_shard(path))}
    return {"path": str(path), **summarise_product(read_product(path))}


def _shard_files(folder: Path) -> Iterator[Path]:
    for part in (folder, folder / "day", folder / "night"):
        yield from (file for file in part.glob("*") if file.suffix in SUFFIXES)


if __name__ == "__main__":
    sys.exit(run("preprocess.describe", DescribeConfig, main))
