"""A product or a scene in numbers: size, light, fill, clouds, labels, flags and the range of every channel."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from preprocess.labels import is_labelled, labelled_pixels
from preprocess.level1 import CONFIDENCE_BITS, SOLAR_CHANNELS, THERMAL_CHANNELS, FlagField, Product
from preprocess.quality import valid_pixels
from preprocess.scene import Scene, fit

RADIANCE_UNIT = "mW m-2 sr-1 nm-1"


def summarise_product(product: Product) -> dict[str, Any]:
    """What a product holds, JSON-able: shares are of all pixels unless their name says otherwise, None if unknown."""
    label_valid, valid = labelled_pixels(product), valid_pixels(product)
    rows, columns = valid.shape
    channels = {
        channel: _range(values, ~np.isnan(values), unit)
        for names, stack, unit in (
            (SOLAR_CHANNELS, [packed.values() for packed in product.radiances], RADIANCE_UNIT),
            (THERMAL_CHANNELS, product.bt, "K"),
        )
        for channel, values in zip(names, stack, strict=True)
    }
    return {
        "kind": "product",
        "product": product.name,
        "platform": product.platform,
        "start_time": product.start_time,
        "collection": product.collection,
        "rows": rows,
        "columns": columns,
        "labelled": is_labelled(product),
        "valid_share": _share(valid),
        "label_share": _share(label_valid),
        "summary_cloud_share_of_valid": _share(product.flag("confidence", "summary_cloud")[valid]),
        "bayes_cloud_share_of_labelled": _share(product.flags["bayes"].values[label_valid] > 0),
        "light": _light(product.flag("confidence", "day"), product.flag("confidence", "twilight")),
        "solar_zenith_deg": _extent(product.solar_zenith),
        "latitude_deg": _extent(product.latitude),
        "longitude_deg": _extent(product.longitude),
        "sun_distance_au": _number(product.sun_distance_au),
        "irradiances": [_number(value) for value in np.nanmean(product.irradiance, axis=1)],
        "flag_shares": {f"{name}_in": _flag_shares(product.flags[name]) for name in ("confidence", "cloud", "bayes")},
        "channels": channels,
    }


def summarise_scene(scene: Scene) -> dict[str, Any]:
    """What a shard holds, JSON-able, in the words of summarise_product; padding is left out.

    Ranges are of measured values alone.
    """
    height, width = scene.refs.shape[:2]
    scene = _without_padding(scene)
    valid, label_valid = scene.valid[..., 0] > 0, scene.label_valid[..., 0] > 0
    flags = FlagField(scene.flags, tuple(CONFIDENCE_BITS.values()), tuple(CONFIDENCE_BITS))
    values = np.concatenate([scene.refs, scene.bts], axis=-1)
    channels = {
        channel: _range(values[..., index], (scene.measured >> index) & 1 > 0, "reflectance" if index < 6 else "K")
        for index, channel in enumerate((*SOLAR_CHANNELS, *THERMAL_CHANNELS))
    }
    info = {
        name: _number(value) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(scene.info).items()
    }
    return {
        "kind": "shard",
        **info,
        "height": height,
        "width": width,
        "valid_share": _share(valid),
        "label_share": _share(label_valid),
        "summary_cloud_share_of_valid": _share(scene.summary[..., 0][valid] > 0),
        "bayes_cloud_share_of_labelled": _share(scene.bayes[..., 0][label_valid] > 0),
        "light": _light(flags.holds("day"), flags.holds("twilight")),
        "latitude_deg": _extent(scene.latitude),
        "longitude_deg": _extent(scene.longitude),
        "flag_shares": {"confidence_in": _flag_shares(flags)},
        "channels": channels,
    }


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """A summary as lines for people."""
    size = f"{summary['rows']} x {summary['columns']} pixels"
    if summary["kind"] == "shard":
        size += f" in {summary['height']} x {summary['width']}, {summary['convention']} convention"
        size += f", calibration {summary['calibration']}"
    clouds = (
        f"summary_cloud {_percent(summary['summary_cloud_share_of_valid'])} of valid pixels, "
        f"bayes {_percent(summary['bayes_cloud_share_of_labelled'])} of labelled ones"
    )
    label = f"on {_percent(summary['label_share'])} of pixels" if summary["labelled"] else "never computed: unlabelled"
    lines = [
        f"{summary['kind']} {summary['product']}",
        f"  {summary['platform']}, {summary['start_time']}, collection {summary['collection']}",
        f"  size    {size}",
        f"  light   {', '.join(f'{name} {_percent(share)}' for name, share in summary['light'].items())}",
        f"  data    S8 and S9 valid on {_percent(summary['valid_share'])} of pixels",
        f"  label   {label}",
        f"  cloud   {clouds}",
        f"  where   latitude {_span(summary['latitude_deg'])}, longitude {_span(summary['longitude_deg'])} degrees",
    ]
    for field, shares in summary["flag_shares"].items():
        told = ", ".join(f"{name} {_percent(share)}" for name, share in shares.items() if share)
        lines.append(f"  {field}: {told or 'no bit is set anywhere'}")
    # A shard knows cosmetic pixels and exceptions apart from measurements; of a product's channels, data are counted.
    counted = "measured on" if summary["kind"] == "shard" else "data on"
    return lines + [_channel_line(channel, found, counted) for channel, found in summary["channels"].items()]


def _channel_line(channel: str, found: dict[str, Any], counted: str) -> str:
    if not found["share"]:
        return f"  {channel}  {counted} no pixel"
    span = f"{_span([found['min'], found['max']])}, mean {_short(found['mean'])} {found['unit']}"
    return f"  {channel}  {span}; {counted} {_percent(found['share'])} of pixels"


def _without_padding(scene: Scene) -> Scene:
    if scene.info.convention == "reference":
        return scene
    height, width = scene.refs.shape[:2]
    return fit(scene, min(height, scene.info.rows), min(width, scene.info.columns))


def _range(values: np.ndarray, known: np.ndarray, unit: str) -> dict[str, Any]:
    held = values[known]
    low, high, mean = (held.min(), held.max(), held.mean(dtype=np.float64)) if held.size else (math.nan,) * 3
    return {"min": _number(low), "max": _number(high), "mean": _number(mean), "unit": unit, "share": _share(known)}


def _light(day: np.ndarray, twilight: np.ndarray) -> dict[str, float | None]:
    return {"day": _share(day), "twilight": _share(twilight), "night": _share(~day & ~twilight)}


def _flag_shares(field: FlagField) -> dict[str, float | None]:
    return {meaning: _share(field.holds(meaning)) for meaning in dict.fromkeys(field.meanings)}


def _extent(values: np.ndarray) -> list[float | None]:
    known = values[np.isfinite(values)]
    return [_number(known.min()), _number(known.max())] if known.size else [None, None]


def _share(mask: np.ndarray) -> float | None:
    return float(mask.mean()) if mask.size else None


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.4g} %"


def _short(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.5g}"


def _span(extent: list[float | None]) -> str:
    return f"{_short(extent[0])} to {_short(extent[1])}"
