"""Images in physical units, as users hold them: whether they can be SLSTR's nine channels, and what is missing in them.

A wrong scale or order makes everything cloud, or nothing, without an error: users of other cloud masks found it by
their pictures. So what a measurement can't be is refused, with what it looks like.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxmask.channels import CHANNELS, REFLECTANCE_CHANNELS
from preprocess.errors import UserError
from preprocess.plausible import BT_RANGE_K, REFLECTANCE_RANGE
from preprocess.scene import MISSING_REFLECTANCE, MISSING_TEMPERATURE_K

CHANNEL_NAMES = tuple(f"S{number}" for number in range(1, CHANNELS + 1))
ORDER = "the reflectances S1 to S6, then the brightness temperatures S7 to S9 in K"
# What no reflectance and no temperature reaches, low sun and noise included: the -999, -32768 or 1e36 of fill values.
REFLECTANCE_LIMITS = (-10.0, 1e4)
KELVIN_LIMITS = (0.0, 1000.0)
CELSIUS_LIMITS = (-120.0, 1000.0)  # until they are known to be in K
# A tenth of all reflectances beyond this is no sunlight, but a percentage (in simulated scenes from 15 on) or a count.
# Where the original's sun angle is wrong, a tenth of a twilight scene exceeded 2.5.
PERCENT_ABOVE = 5 * REFLECTANCE_RANGE[1]
CELSIUS_RANGE = (-120.0, 80.0)  # of medians
MOST_LOOKED_AT = 20_000  # pixels: enough for medians
ORIGINAL_MISSING_TEMPERATURE_K = 0.0  # the original's fill


def check_shape(images: NDArray[Any], what: str = "image") -> None:
    """Raise UserError unless `images` is (H, W, 9) or (B, H, W, 9) of real numbers and not empty."""
    if images.ndim in (3, 4) and images.shape[-1] == CHANNELS and images.dtype.kind in "fiu" and images.size:
        return
    channel_axis = [axis for axis, length in enumerate(images.shape) if length == CHANNELS]
    found = f"found {images.dtype} {images.shape}"
    if images.ndim in (3, 4) and images.size and channel_axis and images.shape[-1] != CHANNELS:
        found += f"; if axis {channel_axis[0]} holds the channels, give np.moveaxis({what}, {channel_axis[0]}, -1)"
    raise UserError(f"{what}: expected numbers of shape (H, W, {CHANNELS}) or (B, H, W, {CHANNELS}), {ORDER}; {found}")


def has_thermal(image: NDArray[Any]) -> NDArray[np.bool_]:
    """Where S8 and S9 of an image (..., 9) hold data: what `valid` of a shard means. Missing is NaN."""
    found: NDArray[np.bool_] = ~np.isnan(image[..., CHANNELS - 2 :]).any(axis=-1)
    return found


def filled(image: NDArray[Any], convention: str) -> NDArray[np.float32]:
    """Return a float32 copy of an image (..., 9) with what a network has learnt that missing values are, for NaN.

    convention: of the model's input. "native": reflectance 0 and 270 K; "reference": 0 and 0 K, the original's fill.
    """
    copy = np.array(image, np.float32)
    temperature = MISSING_TEMPERATURE_K if convention == "native" else ORIGINAL_MISSING_TEMPERATURE_K
    missing = np.array(
        [MISSING_REFLECTANCE] * REFLECTANCE_CHANNELS + [temperature] * (CHANNELS - REFLECTANCE_CHANNELS), np.float32
    )
    np.copyto(copy, missing, where=np.isnan(copy))
    return copy


def check_values(image: NDArray[Any], valid: NDArray[np.bool_], what: str = "image") -> None:
    """Raise UserError where an image (H, W, 9) can't be nine channels in their units, saying what it looks like.

    valid: (H, W) bool, pixels that count; NaN and, in temperatures, 0 K are passed over as missing.
    """
    if not valid.any():
        raise UserError(
            f"{what}: no pixel has both S8 and S9, which every model needs; found only missing values (NaN)"
        )
    refs, bts = image[..., :REFLECTANCE_CHANNELS], image[..., REFLECTANCE_CHANNELS:]
    _check_fill(refs, REFLECTANCE_LIMITS, "reflectances", what)
    _check_fill(bts, CELSIUS_LIMITS, "brightness temperatures", what)
    rows, columns = np.nonzero(valid)
    step = math.ceil(rows.size / MOST_LOOKED_AT)
    pixels = np.asarray(image[rows[::step], columns[::step]], np.float64)
    _check_order(pixels[:, :REFLECTANCE_CHANNELS], what)
    _check_temperatures(pixels[:, REFLECTANCE_CHANNELS:], what)
    _check_reflectances(pixels[:, :REFLECTANCE_CHANNELS], what)
    _check_fill(bts, KELVIN_LIMITS, "brightness temperatures", what)


def _check_fill(values: NDArray[Any], limits: tuple[float, float], name: str, what: str) -> None:
    ends = [float(end) for end in (np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None))]
    beyond = [end for end, is_beyond in zip(ends, (ends[0] < limits[0], ends[1] > limits[1]), strict=True) if is_beyond]
    if beyond:
        raise UserError(
            f"{what}: its {name} hold {beyond[0]:g}, which is no measurement but a fill value; write missing values "
            "as NaN"
        )


def _check_order(refs: NDArray[np.float64], what: str) -> None:
    for name, values in zip(CHANNEL_NAMES, refs.T, strict=False):
        if BT_RANGE_K[0] < (median := _median(values)) < BT_RANGE_K[1]:
            raise UserError(f"{what}: {name} holds values about {median:.4g}, like temperatures; the order is {ORDER}")


def _check_temperatures(bts: NDArray[np.float64], what: str) -> None:
    for name, values in zip(CHANNEL_NAMES[REFLECTANCE_CHANNELS:], bts.T, strict=True):
        median = _median(values[values != ORIGINAL_MISSING_TEMPERATURE_K])
        if math.isnan(median) or BT_RANGE_K[0] <= median <= BT_RANGE_K[1]:
            continue
        found = f"{what}: expected {name} in K, from {BT_RANGE_K[0]:g} to {BT_RANGE_K[1]:g}; its median is {median:.4g}"
        if REFLECTANCE_RANGE[0] <= median <= REFLECTANCE_RANGE[1]:
            raise UserError(f"{found}, like a reflectance or 0 degrees Celsius; the order is {ORDER}")
        if CELSIUS_RANGE[0] <= median <= CELSIUS_RANGE[1]:
            raise UserError(f"{found}, like degrees Celsius; add 273.15")
        raise UserError(f"{found}; apply the scale and offset of its file")


def _check_reflectances(refs: NDArray[np.float64], what: str) -> None:
    found = refs[np.isfinite(refs) & (refs != MISSING_REFLECTANCE)]
    if found.size and (high := float(np.quantile(found, 0.9))) > PERCENT_ABOVE:
        raise UserError(
            f"{what}: expected reflectances of about {REFLECTANCE_RANGE[0]:g} to {REFLECTANCE_RANGE[1]:g}; a tenth is "
            f"above {high:.4g}, like a percentage or a count; divide percent by 100, or apply scale and offset "
            "(check_units=False takes them as they are)"
        )


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan
