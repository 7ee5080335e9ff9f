"""Binned medians against pandas' groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jaxmask.dependence import LATITUDE, LOCAL_TIME, WIND, ZENITH, Axis, bin_numbers, dependence_records, known_axes
from jaxmask.matchup_groups import StatisticsSettings, make_groups
from tests.matchup_tables import random_table, samples_of


@pytest.mark.quick
def test_a_bin_holds_its_lower_edge_and_the_last_its_upper_too() -> None:
    axis = Axis("x", "m", (0.0, 1.0, 3.0))
    values = np.array([-0.1, 0.0, 0.99, 1.0, 3.0, 3.01, np.nan])
    assert bin_numbers(axis, values).tolist() == [2, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("wind", [None, "wind_speed"])
def test_records_equal_pandas_groups(wind: str | None) -> None:
    table = random_table(1500, 1)
    if wind:
        table[wind] = np.random.default_rng(1).uniform(-1, 60, len(table["isst"]))
    samples = samples_of(table)
    for group in make_groups(table, samples, StatisticsSettings()):
        found = dependence_records(table, samples, group)
        assert {record["by"] for record in found} >= {"latitude", "zenith_angle", "local_solar_time"}
        assert ("wind_speed" in {record["by"] for record in found}) == bool(wind)
        frame = pd.DataFrame({"x": group.sample.difference, "latitude": table["latitude_an"][group.sample.rows]})
        frame["zenith_angle"] = table["satzan"][group.sample.rows]
        frame["local_solar_time"] = samples.local_hour[group.sample.rows]
        if wind:
            frame["wind_speed"] = table[wind][group.sample.rows]
        for axis in (LATITUDE, ZENITH, LOCAL_TIME, *((WIND,) if wind else ())):
            cells = pd.cut(frame[axis.name], list(axis.edges), right=False)
            ours = {(r["from"], r["mask"]): r for r in found if r["by"] == axis.name}
            assert len({low for low, _ in ours}) == cells.nunique()
            for cell, rows in frame.groupby(cells, observed=True):
                for name, mask in group.masks.items():
                    kept = rows["x"][mask.clear[rows.index]]
                    record = ours[cell.left, name]
                    assert (record["eligible"], record["count"], record["to"]) == (len(rows), len(kept), cell.right)
                    expected = (
                        (kept.median(), stats.median_abs_deviation(kept, scale=1 / 1.4826)) if len(kept) else None
                    )
                    numbers = (record["median"], record["rsd"])
                    assert numbers == ((None, None) if expected is None else pytest.approx(expected, abs=1e-12))


def test_a_column_of_texts_is_no_wind_speed() -> None:
    table = random_table(100, 2)
    count = len(table["isst"])
    table |= {"wind_speed": np.array(["calm"] * count), "wind": np.full(count, 3.0)}
    axes = {axis.name: values for axis, values in known_axes(table, samples_of(table))}
    np.testing.assert_array_equal(axes["wind_speed"], table["wind"])
