"""What values a channel can physically have, and what is to be said where it has others."""

from __future__ import annotations

import math
from typing import Any

from preprocess.level1 import SOLAR_CHANNELS

Range = tuple[float, float]

# The coldest cloud top ever seen from space had 162 K (Proud and Bachmeier 2021, 10.1029/2020GL091694); the hottest
# ground 354 K of skin (Zhao et al. 2021, 10.1175/BAMS-D-20-0325.1), less seen through air. S7 saturates at 311 K.
BT_RANGE_K: Range = (160.0, 345.0)
# Noise and stray light leave a dark pixel a little below 0; sun glint, and cloud sides under a low sun, exceed 1.
REFLECTANCE_RANGE: Range = (-0.05, 1.6)
# In-band solar irradiance of S1..S6 in mW m-2 nm-1, of the measured product; within a year it varies by 3.5 % either
# way with the distance of the sun.
IRRADIANCES = (1837.39, 1525.94, 956.17, 365.90, 248.33, 78.33)
IRRADIANCE_TOLERANCE = 0.1
# A few pixels out of range are glint, fire or a transmission error; more are a wrong scale, unit or file.
TOLERATED_SHARE = 0.001


def radiance_range(irradiance: float) -> Range:
    """The radiance that REFLECTANCE_RANGE gives under an overhead sun: E R / pi, in mW m-2 sr-1 nm-1.

    irradiance in mW m-2 nm-1.
    """
    low, high = (reflectance * irradiance / math.pi for reflectance in REFLECTANCE_RANGE)
    return low, high


def channel_warnings(channels: dict[str, dict[str, Any]], day_share: float | None) -> list[str]:
    """What is wrong with channels, given as summary.py describes them, of a scene of which `day_share` is day."""
    warnings = []
    for name, found in channels.items():
        unit = "" if found["unit"] == "1" else f" {found['unit']}"
        if not found["share"]:
            if name not in SOLAR_CHANNELS or day_share:
                warnings.append(f"{name}: no data on any pixel")
        elif found["outside_share"] > TOLERATED_SHARE:
            low, high = found["range"]
            warnings.append(
                f"{name}: {100 * found['outside_share']:.3g} % of its values are impossible, outside {low:.4g} to "
                f"{high:.4g}{unit}; they go from {found['min']:.4g} to {found['max']:.4g}"
            )
        elif found["min"] == found["max"]:
            warnings.append(f"{name}: every value is {found['min']:.5g}{unit}")
    return warnings


def irradiance_warnings(irradiances: list[float | None]) -> list[str]:
    """Which of the irradiances of S1..S6 (mW m-2 nm-1; empty if unknown) are not what the sun gives in that channel."""
    return [
        f"{name}: its solar irradiance is {found or math.nan:.5g} mW m-2 nm-1; expected {usual:.5g} within 10 %"
        for name, found, usual in zip(SOLAR_CHANNELS, irradiances, IRRADIANCES, strict=False)
        if found is None or abs(found / usual - 1) > IRRADIANCE_TOLERANCE
    ]


def extent_warnings(name: str, extent: list[float | None], low: float, high: float) -> list[str]:
    """Whether an angle that goes from extent[0] to extent[1] (degrees; None if unknown) leaves low..high."""
    least, greatest = extent
    if least is None or greatest is None or (least >= low and greatest <= high):
        return []
    return [f"{name}: goes from {least:.5g} to {greatest:.5g}; it must lie within {low:g} and {high:g} degrees"]
