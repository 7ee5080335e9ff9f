"""The files of a simulated product that say where and when: geodetic, cartesian, geometry, indices, time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from preprocess.simulation.geometry import FIRST_EMPTY_TIE, TIE_COLUMNS, Geometry
from preprocess.simulation.orbit import sun_distance_au
from preprocess.simulation.plan import ROW_S, ProductPlan
from preprocess.simulation.regrid import Regridding, gridded, orphans
from preprocess.simulation.schema import (
    FILL_I4,
    FILL_I8,
    ProductFile,
    Variable,
    grid_attributes,
    image_dimensions,
)

ASTRONOMICAL_UNIT_M = 149_597_870_700.0
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
NAN = float("nan")
IMAGE, ORPHANS, ONE, ROWS = ("rows", "columns"), ("rows", "orphan_pixels"), ("one",), ("rows",)
DEGREE_SCALE = 1e-6
SCAN_US, PIXEL_US, LAST_SCAN = 299_985, 81, 19_353
"""Of the measured time_in.nc: time of one turn of the mirrors, of one pixel, greatest scan number."""
SCANS_ACROSS, OBLIQUE_SCANS_LATER, OBLIQUE_SCANS = 254, 457, 51
FIRST_SCAN = 4763


def position_files(geometry: Geometry, in_cells: Regridding, an_cells: Regridding) -> Iterator[ProductFile]:
    """geodetic_ and cartesian_in, _an, _tx, geometry_tn, indices_in, _an and time_in.nc."""
    for grid, cells in (("in", in_cells), ("an", an_cells)):
        yield _geodetic_file(geometry, grid, cells)
        yield _cartesian_file(geometry, grid, cells)
        yield _indices_file(geometry, grid, cells)
    for name in ("geodetic", "cartesian", "geometry"):
        yield tie_file(geometry, name)
    yield _time_file(geometry)


def _geodetic_file(geometry: Geometry, grid: str, cells: Regridding) -> ProductFile:
    """Nothing measured at hand: packing as in ../shared/tools/complete_product.py, orphans named as in the S3 SLSTR
    product data format specification (S3IPF PDS 005). Elevation isn't simulated and is left out.
    """
    variables = []
    for name, unit, limit in (("latitude", "degrees_north", 90.0), ("longitude", "degrees_east", 180.0)):
        degrees = getattr(geometry, f"{name}_{grid}")
        counts = np.round(degrees / DEGREE_SCALE).astype(np.int32)
        about = {
            "add_offset": 0.0,
            "long_name": f"{name.capitalize()} of detector FOV centre on the earth's surface",
            "scale_factor": DEGREE_SCALE,
            "standard_name": name,
            "units": unit,
            "valid_max": np.int32(limit / DEGREE_SCALE),
            "valid_min": np.int32(-limit / DEGREE_SCALE),
        }
        variables += [
            Variable(f"{name}_{grid}", IMAGE, counts, FILL_I4, about),
            Variable(f"{name}_orphan_{grid}", ORPHANS, orphans(cells, counts, FILL_I4), FILL_I4, about),
        ]
    return _image_file(geometry, f"geodetic_{grid}.nc", grid, variables)


def _cartesian_file(geometry: Geometry, grid: str, cells: Regridding) -> ProductFile:
    """Nothing measured at hand: described as cartesian_tx.nc is."""
    variables = []
    for axis, direction in (("x", "across track"), ("y", "along track")):
        metres = getattr(geometry, f"{axis}_{grid}")
        about = _cartesian_about(axis, direction)
        variables += [
            Variable(f"{axis}_{grid}", IMAGE, metres, NAN, about),
            Variable(f"{axis}_orphan_{grid}", ORPHANS, orphans(cells, metres, NAN), NAN, about),
        ]
    return _image_file(geometry, f"cartesian_{grid}.nc", grid, variables)


def _indices_file(geometry: Geometry, grid: str, cells: Regridding) -> ProductFile:
    """Scan, pixel and detector of each cell: rows take turns at the detectors, the rest counts rows and columns."""
    finer = 2 if grid == "an" else 1
    rows, columns = np.indices(cells.cosmetic.shape)
    images: dict[str, tuple[Any, int, str]] = {
        "detector": ((rows % (2 * finer)).astype(np.uint8), 255, "Gridded pixel detector number"),
        "pixel": (columns.astype(np.uint16), 65535, "Gridded pixel number"),
        "scan": ((FIRST_SCAN + rows // (2 * finer)).astype(np.uint16), 65535, "Pixel scan number"),
    }
    about = {"long_name": "Offset between scan index and corresponding ISP scan count"}
    variables = [Variable(f"l0_scan_offset_{grid}", ONE, np.full(1, 58671, np.int32), FILL_I4, about)]
    for name, (image, fill, text) in images.items():
        about = {"long_name": text}
        variables += [
            Variable(f"{name}_{grid}", IMAGE, gridded(cells, image, fill), fill, about),
            Variable(f"{name}_orphan_{grid}", ORPHANS, orphans(cells, image, fill), fill, about),
        ]
    plan = geometry.plan
    sizes = dict(sorted((image_dimensions(plan, grid) | {"one": 1}).items()))
    attributes = grid_attributes(plan, grid, geometry.start_offset)
    return ProductFile(f"indices_{grid}.nc", attributes, sizes, tuple(variables))


def tie_file(geometry: Geometry, name: str) -> ProductFile:
    """geodetic_tx, cartesian_tx or geometry_tn.nc."""
    plan = geometry.plan
    grid = "tn" if name == "geometry" else "tx"
    sizes = {"columns": TIE_COLUMNS, "rows": plan.rows}
    attributes = grid_attributes(plan, "tx", geometry.start_offset)
    variables = {"geodetic": _geodetic_ties, "cartesian": _cartesian_ties, "geometry": _angle_ties}[name](geometry)
    return ProductFile(f"{name}_{grid}.nc", attributes, sizes, tuple(variables))


def _geodetic_ties(geometry: Geometry) -> Iterator[Variable]:
    for name, unit, limit in (("latitude", "degrees_north", 90.0), ("longitude", "degrees_east", 180.0)):
        about = {
            "long_name": f"{name.capitalize()} of detector FOV centre on the earth's surface",
            "standard_name": name,
            "units": unit,
            "valid_max": np.float64(limit),
            "valid_min": np.float64(-limit),
        }
        yield Variable(f"{name}_tx", IMAGE, getattr(geometry, f"{name}_tx"), NAN, about)


def _cartesian_ties(geometry: Geometry) -> Iterator[Variable]:
    for axis, direction in (("x", "across track"), ("y", "along track")):
        yield Variable(f"{axis}_tx", IMAGE, getattr(geometry, f"{axis}_tx"), NAN, _cartesian_about(axis, direction))


def _angle_ties(geometry: Geometry) -> Iterator[Variable]:
    """The angles; sat_path is 0 throughout, as measured."""
    for short, body in (("sat", "Satellite"), ("solar", "Solar")):
        for kind in ("azimuth", "zenith"):
            about = {
                "long_name": f"{body} {kind} angle",
                "standard_name": f"{body.lower()}_{kind}_angle",
                "units": "degrees",
            }
            yield Variable(f"{short}_{kind}_tn", IMAGE, getattr(geometry, f"{short}_{kind}_tn"), NAN, about)
    shape = geometry.solar_zenith_tn.shape
    sun_m = sun_distance_au(geometry.plan.start) * ASTRONOMICAL_UNIT_M
    to_sun = np.broadcast_to(np.where(np.arange(TIE_COLUMNS) < FIRST_EMPTY_TIE, sun_m, NAN), shape)
    for short, body, path in (("sat", "satellite", np.zeros(shape)), ("solar", "sun", to_sun)):
        about = {"long_name": f"Distance from {body} to surface", "units": "m"}
        yield Variable(f"{short}_path_tn", IMAGE, path, NAN, about)


def _time_file(geometry: Geometry) -> ProductFile:
    plan = geometry.plan
    sizes = {"one": 1, "rows": plan.rows}
    attributes = grid_attributes(plan, "in", geometry.start_offset)
    return ProductFile("time_in.nc", attributes, sizes, tuple(_times(plan)))


def _times(plan: ProductPlan) -> Iterator[Variable]:
    scan = FIRST_SCAN + np.arange(plan.rows) // 2
    start_us = round((plan.start - EPOCH).total_seconds() * 1e6)
    line_us = start_us + np.round(np.arange(plan.rows) // 2 * 2 * ROW_S * 1e6).astype(np.int64)
    for view, (later, scans) in {"Nadir": (0, SCANS_ACROSS), "Oblique": (OBLIQUE_SCANS_LATER, OBLIQUE_SCANS)}.items():
        first = scan + later
        for end, number in (("First", first), ("Last", first + scans)):
            about: dict[str, Any] = {
                "long_name": f"Scan number of the {end.lower()} {view.lower()} scan contributing to each line",
                "valid_max": np.uint16(LAST_SCAN),
                "valid_min": np.uint16(0),
            }
            yield Variable(f"{view}_{end}_scan_i", ROWS, number.astype(np.uint16), 65535, about)
        for bound, end, number in (("Minimal", "first", first), ("Maximal", "last", first + scans)):
            text = f"Acquisition time of the {end} {view.lower()} scan contributing to each line"
            acquired_us = line_us + (number - scan - SCANS_ACROSS // 6) * SCAN_US
            yield Variable(f"{view}_{bound}_ts_i", ROWS, acquired_us, FILL_I8, _time_about(text))
    text = "Acquisition time of the sub-satellite point included in each line"
    yield Variable("time_stamp_i", ROWS, line_us, FILL_I8, _time_about(text))
    for name, text, value in (
        ("PIXSYNC_i", "Frequency at which the pixels are sampled on each scan", PIXEL_US),
        ("SCANSYNC", "Scan Period defined as a complete rotation of the scan mirrors", SCAN_US),
    ):
        yield Variable(name, ONE, np.full(1, value, np.int32), FILL_I4, {"long_name": text, "units": "us"})


def _time_about(text: str) -> dict[str, Any]:
    return {"long_name": text, "standard_name": "time", "units": "microseconds since 2000-01-01T00:00:00Z"}


def _cartesian_about(axis: str, direction: str) -> dict[str, Any]:
    return {"long_name": f"Geolocated {axis} ({direction}) coordinate of detector FOV centre", "units": "m"}


def _image_file(geometry: Geometry, name: str, grid: str, variables: list[Variable]) -> ProductFile:
    attributes = grid_attributes(geometry.plan, grid, geometry.start_offset)
    return ProductFile(name, attributes, image_dimensions(geometry.plan, grid), tuple(variables))
