"""Edge: read one product, in a folder or a zip, into a frozen `Product`: arrays, units, flags, validity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from preprocess.errors import UserError
from preprocess.irradiance import read_irradiance
from preprocess.level1 import SOLAR_CHANNELS, THERMAL_CHANNELS, FlagField, Grid, Product
from preprocess.names import SUFFIX, parse_name
from preprocess.netcdf import OpenFile, Source, Verify, open_file, open_source
from preprocess.oblique import read_oblique
from preprocess.positions import read_orphans, read_positions
from preprocess.sources import find_products

__all__ = ["REQUIRED_FILES", "Product", "find_products", "read_product"]

REQUIRED_FILES = (
    *(f"{channel}_radiance_an.nc" for channel in SOLAR_CHANNELS),
    *(f"{channel}_quality_an.nc" for channel in SOLAR_CHANNELS),
    *(f"{channel}_BT_in.nc" for channel in THERMAL_CHANNELS),
    "flags_in.nc",
    "geometry_tn.nc",
    "geodetic_in.nc",
)
ASTRONOMICAL_UNIT_M = 149_597_870_700.0  # IAU 2012 resolution B2
NEEDED_FLAGS = ("unfilled", "cosmetic", "day", "twilight", "summary_cloud")
NEEDED_EXCEPTIONS = ("saturation",)

Shape = tuple[int, int]
Fields = dict[str, Any]


def read_product(
    path: Path, *, positions: bool = False, oblique: bool = False, cloud: bool = False, verify: Verify = "bytes"
) -> Product:
    """Read a .SEN3 folder, or a zip holding one without unpacking it; each file is read whole, and let go.

    `verify` (members.Verify) tells what each must agree with; a product without a manifest is read too, and is not
    `verified`. `positions` and `oblique` read what regridding by neighbours and the
    oblique view need, `cloud` the tests of cloud_in, which no scene needs. Raises UserError naming the file and
    variable if one is missing, damaged, or of the wrong shape or kind.
    """
    with open_source(path, verify=verify) as source:
        identity = read_identity(source)
        thermal, shape = _read_thermal(source)
        flags = _read_flags(source, shape, cloud=cloud)
        flags["flags"]["exception"] = thermal.pop("exception")
        solar = _read_solar(source, shape, with_orphans=positions)
        orphans, wants_detectors = solar.pop("orphans"), solar["detector"] is not None
        return Product(
            **identity,
            **thermal,
            **solar,
            **flags,
            **_read_coordinates(source, shape),
            **_read_geometry(source, thermal["grid_1km"], shape),
            positions=read_positions(source, flags["flags"]["confidence"], orphans, detectors=wants_detectors)
            if positions
            else None,
            oblique=read_oblique(source) if oblique else None,
            verified=source.verified,
        )


def _read_thermal(source: Source) -> tuple[Fields, Shape]:
    """S7..S9, their exceptions and grid, and that grid's shape (R, C)."""
    fields: Fields = {}
    for index, channel in enumerate(THERMAL_CHANNELS):
        with open_file(source, f"{channel}_BT_in.nc") as file:
            if not fields:
                shape = file.shape(f"{channel}_BT_in")
                fields = {"start_time": str(file.attribute("start_time")), "grid_1km": file.grid()}
                fields |= {"bt": np.empty((3, *shape), np.float32), "bt_exception": np.empty((3, *shape), np.uint8)}
            fields["bt"][index] = file.physical(f"{channel}_BT_in", shape, " as S7_BT_in")
            exception = file.flags(f"{channel}_exception_in", shape, out=fields["bt_exception"][index])
            _check_meanings(file, f"{channel}_exception_in", exception, NEEDED_EXCEPTIONS)
    return fields | {"exception": exception}, shape


