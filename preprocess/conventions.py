"""The two ways from a product to images of 1 km: `native` (right), and `reference` (the original's numbers)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from preprocess.errors import UserError
from preprocess.grid import BLOCK_ROWS, GriddedChannel, mean_channels, measured_by_mean, nearest
from preprocess.labels import cloudy_pixels, labelled_pixels
from preprocess.level1 import Packed, Product
from preprocess.neighbours import neighbour_channels
from preprocess.quality import measured_channels, standard_flags, valid_pixels
from preprocess.radiometry import HORIZON_ZENITH_DEG, cosine_of_sun, interpolate_zenith, reference_cosine_of_sun
from preprocess.resample import reference_resize, reference_resize_flag, resize_columns, row_blocks
from preprocess.scene import MISSING_TEMPERATURE_K, REFERENCE_HEIGHT, REFERENCE_WIDTH
from preprocess.solar import solar_images

Arrays = dict[str, np.ndarray | None]


def native_irradiance(product: Product) -> np.ndarray:
    """Solar irradiance of S1..S6 (6,) f8: the mean over the detectors (equal in every product seen)."""
    return np.nanmean(product.irradiance, axis=1)


def reference_irradiance(product: Product) -> np.ndarray:
    """Solar irradiance of S1..S6 (6,) f8 of the first detector, as the original takes it.

    Raises UserError if one is unknown.
    """
    first = product.irradiance[:, 0]
    if np.isnan(first).any():
        raise UserError(
            f"{product.name}: the irradiance of the first detector of S{np.flatnonzero(np.isnan(first))[0] + 1} is "
            "unknown, which the original takes for all; choose --convention native"
        )
    return first


def native_arrays(
    product: Product,
    factors: np.ndarray,
    *,
    label_rule: str,
    rads: bool,
    regrid: str = "mean",
    texture: bool = False,
) -> Arrays:
    """Every array of a native `Scene` at the product's own 1 km size (R, C); `regrid` is "mean" or "neighbours".

    Radiance is averaged first and divided by mu0 once, at 1 km: a quarter of the angles are needed, and the reflectance
    differs from the mean of 500 m reflectances by less than 0.4 % in the real product, whose sun stands at 77 to 95
    degrees; at 60 degrees by less than 0.01 %. `texture` is the standard deviation of radiance, divided likewise.

    Raises UserError where texture is asked of the mean, which has none.
    """
    shape = product.bt.shape[1:]
    zenith = interpolate_zenith(product.solar_zenith, product.grid_tie, product.grid_1km, *shape)
    mu0 = cosine_of_sun(zenith)
    channels = _channels(product, regrid, texture)
    solar = solar_images(channels, factors, native_irradiance(product), mu0, rads=rads, texture=texture)
    label_valid = labelled_pixels(product, label_rule)
    return {
        "refs": solar.refs,
        "bts": thermal_images(product.bt),
        "rads": solar.rads,
        "texture": solar.texture,
        "bayes": _flag_image(cloudy_pixels(product, label_rule) & label_valid),
        "summary": _flag_image(product.flag("confidence", "summary_cloud")),
        **_quality(product, label_valid, measured_channels(product, solar.measured, mu0 > 0)),
    }


def thermal_images(bt: np.ndarray) -> np.ndarray:
    """Brightness temperatures (3, R, C) f4, NaN where missing, as images of a scene: (R, C, 3) f4, missing 270 K."""
    images = np.empty((*bt.shape[1:], len(bt)), np.float32)
    for start in range(0, bt.shape[1], BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        for index, image in enumerate(bt):
            images[rows, :, index] = np.where(np.isnan(image[rows]), np.float32(MISSING_TEMPERATURE_K), image[rows])
    return images


def _channels(product: Product, regrid: str, texture: bool) -> Iterator[GriddedChannel]:
    if regrid == "neighbours":
        return neighbour_channels(product, texture=texture)
    if texture:
        raise UserError("--texture needs --regrid neighbours: a mean of 2 x 2 pixels keeps no deviation")
    return mean_channels(product)


def reference_arrays(product: Product, factors: np.ndarray, *, label_rule: str, rads: bool) -> Arrays:
    """Every array of a reference `Scene`, 1200 x 1500: what the original computes, faults included.

    Fill is 0 before the resize, the sun's angle is the last row's, a label never computed is cloud, and flags turn
    grey at edges. What the original does not have (validity, flags, positions) is stretched by nearest
    neighbour.
    """
    size = (REFERENCE_HEIGHT, REFERENCE_WIDTH)
    shape = product.bt.shape[1:]
    refs, radiances = _reference_solar(product, factors, rads=rads)
    bts = np.empty((*size, len(product.bt)), np.float32)
    for index, bt in enumerate(product.bt):
        bts[..., index] = reference_resize(np.where(np.isnan(bt), np.float32(0), bt), *size)
    zenith = interpolate_zenith(product.solar_zenith, product.grid_tie, product.grid_1km, *shape)
    sun_up = np.ascontiguousarray(zenith < HORIZON_ZENITH_DEG)
    measured = measured_channels(product, measured_by_mean(product), sun_up)
    quality = _quality(product, labelled_pixels(product, label_rule), measured)
    return {
        "refs": refs,
        "bts": bts,
        "rads": radiances,
        "bayes": reference_resize_flag(cloudy_pixels(product, label_rule), *size)[..., None],
        "summary": reference_resize_flag(product.flag("confidence", "summary_cloud"), *size)[..., None],
        **{name: nearest(array, *size) for name, array in quality.items()},
    }


def _reference_solar(product: Product, factors: np.ndarray, *, rads: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """refs and, if asked for, rads (1200, 1500, 6) f4: pi L / (E mu0) at 500 m, then resized, in float64."""
    rows, columns = product.radiances[0].counts.shape
    mu0 = reference_cosine_of_sun(product.solar_zenith, product.grid_tie, product.grid_500m, rows, columns)
    refs = np.empty((REFERENCE_HEIGHT, REFERENCE_WIDTH, len(product.radiances)), np.float32)
    radiances = np.empty_like(refs) if rads else None
    scales = np.pi * factors / reference_irradiance(product)
    for block in row_blocks(rows, REFERENCE_HEIGHT):
        # One sun for all rows may as well be divided by after they are resized, when there are fewer of them.
        sun = mu0 if len(mu0) == 1 else mu0[block.source]
        for index, packed in enumerate(product.radiances):
            radiance = _values_or_zero(replace(packed, counts=packed.counts[block.source]))
            resized = block.operator @ radiance
            reflectances = resized / sun if len(sun) == 1 else block.operator @ (radiance / sun)
            refs[block.target, :, index] = resize_columns(reflectances * scales[index], REFERENCE_WIDTH)
            if radiances is not None:
                radiances[block.target, :, index] = resize_columns(resized * factors[index], REFERENCE_WIDTH)
    return refs, radiances


def _values_or_zero(packed: Packed) -> np.ndarray:
    """The image in its units, f8, 0 where nothing is known."""
    values = packed.counts.astype(np.float64)
    values *= packed.scale
    values += packed.offset
    np.copyto(values, 0.0, where=~packed.known())
    return values


def _quality(product: Product, label_valid: np.ndarray, measured: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "valid": valid_pixels(product)[..., None].astype(np.uint8),
        "label_valid": label_valid[..., None].astype(np.uint8),
        "measured": measured,
        "flags": standard_flags(product.flags["confidence"]),
        "latitude": product.latitude,
        "longitude": product.longitude,
    }


def _flag_image(flag: np.ndarray) -> np.ndarray:
    return np.where(flag, np.uint8(255), np.uint8(0))[..., None]
