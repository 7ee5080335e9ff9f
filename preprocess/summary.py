"""A product or a scene in numbers: size, light, fill, clouds, labels, flags and every channel, with what is odd."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from preprocess.channel_numbers import (
    Numbers,
    channel_numbers,
    extent,
    flag_shares,
    number_or_none,
    packed_numbers,
    set_shares,
    share,
)
from preprocess.labels import constant_warnings, count_classes, is_labelled, labelled_pixels
from preprocess.level1 import CONFIDENCE_BITS, SOLAR_CHANNELS, THERMAL_CHANNELS, FlagField, Grid, Product
from preprocess.plausible import (
    BT_RANGE_K,
    REFLECTANCE_RANGE,
    channel_warnings,
    extent_warnings,
    irradiance_warnings,
    radiance_range,
)
from preprocess.quality import standard_flags, valid_pixels
from preprocess.scene import Scene, fit

RADIANCE_UNIT = "mW m-2 sr-1 nm-1"
EXTRAS = ("rads", "texture", "oblique_refs", "oblique_bts")
LIGHTS = ("day", "twilight", "night")
LATITUDES, LONGITUDES, ZENITHS = (-90.0, 90.0), (-180.0, 180.0), (0.0, 180.0)


def summarise_product(product: Product) -> dict[str, Any]:
    """What a product holds, JSON-able: shares are of all pixels unless their name says otherwise, None if unknown.

    Those of a channel are of its own grid, 500 m or 1 km; its range is of all data, measured or not.
    """
    label_valid, valid = labelled_pixels(product), valid_pixels(product)
    cloud = product.flags["bayes"].values > 0
    rows, columns = valid.shape
    irradiances = [number_or_none(value) for value in np.nanmean(product.irradiance, axis=1)]
    fields = {name: product.flags[name] for name in ("confidence", "cloud", "bayes")}
    summary = {
        "kind": "product",
        "product": product.name,
        "platform": product.platform,
        "start_time": product.start_time,
        "collection": product.collection,
        "rows": rows,
        "columns": columns,
        "grids": {
            "1 km": _grid(product.grid_1km, valid.shape),
            "500 m": _grid(product.grid_500m, product.radiances[0].counts.shape),
            "tie points": _grid(product.grid_tie, product.solar_zenith.shape),
        },
        "verified": product.verified,
        "labelled": is_labelled(product),
        "label_rule": "any",
        "valid_share": share(valid),
        "label_share": share(label_valid),
        "summary_cloud_share_of_valid": share(product.flag("confidence", "summary_cloud")[valid]),
        "bayes_cloud_share_of_labelled": share(cloud[label_valid]),
        "cosmetic_share": share(product.flag("confidence", "cosmetic")),
        "light": _light(product.flag("confidence", "day"), product.flag("confidence", "twilight")),
        "solar_zenith_deg": extent(product.solar_zenith),
        "latitude_deg": extent(product.latitude),
        "longitude_deg": extent(product.longitude),
        "sun_distance_au": number_or_none(product.sun_distance_au),
        "irradiances": irradiances,
        "flag_shares": {f"{name}_in": flag_shares(field) for name, field in fields.items()},
        "channels": _product_channels(product, irradiances),
    }
    classes = constant_warnings(count_classes(standard_flags(fields["confidence"]), cloud, label_valid))
    return summary | {"warnings": _warnings(summary, classes)}


def _product_channels(product: Product, irradiances: list[float | None]) -> dict[str, Numbers]:
    field = product.flags["exception"]
    allowed = np.uint8(field.mask("saturation"))
    genuine = ~product.flag("confidence", "cosmetic")
    genuine_500m = genuine.repeat(2, axis=0).repeat(2, axis=1)
    channels = {}
    solar = zip(SOLAR_CHANNELS, product.radiances, product.radiance_exception, irradiances, strict=True)
    for channel, packed, exception, irradiance in solar:
        measured = packed.known() & (exception & ~allowed == 0) & genuine_500m
        found = packed_numbers(packed, measured, RADIANCE_UNIT, radiance_range(irradiance or np.inf))
        channels[channel] = found | {"exceptions": set_shares(dataclasses.replace(field, values=exception))}
    for channel, bt, exception in zip(THERMAL_CHANNELS, product.bt, product.bt_exception, strict=True):
        known = ~np.isnan(bt)
        measured = known & (exception & ~allowed == 0) & genuine
        found = channel_numbers(bt, known, measured, "K", BT_RANGE_K)
        channels[channel] = found | {"exceptions": set_shares(dataclasses.replace(field, values=exception))}
    return channels


def summarise_scene(scene: Scene) -> dict[str, Any]:
    """What a shard holds, JSON-able, in the words of summarise_product; padding is left out.

    Ranges are of measured values alone.
    """
    height, width = scene.refs.shape[:2]
    scene = _without_padding(scene)
    valid, label_valid, cloud = (scene_mask[..., 0] > 0 for scene_mask in (scene.valid, scene.label_valid, scene.bayes))
    flags = FlagField(scene.flags, tuple(CONFIDENCE_BITS.values()), tuple(CONFIDENCE_BITS))
    # The original's own shards hold no flags, and of all shards they alone know no irradiances.
    flagged = bool(scene.info.irradiances)
    info = {
        name: number_or_none(value) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(scene.info).items()
    }
    summary = {
        "kind": "shard",
        **info,
        "height": height,
        "width": width,
        "valid_share": share(valid),
        "label_share": share(label_valid),
        "summary_cloud_share_of_valid": share(scene.summary[..., 0][valid] > 0),
        "bayes_cloud_share_of_labelled": share(cloud[label_valid]),
        "cosmetic_share": share(flags.holds("cosmetic")) if flagged else None,
        "light": _light(flags.holds("day"), flags.holds("twilight")) if flagged else dict.fromkeys(LIGHTS),
        "latitude_deg": extent(scene.latitude),
        "longitude_deg": extent(scene.longitude),
        "extras": [name for name in EXTRAS if getattr(scene, name) is not None],
        "oblique_valid_share": None if scene.oblique_valid is None else share(scene.oblique_valid),
        "flag_shares": {"confidence_in": flag_shares(flags)} if flagged else {},
        "channels": _scene_channels(scene),
    }
    # A shard is warned of as it will be learnt from: not where its label was never computed.
    classes = constant_warnings(count_classes(scene.flags, cloud, label_valid)) if scene.info.labelled else []
    return summary | {"warnings": _warnings(summary, classes)}


def _scene_channels(scene: Scene) -> dict[str, Numbers]:
    channels = {}
    for index, channel in enumerate((*SOLAR_CHANNELS, *THERMAL_CHANNELS)):
        measured = (scene.measured >> index) & 1 > 0
        if channel in SOLAR_CHANNELS:
            channels[channel] = channel_numbers(scene.refs[..., index], measured, measured, "1", REFLECTANCE_RANGE)
        else:
            channels[channel] = channel_numbers(scene.bts[..., index - 6], measured, measured, "K", BT_RANGE_K)
    return channels


def _warnings(summary: dict[str, Any], classes: list[str]) -> list[str]:
    found = channel_warnings(summary["channels"], summary["light"]["day"])
    found += irradiance_warnings(list(summary["irradiances"]))
    found += extent_warnings("latitude", summary["latitude_deg"], *LATITUDES)
    found += extent_warnings("longitude", summary["longitude_deg"], *LONGITUDES)
    if "solar_zenith_deg" in summary:
        found += extent_warnings("solar zenith angle", summary["solar_zenith_deg"], *ZENITHS)
    return found + [f"label: {text}" for text in classes]


def _without_padding(scene: Scene) -> Scene:
    if scene.info.convention == "reference":
        return scene
    height, width = scene.refs.shape[:2]
    return fit(scene, min(height, scene.info.rows), min(width, scene.info.columns))


def _grid(grid: Grid, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"rows": shape[0], "columns": shape[1], **dataclasses.asdict(grid)}


def _light(day: np.ndarray, twilight: np.ndarray) -> dict[str, float | None]:
    return dict(zip(LIGHTS, (share(day), share(twilight), share(~day & ~twilight)), strict=True))
