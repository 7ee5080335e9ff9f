"""S1..S6 at 1 km from the nearest 500 m measurements of each pixel, where both really lie: mean and texture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from preprocess.errors import UserError
from preprocess.grid import GriddedChannel
from preprocess.level1 import Packed, Positions, Product
from preprocess.nearest import nearest_measurements
from preprocess.radiometry import irradiance_ratios

UNKNOWN_DETECTOR = 255  # detector_an where there is none
BLOCK_PIXELS = 2**14  # averaged at a time, so that what is worked on stays in a core's cache


def neighbour_channels(product: Product, *, texture: bool) -> Iterator[GriddedChannel]:
    """S1..S6 in turn: each pixel (R, C) the mean over its NEAREST measurements within RADIUS_M, orphans included.

    Which measurements are nearest is the same for all channels: positions and cosmetic cells alone settle it. Those
    that a channel then lacks (fill, or an exception other than saturation) are left out of its mean, as s3regrid does
    (Bulgin et al. 2023, 10.1016/j.rse.2023.113531); NaN where none is left, `measured` everywhere else. With `texture`,
    the standard deviation of the same measurements (of a population: 0 where there is one alone).
    Raises UserError for a product read without positions, or with positions that no grid has.
    """
    positions = product.positions
    if positions is None:
        raise UserError(f"{product.name}: read without the positions of its pixels, which --regrid neighbours needs")
    try:
        nearest = nearest_measurements(positions)
    except UserError as error:
        raise UserError(f"{product.name}: {error}") from None
    for channel in range(len(product.radiances)):
        yield _gridded(product, positions, nearest, channel, texture)


def _gridded(
    product: Product, positions: Positions, nearest: np.ndarray, channel: int, texture: bool
) -> GriddedChannel:
    packed = product.radiances[channel]
    counts = _measured_counts(product, positions, channel)
    mean, deviation = average(counts, nearest, texture=texture)
    return GriddedChannel(
        _in_units(mean, packed),
        ~np.isnan(mean),
        None if deviation is None else deviation * np.float32(abs(packed.scale)),
        _equalised(product, positions, channel, counts, nearest),
    )


def average(values: np.ndarray, nearest: np.ndarray, *, texture: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean, and with `texture` standard deviation, of the known (not NaN) among `values`[`nearest`].

    values (N,) f4, nearest (K, R, C) i4 -> (R, C) f8 and f4 | None. Sums of up to 512 counts of 16 bits are exact.
    """
    flat = nearest.reshape(len(nearest), -1)
    mean = np.empty(flat.shape[1])
    deviation = np.empty(flat.shape[1], np.float32) if texture else None
    for start in range(0, mean.size, BLOCK_PIXELS):
        block = slice(start, start + BLOCK_PIXELS)
        found = np.take(values, flat[:, block])
        known = ~np.isnan(found)
        found = np.where(known, found, np.float32(0))
        count = known.sum(axis=0, dtype=np.float32)
        count[count == 0] = np.nan
        mean[block] = found.sum(axis=0) / count.astype(np.float64)
        if deviation is not None:
            apart = np.where(known, found - mean[block].astype(np.float32), np.float32(0))
            deviation[block] = np.sqrt((apart * apart).sum(axis=0) / count)
    shape = nearest.shape[1:]
    return mean.reshape(shape), None if deviation is None else deviation.reshape(shape)


def _equalised(
    product: Product, positions: Positions, channel: int, counts: np.ndarray, nearest: np.ndarray
) -> np.ndarray | None:
    """As `GriddedChannel.equalised`, from the counts of measurements and orphans as numbered in `nearest`."""
    ratios = irradiance_ratios(product.irradiance[channel])
    if product.detector is None or (ratios == 1).all():
        return None
    orphan_detector = positions.orphan_detector
    if orphan_detector is None:
        orphan_detector = np.full(positions.orphan_x.shape, UNKNOWN_DETECTOR, np.uint8)
    detector = np.concatenate([product.detector.ravel(), orphan_detector.ravel(), [np.uint8(UNKNOWN_DETECTOR)]])
    mean, _ = average(_in_units(counts, product.radiances[channel]) * ratios.astype(np.float32)[detector], nearest)
    return mean.astype(np.float32)


def _measured_counts(product: Product, positions: Positions, channel: int) -> np.ndarray:
    """Counts of one channel as numbered by `nearest_measurements`: f4, which holds 16 bits exactly; NaN where none."""
    allowed = np.uint8(product.flags["exception"].mask("saturation"))
    packed, orphans = product.radiances[channel], positions.orphan_radiances[channel]
    cells, places = packed.counts.size, orphans.counts.size
    counts = np.full(cells + places + 1, np.nan, np.float32)
    counts[:cells] = packed.counts.ravel()
    lost = counts[cells:-1]
    lost[...] = orphans.counts.ravel()
    if (orphans.scale, orphans.offset) != (packed.scale, packed.offset):
        lost[...] = (_in_units(lost, orphans) - packed.offset) / packed.scale
    counts[:cells][~_is_measured(packed, product.radiance_exception[channel], allowed)] = np.nan
    lost[~_is_measured(orphans, positions.orphan_exception[channel], allowed)] = np.nan
    return counts


def _is_measured(packed: Packed, exception: np.ndarray, allowed: np.uint8) -> np.ndarray:
    return packed.known().ravel() & ((exception.ravel() & ~allowed) == 0)


def _in_units(counts: np.ndarray, packed: Packed) -> np.ndarray:
    return (counts * packed.scale + packed.offset).astype(np.float32)
