"""A summary of a product or shard as lines for people, 80 columns wide."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any

WIDTH = 80
TITLE_WIDTH = 14
CHECKED = {  # by what SceneInfo.verified says
    "md5": "every file read has its size and MD5 sum in the manifest",
    "crc32": "every file read has its size in the manifest and its CRC-32 sum in the zip",
    "": "not compared with a manifest",
}


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """A summary of summary.py as lines; only the product's name may be wider than 80 columns."""
    about = _about_shard(summary) if summary["kind"] == "shard" else _about_product(summary)
    lines = [f"{summary['kind']} {summary['product']}"]
    for title, text in (*about, *_about_both(summary)):
        lines += _entry(title, text)
    if "grids" in summary:
        lines += ["", *_grid_table(summary["grids"])]
    lines += ["", *_channel_table(summary), *_exceptions(summary), ""]
    for field, found in summary["flag_shares"].items():
        lines += _entry(field, _list({name: part for name, part in found.items() if part}))
    return lines + [line for text in summary["warnings"] for line in _entry("WARNING", text)]


def _about_product(summary: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("baseline", f"collection {summary['collection']}, processor {summary.get('processor') or 'unknown'}"),
        ("checksums", CHECKED[summary["verified"]]),
    ]


def _grid_table(grids: dict[str, dict[str, Any]]) -> list[str]:
    lines = ["  grid               pixels      size (m)  track column  start row"]
    for name, grid in grids.items():
        pixels, size = f"{grid['rows']} x {grid['columns']}", f"{grid['across_m']:g} x {grid['along_m']:g}"
        lines.append(f"  {name:11}{pixels:>14}{size:>14}{grid['track_offset']:>14}{grid['start_offset']:>11}")
    return lines


def _about_shard(summary: dict[str, Any]) -> list[tuple[str, str]]:
    cropped = [
        f"{summary[f'{what}_cropped']} {what} cropped" for what in ("rows", "columns") if summary[f"{what}_cropped"]
    ]
    into = "in" if summary["convention"] == "native" else "stretched to"
    size = f"{summary['rows']} x {summary['columns']} pixels {into} {summary['height']} x {summary['width']}"
    where = f"track column {summary['track_offset']}, start row {summary['start_offset']}"
    if not summary["flag_shares"]:
        size, where = f"{summary['height']} x {summary['width']} pixels", "the original's, without flags and positions"
    made = f"{summary['convention']} convention, calibration {summary['calibration']}, regridding "
    made += summary["regridding"]
    if summary["extras"]:
        made += f"; also {', '.join(summary['extras'])}"
    found = [
        ("baseline", f"collection {summary['collection']}"),
        ("grid", "; ".join([f"1 km: {size}", *cropped, where])),
        ("made by", made),
        ("checksums", CHECKED[summary["verified"]]),
    ]
    if summary["oblique_valid_share"] is not None:
        found.append(("oblique", f"S8 and S9 valid on {_percent(summary['oblique_valid_share'])} of pixels"))
    return found


def _about_both(summary: dict[str, Any]) -> list[tuple[str, str]]:
    sun = f"; sun {_span(summary['solar_zenith_deg'])} degrees from the zenith" if "solar_zenith_deg" in summary else ""
    label = (
        f"--label {summary['label_rule']}, computed on {_percent(summary['label_share'])} of pixels"
        if summary["labelled"]
        else "never computed: unlabelled, not for training"
    )
    clouds = (
        f"summary_cloud {_percent(summary['summary_cloud_share_of_valid'])} of valid pixels, "
        f"label {_percent(summary['bayes_cloud_share_of_labelled'])} of labelled ones"
    )
    place = f"latitude {_span(summary['latitude_deg'])}, longitude {_span(summary['longitude_deg'])} degrees"
    place = "position unknown" if None in summary["latitude_deg"] else place
    valid, cosmetic = _percent(summary["valid_share"]), _percent(summary["cosmetic_share"])
    return [
        ("when, where", f"{summary['platform']}, {summary['start_time']}; {place}"),
        ("light", ", ".join(f"{name} {_percent(part)}" for name, part in summary["light"].items()) + sun),
        ("data", f"S8 and S9 valid on {valid} of pixels; cosmetic {cosmetic}"),
        ("label", label),
        ("cloud", clouds),
    ]


def _channel_table(summary: dict[str, Any]) -> list[str]:
    """A line a channel. A shard's ranges are of measured values alone, and it knows no others; a product's of all."""
    parts = {"share": "data on", "measured_share": "measured"}
    if summary["kind"] == "shard":
        del parts["share"]
    lines = [
        "  channel        min       max      mean" + "".join(f"{title:>10}" for title in parts.values()) + "  unit"
    ]
    for channel, found in summary["channels"].items():
        values = "".join(f"{_short(found[name]):>10}" for name in ("min", "max", "mean"))
        shares = "".join(f"{_percent(found[name]):>10}" for name in parts)
        lines.append(f"  {channel:8}{values}{shares}  {'reflectance' if found['unit'] == '1' else found['unit']}")
    return lines


def _exceptions(summary: dict[str, Any]) -> list[str]:
    """The exceptions of a product's channels, neighbours that share them in one line."""
    told = ((name, _list(found.get("exceptions", {}), "")) for name, found in summary["channels"].items())
    lines = []
    for text, group in itertools.groupby(told, key=lambda pair: pair[1]):
        names = [name for name, _ in group]
        if text:
            lines += _entry(f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0], f"flagged {text}")
    return lines


def _entry(title: str, text: str) -> list[str]:
    """A title and its text, wrapped beside it; a number stays with its % sign."""
    wrapped = textwrap.wrap(
        text.replace(" %", "\xa0%"),
        WIDTH,
        initial_indent=f"  {title:{TITLE_WIDTH}}",
        subsequent_indent=" " * (TITLE_WIDTH + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in wrapped]


def _list(shares: dict[str, float], none: str = "no bit is set anywhere") -> str:
    return ", ".join(f"{name} {_percent(part)}" for name, part in shares.items()) or none


def _percent(part: float | None) -> str:
    return "unknown" if part is None else f"{100 * part:.4g} %"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _span(found: list[float | None]) -> str:
    return "unknown" if None in found else f"{_short(found[0])} to {_short(found[1])}"
