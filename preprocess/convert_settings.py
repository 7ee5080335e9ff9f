"""Edge: the flags of `convert`, checked before any product is read; a user's calibration file becomes its factors."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from preprocess.calibration import CALIBRATIONS, recorded_calibration, user_calibration
from preprocess.compose import REFERENCE_REGRIDDING
from preprocess.errors import UserError
from preprocess.flags import Parallel, check
from preprocess.labels import parse_label_rule
from preprocess.members import Verify
from preprocess.scene import REFERENCE_HEIGHT, REFERENCE_WIDTH, SceneInfo

NATIVE_SHAPE = "native"
COMMON_SHAPE = f"{REFERENCE_HEIGHT}x{REFERENCE_WIDTH}"
LARGEST_SIDE = 10_000
RECORDED = "nadir "  # how the words begin in which shards and models record a user's factors


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
    calibration: Annotated[str, arg(metavar="none|notice|FILE")] = "none"
    """Factors for the radiances of S1-S6: none; notice, those of the product notices for collections below 005; or your
    own for every collection, from a JSON file {"nadir": {"S1": 0.97, ... all six}, "oblique": {...}}, or as a shard
    records them, "nadir 0.97 ... all six"."""
    label: Annotated[str, arg(metavar="RULE")] = "any"
    """Cloud where: any bit of bayes_in is set, as the original; single_low, single_moderate, dual_low or dual_moderate,
    one of its bits; summary, summary_cloud of confidence_in; probability:T, probability_cloud_single_in is T or more
    (collections from 004; others are unlabelled)."""
    regrid: Literal["mean", "neighbours"] = "mean"
    """From 500 m to 1 km: the mean of the valid of 2 x 2 pixels, or of the nearest measurements by position, orphans
    included, cosmetic pixels left out: a cosmetic 1 km pixel is then measured where others lie within 1 km."""
    texture: bool = False
    """Store the standard deviation of S1-S6 among those neighbours too; with --regrid neighbours."""
    views: Annotated[Literal["nadir", "nadir,oblique"], arg(metavar="nadir|nadir,oblique")] = "nadir"
    """Store the oblique view too, laid on the nadir grid (experimental)."""
    rads: bool = False
    """Store the radiances too (mW m-2 sr-1 nm-1), as the original does."""
    verify: Verify = "bytes"
    """What every file read must agree with. bytes: the manifest's size, and one sum of every byte: the manifest's MD5
    in a folder, the zip's own CRC-32 in a zip, which finds what storing or sending damaged. md5: the manifest's size
    and MD5 in both, which also finds what was another file before it was zipped. none: no manifest."""
    overwrite: bool = False
    """Make shards again that are there with other settings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.size()
        parse_label_rule(self.label)
        if self.texture:
            check(self.regrid == "neighbours", "regrid", "neighbours with --texture", self.regrid)
        if self.convention == "reference":
            for flag, value in (("shape", COMMON_SHAPE), ("regrid", "mean"), ("views", "nadir")):
                found = getattr(self, flag)
                check(found == value, flag, f"{value} with --convention reference", found)

    def size(self) -> tuple[int, int] | None:
        """Height and width of every shard; None if each product keeps its own. Raises UserError for another text."""
        if self.shape == NATIVE_SHAPE:
            return None
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", self.shape)
        sides = (int(match[1]), int(match[2])) if match else (0, 0)
        check(0 < max(sides) <= LARGEST_SIDE, "shape", "ROWSxCOLUMNS (1200x1500) or 'native'", self.shape)
        return sides


def settle(config: ConvertConfig) -> ConvertConfig:
    """The config in the words that shards record: a calibration file read into its factors, the label rule spelt alike.

    Workers on other machines then need no file. Raises UserError naming the calibration file if it can't be read or
    does not hold what it must.
    """
    label = parse_label_rule(config.label)
    if config.calibration in CALIBRATIONS:
        return replace(config, label=label)
    path = Path(config.calibration)
    if config.calibration.startswith(RECORDED) and not path.exists():
        return replace(config, label=label, calibration=recorded_calibration(config.calibration, views_of(config)))
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(
            f"--calibration must be {', '.join(CALIBRATIONS)} or a JSON file of factors; {path} can't be read: {why}"
        ) from error
    return replace(config, label=label, calibration=user_calibration(text, str(path), views_of(config)))


def views_of(config: ConvertConfig) -> tuple[str, ...]:
    """The views by name, nadir first."""
    return tuple(config.views.split(","))


def differing_setting(
    info: SceneInfo, height: int, width: int, extra: frozenset[str], config: ConvertConfig
) -> tuple[str, str, str] | None:
    """The first setting in which a shard differs from what a settled `config` would make of its product, if any.

    `height`, `width` and the optional datasets that are there (`extra`) are the shard's. Returns the flag, the shard's
    value and the config's.
    """
    native = config.convention == "native"
    wanted_height, wanted_width = config.size() or (info.rows, info.columns)
    settings = (
        ("convention", info.convention, config.convention),
        ("calibration", info.calibration, config.calibration),
        ("label", info.label_rule, config.label),
        ("shape", f"{height}x{width}", f"{wanted_height}x{wanted_width}"),
        ("rads", str("rads" in extra), str(config.rads)),
        ("regrid", info.regridding, config.regrid if native else REFERENCE_REGRIDDING),
        ("texture", str("texture" in extra), str(config.texture)),
        ("views", info.views, config.views),
    )
    return next((setting for setting in settings if setting[1] != setting[2]), None)
