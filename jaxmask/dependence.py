"""How the differences depend on where and when: medians in bins of latitude, zenith angle, local time and wind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxmask.fair_masks import RowSamples
from jaxmask.matchup_groups import Group
from jaxmask.matchups import MAX_ZENITH_DEG, RSD_PER_MAD, Table

WIND_COLUMNS = ("wind_speed", "windspeed", "wind", "u10")
"""Names under which tables hold wind speed in m/s; the first that holds numbers counts."""


@dataclass(frozen=True)
class Axis:
    """A quantity, its unit and its bins: edges ascending, each bin from its lower edge up to, not with, its upper one;
    the last holds its upper edge too."""

    name: str
    unit: str
    edges: tuple[float, ...]


LATITUDE = Axis("latitude", "degrees north", tuple(range(-90, 91, 10)))
ZENITH = Axis("zenith_angle", "degrees, nadir view", tuple(range(0, int(MAX_ZENITH_DEG) + 1, 5)))
LOCAL_TIME = Axis("local_solar_time", "hours", tuple(range(0, 25, 2)))
WIND = Axis("wind_speed", "m/s", (0, 2, 4, 6, 8, 10, 12, 15, 20, 50))


def known_axes(table: Table, samples: RowSamples) -> list[tuple[Axis, np.ndarray]]:
    """The axes there are, each with its value (N,) float64 at every row."""
    axes = [(LATITUDE, table["latitude_an"]), (ZENITH, table["satzan"])]
    if samples.local_hour is not None:
        axes.append((LOCAL_TIME, samples.local_hour))
    wind = next((name for name in WIND_COLUMNS if name in table and table[name].dtype.kind in "fiub"), None)
    if wind is not None:
        axes.append((WIND, table[wind]))
    return [(axis, np.asarray(values, np.float64)) for axis, values in axes]


def dependence_records(table: Table, samples: RowSamples, group: Group) -> list[dict[str, Any]]:
    """One record for each axis, bin with eligible rows, and mask: eligible, count, median, rsd in K."""
    records = []
    for axis, values in known_axes(table, samples):
        bins = bin_numbers(axis, values[group.sample.rows])
        order = np.argsort(bins, kind="stable")  # rows of a bin stay in the order of their differences
        starts = np.searchsorted(bins[order], np.arange(len(axis.edges)))
        for number in np.flatnonzero(np.diff(starts)):
            rows = order[starts[number] : starts[number + 1]]
            low, high = axis.edges[number], axis.edges[number + 1]
            where = {"by": axis.name, "unit": axis.unit, "from": low, "to": high, **group.names}
            for name, mask in group.masks.items():
                found = group.sample.difference[rows[mask.clear[rows]]]
                records.append({"mask": name} | where | {"eligible": len(rows)} | _spread(found))
    return records


def bin_numbers(axis: Axis, values: np.ndarray) -> np.ndarray:
    """The bin of each value (N,), from 0, uint8; the number of bins where it is in none, or NaN."""
    edges = np.asarray(axis.edges, np.float64)
    number = np.searchsorted(edges, values, side="right") - 1
    number = np.where(values == edges[-1], len(edges) - 2, number)
    number = np.where((number < 0) | (number > len(edges) - 2), len(edges) - 1, number)
    return number.astype(np.uint8)  # short numbers are sorted by counting


def _spread(ascending: np.ndarray) -> dict[str, Any]:
    count = len(ascending)
    if not count:
        return {"count": 0, "median": None, "rsd": None}
    median = float((ascending[(count - 1) // 2] + ascending[count // 2]) / 2)
    return {"count": count, "median": median, "rsd": float(RSD_PER_MAD * np.median(np.abs(ascending - median)))}
