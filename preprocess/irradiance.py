"""Edge: the sun's irradiance as each detector of S1 to S6 has it, and which detector saw each 500 m pixel."""

from __future__ import annotations

import numpy as np

from preprocess.errors import UserError
from preprocess.level1 import SOLAR_CHANNELS
from preprocess.netcdf import Source, open_file


def read_irradiance(source: Source, grid: str, fine: tuple[int, int], why: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Irradiances (6, D) f8, mW m-2 nm-1, NaN where none; and detectors, u1 of shape `fine`, of `grid` "an" or "ao".

    The detectors are read only where their irradiances differ, and None in a product without that optional file,
    whose irradiances are then averaged over detectors. Raises UserError naming file and variable.
    """
    irradiance = _stack([_by_detector(source, channel, grid) for channel in SOLAR_CHANNELS])
    differ = (np.nanmax(irradiance, axis=1) > np.nanmin(irradiance, axis=1)).any()
    return irradiance, _read_detector(source, grid, fine, why) if differ else None


def _by_detector(source: Source, channel: str, grid: str) -> np.ndarray:
    with open_file(source, f"{channel}_quality_{grid}.nc") as file:
        variable = f"{channel}_solar_irradiance_{grid}"
        found = file.physical(variable, dtype="f8")
        if found.ndim != 1 or not (found > 0).any():
            raise UserError(f"{file.label}: variable {variable} must be positive by detector; found {found}")
    return np.where(found > 0, found, np.nan)


def _read_detector(source: Source, grid: str, fine: tuple[int, int], why: str) -> np.ndarray | None:
    if not source.has(f"indices_{grid}.nc"):
        return None
    with open_file(source, f"indices_{grid}.nc") as file:
        variable = f"detector_{grid}"
        detector = file.raw(variable, fine, why)
        if detector.dtype != np.uint8:
            raise UserError(f"{file.label}: variable {variable} must be of uint8; found {detector.dtype}")
        return detector


def _stack(irradiance: list[np.ndarray]) -> np.ndarray:
    stacked = np.full((len(irradiance), max(row.size for row in irradiance)), np.nan)
    for row, values in zip(stacked, irradiance, strict=True):
        row[: values.size] = values
    return stacked
