"""Edge: read the oblique view of one product, on its own grid. Experimental: no measured oblique file was at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from preprocess.errors import UserError
from preprocess.irradiance import read_irradiance
from preprocess.level1 import SOLAR_CHANNELS, THERMAL_CHANNELS, Oblique
from preprocess.netcdf import Source, open_file

OBLIQUE_FILES = (
    *(f"{channel}_radiance_ao.nc" for channel in SOLAR_CHANNELS),
    *(f"{channel}_quality_ao.nc" for channel in SOLAR_CHANNELS),
    *(f"{channel}_BT_io.nc" for channel in THERMAL_CHANNELS),
    "flags_io.nc",
    "geometry_to.nc",
    "geodetic_io.nc",
)

Shape = tuple[int, int]
Fields = dict[str, Any]


def read_oblique(source: Source) -> Oblique:
    """Read the oblique view of an open product: names as nadir's, `o` for `n` (the measured manifest lists them).

    Raises UserError naming the file and variable if one is missing, damaged, or of the wrong shape or kind,
    and the way out: `--views nadir`.
    """
    try:
        thermal, shape = _read_thermal(source)
        return Oblique(**thermal, **_read_solar(source, shape), **_read_annotations(source, shape))
    except UserError as error:
        raise UserError(f"{error}, or do without the oblique view: --views nadir") from None


def _read_thermal(source: Source) -> tuple[Fields, Shape]:
    """S7..S9, their exceptions and grid, and that grid's shape (Ro, Co)."""
    fields: Fields = {}
    for index, channel in enumerate(THERMAL_CHANNELS):
        with open_file(source, f"{channel}_BT_io.nc") as file:
            if not fields:
                shape = file.shape(f"{channel}_BT_io")
                fields = {"grid_1km": file.grid(), "bt": np.empty((3, *shape), np.float32)}
                fields["bt_exception"] = np.empty((3, *shape), np.uint8)
            fields["bt"][index] = file.physical(f"{channel}_BT_io", shape, " as S7_BT_io")
            file.raw(f"{channel}_exception_io", shape, " as S7_BT_io", out=fields["bt_exception"][index])
    return fields, shape


def _read_solar(source: Source, shape: Shape) -> Fields:
    """S1..S6 at 500 m, their exceptions, irradiances by detector and grid."""
    fine, why = (2 * shape[0], 2 * shape[1]), f", twice the oblique 1 km grid {shape}"
    exceptions = np.empty((6, *fine), np.uint8)
    radiances = []
    for index, channel in enumerate(SOLAR_CHANNELS):
        with open_file(source, f"{channel}_radiance_ao.nc") as file:
            radiances.append(file.packed(f"{channel}_radiance_ao", fine, why))
            file.raw(f"{channel}_exception_ao", fine, why, out=exceptions[index])
            grid = file.grid()
    irradiance, detector = read_irradiance(source, "ao", fine, why)
    return {
        "radiances": tuple(radiances),
        "radiance_exception": exceptions,
        "irradiance": irradiance,
        "detector": detector,
        "grid_500m": grid,
    }


def _read_annotations(source: Source, shape: Shape) -> Fields:
    """confidence_io, the sun's zenith angle at the oblique tie points (degrees), and where the pixels lie."""
    with open_file(source, "flags_io.nc") as file:
        confidence = file.flags("confidence_io", shape)
        if "cosmetic" not in confidence.meanings:
            raise UserError(
                f"{file.label}: the flag_meanings of confidence_io must include cosmetic; "
                f"found {' '.join(confidence.meanings)}"
            )
    with open_file(source, "geometry_to.nc") as file:
        zenith, ties = file.physical("solar_zenith_to", file.shape("solar_zenith_to"), dtype="f8"), file.grid()
    with open_file(source, "geodetic_io.nc") as file:
        positions = {name: file.physical(f"{name}_io", shape) for name in ("latitude", "longitude")}
    return {"confidence": confidence, "solar_zenith": zenith, "grid_tie": ties, **positions}
