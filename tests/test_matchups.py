"""Match-up filters and statistics against a slow version that goes row by row."""

from __future__ import annotations

import math
import statistics as plain

import numpy as np
import pytest

from jaxmask import matchups
from tests.matchup_tables import SST_COLUMN, operational_masks, random_table, statistics


def row_passes(row: dict[str, float], *, oblique: bool) -> bool:
    return (
        abs(row["slat"] - row["latitude_an"]) < 0.005
        and abs(row["slon"] - row["longitude_an"]) < 0.01
        and row["isst"] + 273.15 > 273.15
        and row["satzan"] <= 55
        and (not oblique or row["satzao"] <= 55)
        and row["quality_level"] == 5
    )


def median_and_rsd(values: list[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    median = plain.median(values)
    return median, 1.4826 * plain.median(abs(value - median) for value in values)


def rows_of(table: dict[str, np.ndarray]) -> list[dict[str, float]]:
    return [{name: values[i] for name, values in table.items()} for i in range(len(table["isst"]))]


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(3))
def test_reference_numbers_equal_a_loop(seed: int) -> None:
    table = random_table(2000, seed)
    mask = np.random.default_rng(seed).random(len(table["isst"]))
    mask[::7] = np.nan
    mask[1::50] = 0.5
    kept = [(row, q) for row, q in zip(rows_of(table), mask, strict=True) if row_passes(row, oblique=True)]
    passing, kept = len(kept), [(row, q) for row, q in kept if not math.isnan(q)]
    d2 = [(row, q) for row, q in kept if row["sst_algorithm_type"] == 4 and row["sat_sst_2"] > 273.15]
    difference = [(row["sat_sst_2"] - (row["isst"] + 273.15), row, q) for row, q in d2]
    bayes = [d for d, row, _ in difference if row["pcloudn"] < 0.9 and row["pcloudo"] < 0.9]
    unet = [d for d, _, q in difference if q < 0.5]
    expected = {
        **dict(zip(("bayes_median", "bayes_RSD"), median_and_rsd(bayes), strict=True)),
        **dict(zip(("unet_median", "unet_RSD"), median_and_rsd(unet), strict=True)),
        "agreement": sum((q > 0.5) == (row["bayes_in"] > 0.5) for row, q in kept) / len(kept),
        "rows": len(mask),
        "rows_after_filters": passing,
        "rows_with_mask": len(kept),
        "rows_published_algorithm": len(d2),
        "bayes_count": len(bayes),
        "unet_count": len(unet),
    }
    # Both are float64; only the order of additions differs.
    assert matchups.reference_numbers(table, mask) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert passing > len(kept) > 100


@pytest.mark.parametrize("seed", range(3))
def test_statistics_equal_a_loop(seed: int) -> None:
    table = random_table(2000, seed)
    rng = np.random.default_rng(seed)
    decided, unet = rng.random(len(table["isst"])) < 0.8, rng.random(len(table["isst"])) < 0.5
    records = statistics(table, decided, operational_masks(table) | {"unet": unet})
    assert [(r["algorithm"], r["mask"]) for r in records] == [
        (algorithm, mask) for algorithm in ("N2", "N3", "D2", "D3") for mask in ("none", "bayes", "unet")
    ]
    codes, dual = {"N2": 1, "N3": 3, "D2": 4, "D3": 5}, ("D2", "D3")
    for record in records:
        code = codes[record["algorithm"]]
        oblique = record["algorithm"] in dual
        eligible, kept = 0, []
        for i, row in enumerate(rows_of(table)):
            sst = row[SST_COLUMN[code]]
            fits = row_passes(row, oblique=oblique) and row["sst_algorithm_type"] == code and sst > 273.15
            if not (fits and decided[i]):
                continue
            eligible += 1
            bayes = row["pcloudn"] < 0.9 and (not oblique or row["pcloudo"] < 0.9)
            if {"none": True, "bayes": bayes, "unet": unet[i]}[record["mask"]]:
                kept.append(sst - (row["isst"] + 273.15))
        median, rsd = median_and_rsd(kept)
        assert (record["count"], record["eligible"]) == (len(kept), eligible)
        assert record["coverage"] == pytest.approx(len(kept) / eligible)
        assert (record["median"], record["rsd"]) == pytest.approx((median, rsd), rel=1e-12, abs=1e-12)
        assert record["time_of_day"] == ("day" if record["algorithm"].endswith("2") else "night")


def test_nadir_rows_without_an_oblique_view_count_but_not_in_the_reference() -> None:
    table = {name: values[:1].copy() for name, values in random_table(20, 0).items()}
    table |= {name: np.array([1.0]) for name in ("slat", "latitude_an", "slon", "longitude_an")}
    table |= {"isst": np.array([10.0]), "satzan": np.array([3.0]), "satzao": np.array([np.nan])}
    table |= {"quality_level": np.array([5]), "sst_algorithm_type": np.array([1]), "sat_sst_0": np.array([283.0])}
    table |= {"pcloudn": np.array([0.1]), "pcloudo": np.array([np.nan])}
    assert not matchups.reference_filter(table).any()
    records = statistics(table, np.array([True]), operational_masks(table))
    counts = {(record["algorithm"], record["mask"]): record["count"] for record in records}
    assert counts["N2", "none"] == counts["N2", "bayes"] == 1
    assert sum(counts.values()) == 2


def test_longitudes_meet_across_the_date_line_except_in_the_reference() -> None:
    table = {name: values[:1].copy() for name, values in random_table(20, 0).items()}
    table |= {"slat": np.array([1.0]), "latitude_an": np.array([1.0]), "isst": np.array([10.0])}
    table |= {"slon": np.array([-179.998]), "longitude_an": np.array([179.998])}
    table |= {"satzan": np.array([3.0]), "satzao": np.array([54.0]), "quality_level": np.array([5])}
    table |= {"sst_algorithm_type": np.array([4]), "sat_sst_2": np.array([283.0])}
    assert not matchups.reference_filter(table).any()
    assert matchups.quality_filter(table, matchups.PUBLISHED).all()


def test_nothing_left_gives_no_number() -> None:
    table = random_table(50, 0)
    records = statistics(table, np.zeros(55, bool), operational_masks(table))
    assert {(r["count"], r["coverage"], r["median"], r["rsd"]) for r in records} == {(0, None, None, None)}
    numbers = matchups.reference_numbers(table, np.full(55, np.nan))
    assert (numbers["agreement"], numbers["bayes_median"], numbers["unet_RSD"]) == (None, None, None)


def test_median_and_rsd_by_hand() -> None:
    # median 3, distances 2 1 0 1 7, their median 1
    assert matchups.median_and_rsd(np.array([1.0, 2.0, 3.0, 4.0, 10.0])) == (3.0, pytest.approx(1.4826))
    assert matchups.median_and_rsd(np.array([2.0])) == (2.0, 0.0)


def test_product_names_of_paths() -> None:
    paths = np.array(["/x/B.SEN3", "A.SEN3/", "\\\\host\\B.SEN3", "/y/A.SEN3", "C"])
    names, inverse = matchups.product_names(paths)
    assert names.tolist() == ["A", "B", "C"]
    assert names[inverse].tolist() == ["B", "A", "B", "A", "C"]


def test_pixel_indices_that_are_no_whole_numbers_become_minus_one() -> None:
    table = {"y_cems": np.array([3.0, np.nan, 1.5, 2.0, 7.0]), "x_cems": np.array([4, 1, 2, 2**40, -3])}
    rows, columns = matchups.pixel_indices(table)
    assert rows.tolist() == [3, -1, -1, -1, 7]
    assert columns.tolist() == [4, -1, -1, -1, -3]
