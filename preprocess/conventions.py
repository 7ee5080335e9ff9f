"""The two ways from a product to images of 1 km: `native` (right), and `reference` (the original's numbers)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from preprocess.errors import UserError
from preprocess.grid import GriddedChannel, mean_channels, nearest, reference_resize, reference_resize_flag
from preprocess.labels import cloudy_pixels, labelled_pixels
from preprocess.level1 import Product
from preprocess.quality import measured_channels, standard_flags, valid_pixels
from preprocess.radiometry import (
    HORIZON_ZENITH_DEG,
    cosine_of_sun,
    interpolate_zenith,
    reference_cosine_of_sun,
    reflectance,
)
from preprocess.scene import (
    MISSING_RADIANCE,
    MISSING_REFLECTANCE,
    MISSING_TEMPERATURE_K,
    REFERENCE_HEIGHT,
    REFERENCE_WIDTH,
)

Arrays = dict[str, np.ndarray | None]


def native_irradiance(product: Product) -> np.ndarray:
    """Solar irradiance of S1..S6 (6,) f8: the mean over the detectors (equal in every product seen)."""
    return np.nanmean(product.irradiance, axis=1)


def reference_irradiance(product: Product) -> np.ndarray:
    """Solar irradiance of S1..S6 (6,) f8 of the first detector, as the original takes it."""
    return product.irradiance[:, 0]


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
    mu0 = cosine_of_sun(zenith).astype(np.float32)
    refs = np.empty((*shape, 6), np.float32)
    radiances = np.empty((*shape, 6), np.float32) if rads else None
    deviations = np.empty((*shape, 6), np.float32) if texture else None
    solar = []
    for index, channel in enumerate(_channels(product, regrid, texture)):
        factor, irradiance = float(factors[index]), float(native_irradiance(product)[index])
        shared = channel.radiance if channel.equalised is None else channel.equalised
        refs[..., index] = reflectance(shared * factor, irradiance, mu0)
        if radiances is not None:
            radiances[..., index] = np.nan_to_num(channel.radiance * factor, nan=MISSING_RADIANCE)
        if deviations is not None and channel.deviation is not None:
            deviations[..., index] = np.nan_to_num(reflectance(channel.deviation * factor, irradiance, mu0))
        solar.append(channel.measured)
    label_valid = labelled_pixels(product, label_rule)
    cloud = cloudy_pixels(product, label_rule) & (label_valid | ~label_valid.any())
    return {
        "refs": np.nan_to_num(refs, copy=False, nan=MISSING_REFLECTANCE),
        "bts": np.moveaxis(np.nan_to_num(product.bt, nan=MISSING_TEMPERATURE_K), 0, -1),
        "rads": radiances,
        "texture": deviations,
        "bayes": _flag_image(cloud),
        "summary": _flag_image(product.flag("confidence", "summary_cloud")),
        **_quality(product, label_valid, measured_channels(product, solar, ~np.isnan(mu0))),
    }


def _channels(product: Product, regrid: str, texture: bool) -> Iterator[GriddedChannel]:
    if regrid == "neighbours":
        from preprocess.neighbours import neighbour_channels

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
    shape, fine = product.bt.shape[1:], product.radiances[0].counts.shape
    mu0 = reference_cosine_of_sun(product.solar_zenith, product.grid_tie, product.grid_500m, *fine)
    refs = np.empty((*size, 6), np.float32)
    radiances = np.empty((*size, 6), np.float32) if rads else None
    for index, (factor, irradiance) in enumerate(zip(factors, reference_irradiance(product), strict=True)):
        radiance = np.nan_to_num(product.radiances[index].values().astype(np.float64), copy=False) * factor
        refs[..., index] = reference_resize(reflectance(radiance, irradiance, mu0), *size)
        if radiances is not None:
            radiances[..., index] = reference_resize(radiance, *size)
    bts = [reference_resize(np.nan_to_num(bt), *size).astype(np.float32) for bt in product.bt]
    zenith = interpolate_zenith(product.solar_zenith, product.grid_tie, product.grid_1km, *shape)
    solar = [channel.measured for channel in mean_channels(product)]
    measured = measured_channels(product, solar, zenith < HORIZON_ZENITH_DEG)
    quality = _quality(product, labelled_pixels(product, label_rule), measured)
    return {
        "refs": refs,
        "bts": np.stack(bts, axis=-1),
        "rads": radiances,
        "bayes": reference_resize_flag(cloudy_pixels(product, label_rule), *size)[..., None],
        "summary": reference_resize_flag(product.flag("confidence", "summary_cloud"), *size)[..., None],
        **{name: nearest(array, *size) for name, array in quality.items()},
    }


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
