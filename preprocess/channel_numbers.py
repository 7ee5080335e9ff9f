"""The numbers of one channel: how much of it is data and measurement, its range, and what its exceptions are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess.level1 import FlagField, Packed
from preprocess.plausible import Range

Numbers = dict[str, Any]


def channel_numbers(values: np.ndarray, known: np.ndarray, measured: np.ndarray, unit: str, allowed: Range) -> Numbers:
    """Least, greatest and mean of the `known` values, and the shares of what is what; all arrays of one shape.

    "share" and "measured_share" are of all pixels, "outside_share" is of the known ones.
    """
    held = values[known]
    return _numbers(held, np.ones(held.size, np.intp), known, measured, unit, allowed)


def packed_numbers(packed: Packed, measured: np.ndarray, unit: str, allowed: Range) -> Numbers:
    """The same of a packed image; counts of two bytes are counted, not unpacked."""
    known = packed.known()
    if packed.counts.dtype != np.int16:
        return channel_numbers(packed.values("f8"), known, measured, unit, allowed)
    every = np.arange(2**16, dtype=np.uint16).view(np.int16)
    values = replace(packed, counts=every).values("f8")
    number = np.bincount(packed.counts.view(np.uint16).ravel(), minlength=every.size)
    found = np.isfinite(values) & (number > 0)
    return _numbers(values[found], number[found], known, measured, unit, allowed)


def _numbers(
    values: np.ndarray, number: np.ndarray, known: np.ndarray, measured: np.ndarray, unit: str, allowed: Range
) -> Numbers:
    """`values` without the unknown, each of them found `number` times."""
    total = int(number.sum())
    if total:
        least, greatest = values.min(), values.max()
        mean = float((values.astype(np.float64) * number).sum() / total)
        outside = float(number[(values < allowed[0]) | (values > allowed[1])].sum() / total)
    else:
        least, greatest, mean, outside = math.nan, math.nan, math.nan, 0.0
    return {
        "min": number_or_none(least),
        "max": number_or_none(greatest),
        "mean": number_or_none(mean),
        "unit": unit,
        "share": share(known),
        "measured_share": share(measured),
        "outside_share": outside,
        "range": [float(bound) for bound in allowed],
    }


def flag_shares(field: FlagField) -> dict[str, float | None]:
    """The share of pixels on which each flag is set, by name; bits of the same name count as one flag."""
    values = field.values
    if not values.size:
        return dict.fromkeys(field.meanings)
    if values.dtype.itemsize > 2 or values.dtype.kind != "u":
        return {meaning: share(field.holds(meaning)) for meaning in dict.fromkeys(field.meanings)}
    number = np.bincount(values.ravel())
    every = replace(field, values=np.arange(number.size, dtype=values.dtype))
    return {
        meaning: float(number[every.holds(meaning)].sum() / values.size) for meaning in dict.fromkeys(field.meanings)
    }


def set_shares(field: FlagField) -> dict[str, float]:
    """flag_shares of the flags that are set anywhere."""
    return {meaning: part for meaning, part in flag_shares(field).items() if part}


def share(mask: np.ndarray) -> float | None:
    """The share of a mask that is set; None of an empty one."""
    return float(np.count_nonzero(mask) / mask.size) if mask.size else None


def extent(values: np.ndarray) -> list[float | None]:
    """The least and the greatest finite value; None twice if there is none."""
    known = values[np.isfinite(values)]
    return [number_or_none(known.min()), number_or_none(known.max())] if known.size else [None, None]


def number_or_none(value: float) -> float | None:
    """A number as JSON has it: None if it isn't finite."""
    return float(value) if math.isfinite(value) else None
