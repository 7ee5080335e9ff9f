"""Match-ups of simulated products: the retrievals' scatter, buoys that know no clouds, the original's columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preprocess.simulation.clouds import HELD_OUT
from preprocess.simulation.fields import stream
from preprocess.simulation.matchups import ALGORITHM_CODES, MATCHUPS_PER_PRODUCT, matchup_rows
from preprocess.simulation.scene import simulate_scene
from preprocess.simulation.sst import ALGORITHMS, Temperatures, clear_set, retrieve, terms
from preprocess.simulation.surface import SEA, VEGETATION
from tests.simulate_cases import IRRADIANCES, small_geometry, small_scene

COLUMNS = (
    *("ISST", "SLAT", "SLON", "latitude_an", "longitude_an", "SATZAN", "SATZAO", "quality_level", "sst_algorithm_type"),
    *("pcloudn", "pcloudo", "bayes_in", "sat_sst_0", "sat_sst_1", "sat_sst_2", "sat_sst_3", "cems_path"),
    *("y_cems", "x_cems"),
)
BUOY_COLUMNS = ("ISST", "SLAT", "SLON", "latitude_an", "longitude_an", "y_cems", "x_cems")


def robust_deviation(x: np.ndarray) -> float:
    """1.4826 times the median absolute deviation."""
    return float(1.4826 * np.median(np.abs(x - np.median(x))))


@pytest.mark.quick
def test_terms_by_hand() -> None:
    nadir = np.array([[283.15], [293.15], [292.15]], np.float32)
    seen = Temperatures(nadir, np.array([[291.15], [289.15]], np.float32), np.float32([0.5]), np.float32([0.8]))
    # deg C; 1 / 0.5 - 1 = 1 and 1 / 0.8 - 1 = 0.25. float32 temperatures: 1e-4 K.
    np.testing.assert_allclose(terms("N2", seen), [[1, 1, 20, 19, 20, 19]], atol=1e-4)
    np.testing.assert_allclose(terms("N3", seen), [[1, 1, 10, 20, 19, 10, 20, 19]], atol=1e-4)
    np.testing.assert_allclose(terms("D2", seen), [[1, 1, 20, 19, 20, 19, 0.25, 18, 16, 4.5, 4]], atol=1e-4)
    assert terms("D3", seen).shape == (1, 13)


def test_retrievals_scatter_as_such_algorithms_do() -> None:
    seen, skin = clear_set(20000, stream(99))
    scatter = {}
    for name in ALGORITHMS:
        error = retrieve(name, seen) - skin
        # The fit set and this one are draws of 20 000: means agree to 0.01 K.
        assert np.mean(error) == pytest.approx(0, abs=0.02)
        # A buoy adds 0.2 and 0.1 K of its own.
        scatter[name] = float(np.hypot(np.std(error), np.hypot(0.2, 0.1)))
    # Guide for clear match-ups: 0.40 0.25 0.30 0.20 K; buoys alone make 0.22. A second view only adds terms to the
    # least squares, so it cannot fit worse; 0.5 % for another draw.
    assert 0.3 < scatter["N2"] < 0.5
    assert 0.22 < scatter["N3"] < 0.3
    assert 0.25 < scatter["D2"] < scatter["N2"] * 1.005
    assert 0.22 < scatter["D3"] < scatter["N3"] * 1.005


def test_columns_are_the_originals(reference) -> None:  # type: ignore[no-untyped-def]
    import h5py

    with h5py.File(reference / "sst_matchups_A.h5") as file:
        assert tuple(name.decode() for name in file["data/axis0"]) == COLUMNS


@pytest.mark.parametrize(("theme", "illumination"), [("sea", "day"), ("sea", "night"), ("coast", "day")])
def test_rows_are_what_the_product_holds(theme: str, illumination: str) -> None:
    scene = small_scene(theme, illumination)
    rows = matchup_rows(scene, 100)
    assert set(rows) == set(COLUMNS)
    assert len({column.shape for column in rows.values()}) == 1
    at = rows["y_cems"], rows["x_cems"]
    assert 0 < at[0].size <= 100
    assert (scene.truth.surface[at] == SEA).all()
    assert len(set(zip(*at, strict=True))) == at[0].size
    np.testing.assert_array_equal(rows["bayes_in"], scene.label.bayes[at])
    np.testing.assert_allclose(rows["pcloudn"], scene.label.probability_single[at])
    np.testing.assert_array_equal(rows["latitude_an"], scene.geometry.latitude_an[2 * at[0], 2 * at[1]])
    assert (np.abs(rows["SLAT"] - rows["latitude_an"]) < 0.005).mean() > 0.8
    assert rows["quality_level"].min() >= 1
    assert rows["quality_level"].max() <= 5
    assert not (rows["quality_level"] == 5)[np.maximum(rows["pcloudn"], rows["pcloudo"]) >= 0.99].any()
    plan = scene.geometry.plan
    platform = {"S3A": "sentinel3a", "S3B": "sentinel3b"}[plan.platform]
    expected = f"/neodc/{platform}/data/SLSTR/L1_RBT/{plan.start.year}/{plan.start.month:02d}/{plan.name}.SEN3"
    assert set(rows["cems_path"]) == {expected}


@pytest.mark.parametrize("illumination", ["day", "night"])
def test_algorithms_follow_light_and_swath(illumination: str) -> None:
    scene = small_scene("sea", illumination)
    half = np.zeros(scene.truth.cloud.shape, bool)
    half[:, ::2] = True
    scene = replace(scene, geometry=replace(scene.geometry, in_dual_swath=half))
    rows = matchup_rows(scene, 100)
    dual = half[rows["y_cems"], rows["x_cems"]]
    assert 40 <= dual.sum() <= 60
    names = ("D2", "N2") if illumination == "day" else ("D3", "N3")
    expected = np.where(dual, ALGORITHM_CODES[names[0]], ALGORITHM_CODES[names[1]])
    np.testing.assert_array_equal(rows["sst_algorithm_type"], expected)
    there = {f"sat_sst_{n}": rows[f"sat_sst_{n}"] != -32768 for n in range(4)}
    assert there["sat_sst_0"].all()
    assert (there["sat_sst_1"] == (illumination == "night")).all()
    np.testing.assert_array_equal(there["sat_sst_2"], dual)
    np.testing.assert_array_equal(there["sat_sst_3"], dual & (illumination == "night"))


def test_buoys_know_nothing_of_the_clouds() -> None:
    geometry = small_geometry("sea", "night")
    one = matchup_rows(small_scene("sea", "night"), 200)
    other = matchup_rows(simulate_scene(geometry, IRRADIANCES, HELD_OUT), 200)
    for name in BUOY_COLUMNS:
        np.testing.assert_array_equal(one[name], other[name])
    assert not np.array_equal(one["sat_sst_0"], other["sat_sst_0"])


def test_buoys_measure_the_water_below_the_skin() -> None:
    scene = small_scene("sea", "night")
    rows = matchup_rows(scene, 2000)
    skin = scene.truth.skin_temperature_k[rows["y_cems"], rows["x_cems"]] - 273.15
    difference = (rows["ISST"] - skin)[rows["ISST"] > -999]
    # 0.224 K of noise over about 2000 rows: standard error of the median 0.006 K, of the deviation 0.006 K.
    assert np.median(difference) == pytest.approx(0.17, abs=0.03)
    assert robust_deviation(difference) == pytest.approx(np.hypot(0.2, 0.1), abs=0.03)
    gross = np.abs(difference - 0.17) > 1.5
    assert 0.003 < gross.mean() < 0.03  # of 2 % with spread 5 K, three quarters lie beyond 1.5 K
    assert (rows["ISST"] == -999).any()


def test_calm_days_leave_buoys_colder_than_the_skin() -> None:
    scene = small_scene("sea", "day")
    calm, windy = (
        matchup_rows(
            replace(scene, truth=replace(scene.truth, wind_m_s=np.full_like(scene.truth.wind_m_s, speed))), 100
        )
        for speed in (2.0, 8.0)
    )
    mu_sun = np.cos(np.radians(scene.geometry.solar_zenith_in[calm["y_cems"], calm["x_cems"]]))
    there = calm["ISST"] > -999
    np.testing.assert_allclose((windy["ISST"] - calm["ISST"])[there], (0.5 * 2.0 * mu_sun)[there], rtol=1e-9)


def test_clear_night_retrievals_agree_with_buoys() -> None:
    differences = []
    for number in range(4):
        scene = small_scene("sea", "night", number)
        rows = matchup_rows(scene, 400)
        at = rows["y_cems"], rows["x_cems"]
        clear = (np.abs(scene.truth.dbt8_k[at]) < 0.2) & (rows["ISST"] > -999)
        differences.append((rows["sat_sst_1"] - rows["ISST"] - 273.15)[clear])
    together = np.concatenate(differences)
    assert together.size > 100
    # -0.17 K of skin effect; each scene's air and vapour move the retrieval by about 0.1 K.
    assert np.median(together) == pytest.approx(-0.17, abs=0.15)
    assert 0.18 < robust_deviation(together) < 0.35


def test_unlabelled_products_have_match_ups_without_bits() -> None:
    scene = small_scene("sea", "day")
    bare = replace(scene, geometry=replace(scene.geometry, plan=replace(scene.geometry.plan, labelled=False)))
    rows = matchup_rows(bare, 50)
    assert (rows["bayes_in"] == 255).all()
    np.testing.assert_array_equal(rows["pcloudn"], matchup_rows(scene, 50)["pcloudn"])


def test_land_has_no_buoys() -> None:
    scene = small_scene("sea", "day")
    dry = replace(scene, truth=replace(scene.truth, surface=np.full_like(scene.truth.surface, VEGETATION)))
    rows = matchup_rows(dry, 50)
    assert set(rows) == set(COLUMNS)
    assert {column.size for column in rows.values()} == {0}
    assert rows["y_cems"].dtype == np.int64


def test_rows_repeat() -> None:
    one, two = (matchup_rows(small_scene("sea", "day")) for _ in range(2))
    for name, column in one.items():
        np.testing.assert_array_equal(column, two[name])
    assert one["ISST"].size <= MATCHUPS_PER_PRODUCT
