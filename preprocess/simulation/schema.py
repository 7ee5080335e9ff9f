"""How the files of a simulated product describe themselves: dimensions, types and attributes of the measured product.

The measured product is Sentinel-3A of 2017-03-15, baseline 002; every file it has is followed name by name (a test
compares them). Variables of files that it lacks say where their description comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from preprocess.simulation.geometry import TIE_NADIR_COLUMN
from preprocess.simulation.plan import ROW_S, ProductPlan
from preprocess.simulation.regrid import orphan_places

FILL_I2, FILL_I4, FILL_I8 = -32768, -(2**31), -(2**63)
EXCEPTION_MEANINGS = (
    "ISP_absent pixel_absent not_decompressed no_signal saturation invalid_radiance no_parameters unfilled_pixel"
)
ISP_ABSENT, PIXEL_ABSENT, SATURATION, UNFILLED_PIXEL = 1, 2, 16, 128
COMMENT = "Simulated by jaxmask (python -m preprocess.simulate); nothing in it was measured"
REFERENCES = (
    "S3IPF PDS 005 - i2r3 - Product Data Format Specification - SLSTR, S3IPF PDS 002 - i1r6 - Product Data Format "
    "Specification - Product Structures, S3IPF DPM 003 - i1r5 - Detailed Processing Model - SLSTR Level 1"
)
TITLE = "S3 SLSTR L1 Radiance and Brightness Temperatures Product. (Measurements + Annotations)"
SOURCES = {"002": "IPF-SL-1 06.08", "004": "IPF-SL-1 06.17", "005": "IPF-SL-1 06.21"}
"""Processor that files of each baseline collection name; that of 002 is measured, the others are only in its style."""
VIEW = {"in": "1km TIR grid, nadir view", "an": "A stripe grid, nadir view"}


class Variable(NamedTuple):
    """One variable of a file: `data` as stored, `fill` its _FillValue (None: it has none), further attributes."""

    name: str
    dimensions: tuple[str, ...]
    data: Any
    fill: float | int | None
    attributes: dict[str, Any]


@dataclass(frozen=True)
class ProductFile:
    """One netCDF file of a product: its global attributes, dimensions and variables."""

    name: str
    attributes: dict[str, Any]
    dimensions: dict[str, int]
    variables: tuple[Variable, ...]


def iso(moment: datetime) -> str:
    """A time as products write it: 2017-03-15T11:34:20.831396Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def creation_time(plan: ProductPlan) -> str:
    """The time of processing in the product's name: 20170315T135348Z."""
    return plan.name[48:63] + "Z"


def grid_attributes(plan: ProductPlan, grid: str, start_offset: int) -> dict[str, Any]:
    """Global attributes of a file on grid "in" (1 km), "an" (500 m) or "tx" (tie points): `track_offset` doubles at
    500 m, `start_offset` is the same number on every grid.
    """
    resolution, track = {
        "in": ("[ 1000 1000 ]", plan.nadir_column),
        "an": ("[ 500 500 ]", 2 * plan.nadir_column),
        "tx": ("[ 16000 1000 ]", TIE_NADIR_COLUMN),
    }[grid]
    return {
        "absolute_orbit_number": np.uint32(plan.absolute_orbit),
        "comment": COMMENT,
        "contact": "EOHElp@esa.int",
        "creation_time": creation_time(plan),
        "institution": "LN2",
        "netCDF_version": "4.2 of Jul  5 2012 17:07:43 $",
        "product_name": f"{plan.name}.SEN3",
        "references": REFERENCES,
        "resolution": resolution,
        "source": SOURCES[plan.collection],
        "start_offset": np.int32(start_offset),
        "start_time": iso(plan.start),
        "stop_time": iso(plan.start + timedelta(seconds=(plan.rows - 1) * ROW_S)),
        "title": TITLE,
        "track_offset": np.int32(track),
    }


def viscal_attributes(plan: ProductPlan) -> dict[str, Any]:
    """Global attributes of viscal.nc, which lies on no grid."""
    return {
        "contact": "EOHElp@esa.int",
        "creation_time": creation_time(plan),
        "history": f"  {creation_time(plan)}: jaxmask preprocess.simulate",
        "institution": "LN2",
        "netCDF_version": "4.2 of Jul  5 2012 17:07:43 $",
        "product_name": f"{plan.name}.SEN3",
        "source": SOURCES[plan.collection],
        "title": TITLE,
    }


def image_dimensions(plan: ProductPlan, grid: str) -> dict[str, int]:
    """Dimensions of an image file on grid "in" or "an"."""
    finer = 2 if grid == "an" else 1
    return {
        "columns": plan.columns * finer,
        "orphan_pixels": orphan_places(plan, grid),
        "rows": plan.rows * finer,
    }


def flags(name: str, dimensions: tuple[str, ...], data: Any, meanings: str, **attributes: Any) -> Variable:
    """A variable of bit flags: one mask of its own type for each meaning, no fill value."""
    bits = (1 << np.arange(len(meanings.split()))).astype(data.dtype)
    return Variable(name, dimensions, data, None, {"flag_masks": bits, "flag_meanings": meanings, **attributes})


def packed(values: Any, scale: float, offset: float) -> Any:
    """int16 counts of physical values; NaN becomes the fill value, what overflows the nearest count."""
    known = np.isfinite(values)
    counts = np.round((np.where(known, values, offset).astype(np.float64) - offset) / scale)
    return np.where(known, np.clip(counts, -32767, 32767), FILL_I2).astype(np.int16)
