"""Edge: the command that turns products into shards, one HDF file each, whole or not at all."""

from __future__ import annotations

import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from preprocess.command import Parallel, check, finish, log, run, sort_out
from preprocess.compose import make_scene
from preprocess.errors import UserError
from preprocess.files import clear_leftovers, writable_folder
from preprocess.netcdf import open_source
from preprocess.pool import map_items
from preprocess.product import find_products, read_identity, read_product
from preprocess.scene import REFERENCE_HEIGHT, REFERENCE_WIDTH, SceneInfo, fit
from preprocess.shard import read_info, read_layout, write_shard

NATIVE_SHAPE = "native"
COMMON_SHAPE = f"{REFERENCE_HEIGHT}x{REFERENCE_WIDTH}"
LARGEST_SIDE = 10_000


@dataclass(frozen=True)
class ConvertConfig(Parallel):
    """Turn SLSTR products into shards: HDF files of reflectances, temperatures, labels and validity on one grid."""

    products: Positional[Annotated[Path, arg(metavar="PRODUCTS")]]
    """Folder of .SEN3 folders or zips, one of these, or a text file that lists them one a line."""
    output: Positional[Annotated[Path, arg(metavar="OUTPUT")]]
    """Folder for day/NAME.hdf and night/NAME.hdf ("night": not wholly day); shards already there are kept."""
    convention: Literal["native", "reference"] = "native"
    """native: right; reference: the original program's numbers, faults included, for its published models."""
    shape: str = COMMON_SHAPE
    """Rows x columns of every shard, reached by padding or cropping at the bottom and right; "native": each its own."""
    calibration: Literal["none", "notice"] = "none"
    """Factors for the radiances of S1-S6: none, or those of the product notices for collections below 005."""
    label: Literal["any", "single_low", "single_moderate", "dual_low", "dual_moderate"] = "any"
    """Cloud where any bit of bayes_in is set, as the original, or where this one is."""
    rads: bool = False
    """Store the radiances too (mW m-2 sr-1 nm-1), as the original does."""
    overwrite: bool = False
    """Make shards again that are there with other settings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.size()
        if self.convention == "reference":
            check(self.shape == COMMON_SHAPE, "shape", f"{COMMON_SHAPE} with --convention reference", self.shape)

    def size(self) -> tuple[int, int] | None:
        """Height and width of every shard; None if each product keeps its own. Raises UserError for another text."""
        if self.shape == NATIVE_SHAPE:
            return None
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", self.shape)
        sides = (int(match[1]), int(match[2])) if match else (0, 0)
        check(0 < max(sides) <= LARGEST_SIDE, "shape", "ROWSxCOLUMNS (1200x1500) or 'native'", self.shape)
        return sides


@dataclass(frozen=True)
class Converted:
    """One shard in the output folder: whether it was there before, its rows lost, and whether it can be trained on."""

    path: Path
    reused: bool
    labelled: bool
    rows_cropped: int


def main(config: ConvertConfig) -> int:
    """Convert every product that can be; return the exit code."""
    products = find_products(config.products)
    output = writable_folder(config.output)
    _clear(output)
    work = functools.partial(convert_product, config=config)
    outcomes = map_items(
        work, products, workers=config.workers, scheduler=config.scheduler, label="convert", quiet=config.quiet
    )
    done, failures = sort_out(outcomes)
    _clear(output)
    return finish(config, _summary(done, len(products), output), failures, output)


def _clear(output: Path) -> None:
    """Remove what workers that died, now or in an earlier run, left half-written."""
    for part in ("day", "night"):
        clear_leftovers(output / part)


def convert_product(path: Path, config: ConvertConfig) -> Converted:
    """Write the shard of one product, unless one of the same product and settings is there.

    Raises UserError if the product can't be read, or if a shard of other settings is there and --overwrite
    is not given.
    """
    with open_source(path) as source:
        identity = read_identity(source)
    shards = [config.output / part / f"{identity['name']}.hdf" for part in ("day", "night")]
    for shard in shards:
        if shard.exists() and not config.overwrite:
            info = _reusable(shard, config, identity["manifest_md5"])
            if info is not None:
                return Converted(shard, reused=True, labelled=info.labelled, rows_cropped=info.rows_cropped)
    scene = make_scene(
        read_product(path),
        convention=config.convention,
        calibration=config.calibration,
        label_rule=config.label,
        rads=config.rads,
    )
    if (size := config.size()) is not None:
        scene = fit(scene, *size)
    day, night = shards
    kept, other = (day, night) if scene.info.day else (night, day)
    write_shard(kept, scene)
    other.unlink(missing_ok=True)
    return Converted(kept, reused=False, labelled=scene.info.labelled, rows_cropped=scene.info.rows_cropped)


def _reusable(shard: Path, config: ConvertConfig, manifest_md5: str) -> SceneInfo | None:
    """The attributes of a shard made from this product with these settings; None if it must be made again.

    That is where it is damaged or of another version of the product. Raises UserError if the settings
    differ: a shard that someone wanted is not for us to throw away.
    """
    try:
        info = read_info(shard)
        height, width, extra = read_layout(shard)
    except UserError as error:
        log.warning("made again: %s", error)
        return None
    wanted = config.size() or (info.rows, info.columns)
    settings = (
        ("convention", info.convention, config.convention),
        ("calibration", info.calibration, config.calibration),
        ("label", info.label_rule, config.label),
        ("shape", f"{height}x{width}", f"{wanted[0]}x{wanted[1]}"),
        ("rads", str("rads" in extra), str(config.rads)),
    )
    for flag, found, asked in settings:
        if found != asked:
            raise UserError(
                f"{shard} was made with --{flag} {found}, not {asked}; "
                "give --overwrite to make it again, or another output folder"
            )
    return info if info.manifest_md5 == manifest_md5 else None


def _summary(done: list[Converted], products: int, output: Path) -> dict[str, object]:
    reused = sum(item.reused for item in done)
    day = sum(item.path.parent.name == "day" for item in done)
    unlabelled = sum(not item.labelled for item in done)
    cropped = sum(item.rows_cropped > 0 for item in done)
    notes = [f"{unlabelled} unlabelled (bayes never computed: not for training)"] if unlabelled else []
    notes += [f"{cropped} cropped at the bottom"] if cropped else []
    return {
        "message": f"{len(done)} of {products} products are shards in {output}: {len(done) - reused} converted, "
        f"{reused} reused; {'; '.join([f'{day} day, {len(done) - day} night', *notes])}",
        "products": len(done),
        "converted": len(done) - reused,
        "reused": reused,
        "day": day,
        "night": len(done) - day,
        "unlabelled": unlabelled,
        "cropped": cropped,
        "output": str(output),
    }


if __name__ == "__main__":
    sys.exit(run("preprocess.convert", ConvertConfig, main))
