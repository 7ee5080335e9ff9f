"""Edge: read where the pixels of a product really lie, and the orphans: measurements that found no cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from preprocess.errors import UserError
from preprocess.level1 import SOLAR_CHANNELS, FlagField, Packed, Positions
from preprocess.netcdf import OpenFile, Source, open_file

FLAGS_500M = "flags_an.nc"

Shape = tuple[int, int]


class Orphans(NamedTuple):
    """The orphans of one channel (2R, O), as its file has them; None for what it lacks."""

    radiance: Packed | None
    exception: np.ndarray | None


def read_orphans(file: OpenFile, channel: str) -> Orphans:
    """The orphans in the open radiance file of one channel; raises UserError if they can't be read."""
    radiance, exception = f"{channel}_radiance_orphan_an", f"{channel}_exception_orphan_an"
    return Orphans(
        file.packed(radiance) if file.has(radiance) else None, file.raw(exception) if file.has(exception) else None
    )


def read_positions(
    source: Source, confidence: FlagField, orphans: Sequence[Orphans], *, detectors: bool = False
) -> Positions:
    """The positions (m) of all pixels of an open product and of its orphans, on the grid of `confidence` (R, C).

    Names as in the S3 SLSTR product data format specification (S3IPF PDS 005); a product whose cartesian_an.nc places
    no orphans has none, whatever `orphans` (of S1..S6) holds. Cosmetic cells of 500 m are those that flags_an.nc names,
    or without that file the four cells of every cosmetic pixel of `confidence` (confidence_in). With `detectors`, the
    orphans' detectors too. Raises UserError naming the file and variable if one is missing, damaged, or of the wrong
    shape or kind, and the way out: --regrid mean.
    """
    try:
        return _read(source, confidence, orphans, detectors)
    except UserError as error:
        raise UserError(f"{error}, or do without positions: --regrid mean") from None


def _read(source: Source, confidence: FlagField, orphans: Sequence[Orphans], detectors: bool) -> Positions:
    shape: Shape = (confidence.values.shape[0], confidence.values.shape[1])
    fine, why = (2 * shape[0], 2 * shape[1]), f", twice the 1 km grid {shape}"
    with open_file(source, "cartesian_in.nc") as file:
        x_1km, y_1km = (file.physical(f"{axis}_in", shape, " as S7_BT_in") for axis in "xy")
    with open_file(source, "cartesian_an.nc") as file:
        x_500m, y_500m = (file.physical(f"{axis}_an", fine, why) for axis in "xy")
        orphan_x, orphan_y = _orphan_positions(file, fine[0])
    radiances, exceptions = _placed(source, orphans, orphan_x.shape)
    return Positions(
        x_1km=x_1km,
        y_1km=y_1km,
        x_500m=x_500m,
        y_500m=y_500m,
        cosmetic_500m=_read_cosmetic(source, confidence, fine),
        orphan_x=orphan_x,
        orphan_y=orphan_y,
        orphan_radiances=radiances,
        orphan_exception=exceptions,
        orphan_detector=_read_orphan_detector(source, orphan_x.shape) if detectors else None,
    )


def _orphan_positions(file: OpenFile, rows: int) -> tuple[np.ndarray, np.ndarray]:
    if not (file.has("x_orphan_an") and file.has("y_orphan_an")):
        return np.empty((rows, 0), np.float32), np.empty((rows, 0), np.float32)
    places = (rows, file.shape("x_orphan_an")[1])
    x, y = (file.physical(f"{axis}_orphan_an", places, ", a row of places for each row of x_an") for axis in "xy")
    return x, y


def _placed(
    source: Source, orphans: Sequence[Orphans], places: tuple[int, ...]
) -> tuple[tuple[Packed, ...], np.ndarray]:
    """Radiances and exceptions of the orphans of S1..S6 in the places that have positions."""
    exceptions = np.zeros((len(SOLAR_CHANNELS), *places), np.uint8)
    if not exceptions.size:
        return (Packed(np.empty(places, np.int16)),) * len(SOLAR_CHANNELS), exceptions
    radiances = []
    for channel, (radiance, exception), own in zip(SOLAR_CHANNELS, orphans, exceptions, strict=True):
        found = {"radiance": None if radiance is None else radiance.counts.shape}
        found["exception"] = None if exception is None else exception.shape
        for name, shape in found.items():
            if shape != places:
                label = source.label(f"{channel}_radiance_an.nc")
                raise UserError(
                    f"{label}: variable {channel}_{name}_orphan_an must be {places} as x_orphan_an; "
                    f"found {shape or 'none'}: fetch the product again"
                )
        if radiance is not None and exception is not None:
            radiances.append(radiance)
            own[...] = exception
    return tuple(radiances), exceptions


def _read_orphan_detector(source: Source, places: tuple[int, ...]) -> np.ndarray:
    if not places[1]:
        return np.empty(places, np.uint8)
    with open_file(source, "indices_an.nc") as file:
        return file.raw("detector_orphan_an", places, " as x_orphan_an")


def _read_cosmetic(source: Source, confidence: FlagField, fine: Shape) -> np.ndarray:
    if not source.has(FLAGS_500M):
        return confidence.holds("cosmetic").repeat(2, axis=0).repeat(2, axis=1)
    with open_file(source, FLAGS_500M) as file:
        field = file.flags("confidence_an", fine)
        if "cosmetic" not in field.meanings:
            raise UserError(
                f"{file.label}: the flag_meanings of confidence_an must include cosmetic; "
                f"found {' '.join(field.meanings)}"
            )
        return field.holds("cosmetic")