def read_identity(source: Source) -> Fields:
    """Name, platform, collection and the manifest's digest; a renamed folder goes by the name its files remember."""
    name = source.name.removesuffix(SUFFIX)
    if not parse_name(name).platform:
        with open_file(source, "S7_BT_in.nc") as file:
            name = str(file.attribute("product_name")).removesuffix(SUFFIX)
    parsed = parse_name(name)
    if not parsed.platform:
        raise UserError(
            f"{source.path}: not an SLSTR level 1 product: expected a name S3?_SL_1_RBT____...; found {name}"
        )
    return {
        "name": name,
        "platform": parsed.platform,
        "collection": parsed.collection,
        "manifest_md5": source.manifest_md5,
    }


def _read_solar(source: Source, shape: Shape, *, with_orphans: bool) -> Fields:
    """S1..S6 at 500 m, their exceptions, irradiances and grid, and which detector saw each pixel where that matters;
    if wanted, `orphans` beside them: in the same files, but not on their grid.
    """
    fine, why = (2 * shape[0], 2 * shape[1]), f", twice the 1 km grid {shape}"
    exceptions = np.empty((6, *fine), np.uint8)
    radiances, orphans = [], []
    for index, channel in enumerate(SOLAR_CHANNELS):
        with open_file(source, f"{channel}_radiance_an.nc") as file:
            radiances.append(file.packed(f"{channel}_radiance_an", fine, why))
            file.raw(f"{channel}_exception_an", fine, why, out=exceptions[index])
            grid = file.grid()
            if with_orphans:
                orphans.append(read_orphans(file, channel))
    irradiance, detector = read_irradiance(source, "an", fine, why)
    return {
        "radiances": tuple(radiances),
        "orphans": orphans,
        "radiance_exception": exceptions,
        "irradiance": irradiance,
        "detector": detector,
        "grid_500m": grid,
    }


def _read_flags(source: Source, shape: Shape, *, cloud: bool) -> Fields:
    """confidence_in, bayes_in, cloud_in if wanted, and from collection 004 the probability of cloud."""
    with open_file(source, "flags_in.nc") as file:
        fields = {name: file.flags(f"{name}_in", shape) for name in ("confidence", "bayes", *["cloud"] * cloud)}
        _check_meanings(file, "confidence_in", fields["confidence"], NEEDED_FLAGS)
        single = "probability_cloud_single_in"
        probability = file.physical(single, shape) if file.has(single) else None
    return {"flags": fields, "probability_single": probability}


def _check_meanings(file: OpenFile, variable: str, field: FlagField, needed: tuple[str, ...]) -> None:
    missing = [meaning for meaning in needed if meaning not in field.meanings]
    if missing:
        raise UserError(
            f"{file.label}: the flag_meanings of {variable} must include {', '.join(missing)}; "
            f"found {' '.join(field.meanings)}"
        )


def _read_coordinates(source: Source, shape: Shape) -> Fields:
    with open_file(source, "geodetic_in.nc") as file:
        return {name: file.physical(f"{name}_in", shape) for name in ("latitude", "longitude")}


def _read_geometry(source: Source, grid_1km: Grid, shape: Shape) -> Fields:
    """The sun's zenith angle at the tie points (degrees), their grid, and the distance of the sun if it is there."""
    with open_file(source, "geometry_tn.nc") as file:
        grid = file.grid()
        ties = file.shape("solar_zenith_tn")
        needed = (shape[0] - 1) * grid_1km.along_m / grid.along_m + 1
        if ties[0] < needed:
            raise UserError(
                f"{file.label}: variable solar_zenith_tn must have tie points for all {shape[0]} rows of the 1 km grid "
                f"(at least {needed:.0f}); found shape {ties}"
            )
        return {
            "solar_zenith": file.physical("solar_zenith_tn", ties, dtype="f8"),
            "sun_distance_au": _sun_distance_au(file),
            "grid_tie": grid,
        }


def _sun_distance_au(file: OpenFile) -> float:
    if not file.has("solar_path_tn"):
        return float("nan")
    path_m = file.physical("solar_path_tn", dtype="f8")
    known = path_m[np.isfinite(path_m)]
    return float(known.mean() / ASTRONOMICAL_UNIT_M) if known.size else float("nan")
