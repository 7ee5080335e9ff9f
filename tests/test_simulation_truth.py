"""Surface, clouds and truth of simulated scenes against hand-computed cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preprocess.simulation.clouds import (
    CIRRUS,
    CLEAR,
    CUMULUS,
    DEFAULT,
    HELD_OUT,
    LABEL_TABLE,
    STRATUS,
    CloudLayer,
    SeenLayer,
    make_layers,
    sample_layer,
    seen_footprints,
    top_temperature,
)
from preprocess.simulation.fields import Extent, Field, stream
from preprocess.simulation.surface import (
    DESERT,
    ICE,
    SEA,
    SNOW,
    VEGETATION,
    Surface,
    make_surface_fields,
    precipitable_water,
    sample_surface,
    zonal_temperature,
)
from preprocess.simulation.truth import make_truth
from preprocess.simulation.world import make_world
from tests.simulate_cases import small_geometry, small_scene

EXTENT = Extent(0.0, 60e3, 0.0, 60e3)
SHAPE = (1, 3)


def surface(shape: tuple[int, ...] = SHAPE) -> Surface:
    """An even sea at 290 K."""
    full = {name: np.full(shape, value, np.float32) for name, value in (("skin_k", 290), ("low_cloud_k", 290))}
    rest = ("air_k", "water_mm", "wind_m_s", "elevation_km", "brightness", "aerosol")
    zeros = {name: np.zeros(shape, np.float32) for name in rest}
    return Surface(kind=np.full(shape, SEA, np.uint8), **full, **zeros)


def seen(kind: int, height_km: float, fraction: list[float], depth: list[float]) -> SeenLayer:
    """A layer of (1, 3) pixels."""
    return SeenLayer(
        kind, kind == CIRRUS, height_km, np.array([fraction], np.float32), np.array([depth], np.float32), None
    )


@pytest.mark.quick
def test_truth_of_two_layers_by_hand() -> None:
    layers = [seen(STRATUS, 1.0, [0.5, 0.0, 0.0], [1.0, 0.0, 0.0]), seen(CIRRUS, 10.0, [0.5, 0.5, 0.0], [0.2, 0.2, 0])]
    truth = make_truth(surface(), layers, np.zeros(SHAPE, np.float32))
    # Pixel 0: cover 1 - 0.5 * 0.5 = 0.75, amount 0.5 + 0.1 = 0.6, so depth 0.8; the stratus is deepest and is the
    # highest layer that is cloud by itself. Pixel 1: cirrus of amount 0.1 < 0.15 is no cloud, but there. Pixel 2: none.
    np.testing.assert_allclose(truth.cover_fraction, [[0.75, 0.5, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(truth.optical_depth, [[0.8, 0.2, 0.0]], rtol=1e-6)
    assert truth.cloud.tolist() == [[True, False, False]]
    assert truth.kind.tolist() == [[STRATUS, CLEAR, CLEAR]]
    np.testing.assert_allclose(truth.top_height_km, [[1.0, 10.0, 0.0]])


def test_stored_arrays_decide_cloud() -> None:
    truth = small_scene("coast", "day").truth
    np.testing.assert_array_equal(truth.cloud, truth.cover_fraction * truth.optical_depth >= 0.15)
    np.testing.assert_array_equal(truth.kind != CLEAR, truth.cloud)
    assert {
        array.dtype for array in (truth.optical_depth, truth.cover_fraction, truth.top_height_km, truth.dbt8_k)
    } == {np.dtype(np.float32)}
    assert np.abs(truth.dbt8_k[truth.cover_fraction == 0]).max(initial=0) < 1e-3  # float32 of about 290 K


def test_temperatures_and_vapour_by_hand() -> None:
    np.testing.assert_allclose(zonal_temperature(np.array([0.0, 60.0, 90.0])), [302.0, 280.25, 273.0], rtol=1e-6)
    warm = precipitable_water(np.array([302.0], np.float32), np.array([0.0], np.float32))
    np.testing.assert_allclose(warm, [50.0], rtol=1e-6)


@pytest.mark.parametrize("theme", ["sea", "coast", "land", "snow", "ice", "glint"])
def test_surfaces_keep_their_bounds(theme: str) -> None:
    fields = make_surface_fields(EXTENT, theme, stream(5))
    x, y = np.meshgrid(np.arange(0, 60e3, 1e3), np.arange(0, 60e3, 1e3))
    polar = np.full(x.shape, 70.0)
    state = sample_surface(fields, x, y, polar, np.full(x.shape, 0.4, np.float32), (0.1, 0.6))
    assert state.skin_k[state.kind == SEA].min(initial=300) >= np.float32(271.35)
    assert state.skin_k[state.kind == SNOW].max(initial=200) <= 273
    assert state.skin_k[state.kind == ICE].min(initial=250) >= 250
    assert state.skin_k[state.kind == ICE].max(initial=271) <= 271
    assert state.wind_m_s.min() >= 2
    assert state.wind_m_s.max() <= 14
    assert (state.aerosol > 0).all()
    land = np.isin(state.kind, (VEGETATION, DESERT, SNOW)).mean()
    low, high = {"coast": (0.3, 0.6), "land": (0.9, 1.0), "snow": (0.85, 1.0)}.get(theme, (0.0, 0.1))
    assert low - 0.1 <= land <= high + 0.1  # thresholds are set on the field's grid, which reaches beyond the scene


def test_land_warms_by_day_and_cools_by_night() -> None:
    fields = make_surface_fields(EXTENT, "land", stream(5))
    x, y = np.meshgrid(np.arange(0, 60e3, 4e3), np.arange(0, 60e3, 4e3))
    by_mu = [
        sample_surface(fields, x, y, np.zeros(x.shape), np.full(x.shape, mu, np.float32), (0.1, 0.6))
        for mu in (0.5, -0.5)
    ]
    dry = np.isin(by_mu[0].kind, (VEGETATION, DESERT))
    # 15 * 0.5 + 5 = 12.5 K between day and night; float32 of about 300 K.
    np.testing.assert_allclose((by_mu[0].skin_k - by_mu[1].skin_k)[dry], 12.5, atol=1e-3)
    np.testing.assert_array_equal(by_mu[0].low_cloud_k, by_mu[1].low_cloud_k)


def test_layers_cover_the_share_that_was_drawn() -> None:
    only = replace(DEFAULT, kinds=(replace(DEFAULT.kinds[0], presence=1.0, cover=(0.4, 0.4)),))
    (layer,) = make_layers(EXTENT, only, stream(3))
    assert (layer.field.values > layer.threshold).mean() == pytest.approx(0.4, abs=0.02)  # quantile of every 4th cell
    rows, columns = layer.field.values.shape
    x, y = np.meshgrid(
        layer.field.x_origin_m + 500.0 * np.arange(columns), layer.field.y_origin_m + 500.0 * np.arange(rows)
    )
    fraction, depth = sample_layer(layer, x, y)
    assert np.median(depth[fraction > 0]) == pytest.approx(8.0, rel=0.05)
    assert depth.min() >= 0.3
    assert depth.max() <= 60


def test_there_is_always_a_layer_and_kinds_vary() -> None:
    small = Extent(0.0, 5e3, 0.0, 5e3)
    drawn = [tuple(layer.parameters.kind for layer in make_layers(small, DEFAULT, stream(n))) for n in range(40)]
    assert min(map(len, drawn)) >= 1
    assert len(set(drawn)) > 5
    assert {kind for kinds in drawn for kind in kinds} == {1, 2, 3, 4}


def test_footprint_of_an_even_layer_is_the_layer() -> None:
    field = Field(np.ones((40, 40), np.float32), -10e3, -10e3, 500.0)
    layer = CloudLayer(DEFAULT.kinds[1], field, threshold=0.0, median=1.0, height_km=2.0, top_k=None, top_excess_k=0.0)
    x, y = np.zeros(SHAPE), np.zeros(SHAPE)
    wide, (fraction, depth) = seen_footprints(layer, x, y, surface()), sample_layer(layer, x, y)
    np.testing.assert_allclose(wide.fraction, fraction, rtol=1e-6)
    np.testing.assert_allclose(wide.depth, depth, rtol=1e-6)
    # Cumulus top: 290 - 6.5 * 2 K.
    np.testing.assert_allclose(top_temperature(layer, surface()), 277.0, rtol=1e-6)
    assert layer.parameters.kind == CUMULUS


def test_footprint_averages_over_an_edge() -> None:
    # Cloud for x > 0 only, sharp: two of the four points of a pixel at 0 lie in it.
    x_grid = -10e3 + 500.0 * np.arange(41)
    field = Field(np.where(x_grid > 0, 5.0, -5.0).astype(np.float32)[None].repeat(41, 0), -10e3, -10e3, 500.0)
    layer = CloudLayer(replace(DEFAULT.kinds[0], edge=0.01), field, 1.0, 5.0, 1.0, None, 0.0)
    x = np.array([[-2e3, 250.0, 3e3]])
    result = seen_footprints(layer, x, np.zeros(SHAPE), surface())
    np.testing.assert_allclose(result.fraction, [[0.0, 0.5, 1.0]])
    np.testing.assert_allclose(result.depth, [[0.0, 8.0, 8.0]], rtol=1e-6)


def test_worlds_repeat_bit_for_bit_and_differ_by_seed() -> None:
    geometry = small_geometry("sea", "day")
    first, second = (make_world(geometry, (1800.0,) * 6, DEFAULT) for _ in range(2))
    other = make_world(replace(geometry, plan=replace(geometry.plan, seed=1)), (1800.0,) * 6, DEFAULT)
    for name in ("optical_depth", "cover_fraction", "skin_temperature_k", "dbt8_k"):
        np.testing.assert_array_equal(getattr(first.truth, name), getattr(second.truth, name))
    np.testing.assert_array_equal(first.observation.radiance, second.observation.radiance)
    np.testing.assert_array_equal(first.prior.skin_k, second.prior.skin_k)
    assert not np.array_equal(first.truth.optical_depth, other.truth.optical_depth)


def test_held_out_and_label_clouds_are_other_clouds() -> None:
    for other in (HELD_OUT, LABEL_TABLE):
        assert all(one != two for one, two in zip(DEFAULT.kinds, other.kinds, strict=True))
        assert other.aerosol != DEFAULT.aerosol
    assert HELD_OUT.prior != DEFAULT.prior
