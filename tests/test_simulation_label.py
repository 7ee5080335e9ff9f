"""The label: Bayes' rule by hand, its tables, and what it may and may not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from preprocess.simulation.clouds import DEFAULT, HELD_OUT
from preprocess.simulation.features import log_gaussian, make_features, texture
from preprocess.simulation.label import Label, bayes_bits, make_label, posterior
from preprocess.simulation.label_errors import GROUND, SKIES, count_errors, error_rows, label_errors
from preprocess.simulation.label_table import bins, conditional_density, label_table
from preprocess.simulation.surface import SEA
from preprocess.simulation.world import World, make_world
from tests.simulate_cases import IRRADIANCES, small_geometry, small_scene

CASES = [("sea", "day"), ("sea", "night"), ("coast", "day"), ("ice", "twilight")]


def world(theme: str, illumination: str, number: int = 0) -> World:
    """The world behind `small_scene` of the same arguments."""
    return make_world(small_geometry(theme, illumination, number), IRRADIANCES, DEFAULT)


@pytest.mark.quick
def test_posterior_by_hand() -> None:
    # Equal densities leave the prior, P(cloud) = 0.7; clear 7 times as likely gives 0.7 / (0.7 + 0.3 * 7) = 0.25.
    np.testing.assert_allclose(posterior(np.log([1.0, 7.0]), np.log([1.0, 1.0])), [0.7, 0.25], rtol=1e-6)
    np.testing.assert_allclose(posterior(np.array([-1e4, 0.0]), np.array([0.0, -1e4])), [1.0, 0.0], atol=1e-12)


@pytest.mark.quick
def test_bits_by_hand() -> None:
    single = np.array([0.49, 0.5, 0.9, 0.0, 0.0], np.float32)
    dual = np.array([0.0, 0.5, 0.95, 0.6, 0.99], np.float32)
    inside = np.array([True, True, True, True, False])
    assert bayes_bits(single, dual, inside).tolist() == [0, 1 + 4, 1 + 2 + 4 + 8, 4, 0]


def test_log_gaussian_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    root, x = rng.normal(size=(5, 3, 3)), rng.normal(size=(5, 3))
    covariance = root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(3)
    expected = [stats.multivariate_normal(cov=c).logpdf(v) for c, v in zip(covariance, x, strict=True)]
    np.testing.assert_allclose(log_gaussian(x, covariance), expected, rtol=1e-9)


def test_densities_integrate_to_one() -> None:
    edges = [np.array([0.0, 1.0, 4.0]), np.array([-1.0, 0.0, 0.5, 2.0])]
    counts = np.arange(24.0).reshape(4, 2, 3)
    counts[2] = 0  # never seen: uniform in the bins
    density = conditional_density(counts, edges, given=1)
    volume = np.diff(edges[0])[:, None] * np.diff(edges[1])[None, :]
    np.testing.assert_allclose((density * volume).sum(axis=(1, 2)), 1.0, rtol=1e-12)
    assert (density > 0).all()


def test_bins_reach_to_infinity() -> None:
    edges = np.array([0.0, 1.0, 3.0])
    assert bins(np.array([-9.0, 0.5, 1.0, 9.0, np.nan]), edges).tolist() == [0, 0, 1, 1, 1]


def test_texture_of_a_step_by_hand() -> None:
    step = np.full((5, 6), 290.0, np.float32)
    step[:, 3:] = 287.0
    # Columns 2 and 3 see six values of one kind and three of the other: deviation 3 sqrt(2) / 3 K.
    result = texture(step)
    np.testing.assert_allclose(
        result[2, [0, 2, 3, 5]], np.log10([0.01, np.sqrt(2) + 0.01, np.sqrt(2) + 0.01, 0.01]), atol=1e-4
    )


@pytest.mark.parametrize(("theme", "illumination"), CASES)
def test_the_label_depends_on_observation_geometry_and_prior_alone(theme: str, illumination: str) -> None:
    geometry, scene = small_geometry(theme, illumination), small_scene(theme, illumination)
    seen = world(theme, illumination)
    # What the truth says is not even passed; the scene's label is what observation and prior give, bit for bit.
    again = make_label(seen.observation, geometry, seen.prior, IRRADIANCES)
    np.testing.assert_array_equal(again.bayes, scene.label.bayes)
    np.testing.assert_array_equal(again.probability_single, scene.label.probability_single)


def test_the_label_never_looks_at_s4_and_s6() -> None:
    geometry, seen = small_geometry("coast", "day"), world("coast", "day")
    radiance = seen.observation.radiance.copy()
    radiance[[3, 5]] = np.nan
    blind = make_label(replace(seen.observation, radiance=radiance), geometry, seen.prior, IRRADIANCES)
    np.testing.assert_array_equal(blind.bayes, small_scene("coast", "day").label.bayes)


def test_the_label_is_no_function_of_the_channels_and_its_errors_no_independent_flips() -> None:
    geometry, seen, label = small_geometry("sea", "night"), world("sea", "night"), small_scene("sea", "night").label
    cooler = replace(seen.prior, skin_k=seen.prior.skin_k - 2)
    other = make_label(seen.observation, geometry, cooler, IRRADIANCES)
    assert np.abs(other.probability_single - label.probability_single).max() > 0.5
    for case in CASES:
        wrong = (small_scene(*case).label.probability_single >= 0.5) != small_scene(*case).truth.cloud
        share, pairs = wrong.mean(), (wrong[:, 1:] & wrong[:, :-1]).mean()
        # Independent flips would give pairs = share squared, errors in patches nearly share.
        assert 0 < share < 1
        assert pairs > share**2 + 0.1 * share * (1 - share)


def test_the_prior_knows_nothing_of_clouds() -> None:
    geometry = small_geometry("coast", "day")
    other = make_world(geometry, IRRADIANCES, replace(HELD_OUT, aerosol=DEFAULT.aerosol, prior=DEFAULT.prior))
    for name in ("kind", "skin_k", "air_k", "water_mm", "wind_m_s"):
        np.testing.assert_array_equal(getattr(other.prior, name), getattr(world("coast", "day").prior, name))


def test_the_prior_is_imperfect_as_stated() -> None:
    seen = world("ice", "twilight")
    assert set(np.unique(seen.prior.kind)) <= {0, 1, 2, 3}  # no ice
    assert not seen.prior.aerosol.any()
    seen = world("sea", "day")
    sea = (seen.truth.surface == SEA) & (seen.prior.kind == SEA)
    error = (seen.prior.skin_k - seen.truth.skin_temperature_k)[sea]
    assert 0 < np.abs(error).max() < 4  # 0.3 + 0.8 G over a scene smaller than the error's scale
    assert error.std() < 1.0


def test_features_are_there_where_their_light_is() -> None:
    day = make_features(
        world("sea", "day").observation, small_geometry("sea", "day"), world("sea", "day").prior, IRRADIANCES
    )
    assert np.isfinite(day.s3).all()
    assert np.isnan(day.s7_s8).all()
    dark = world("sea", "night")
    night = make_features(dark.observation, small_geometry("sea", "night"), dark.prior, IRRADIANCES)
    assert np.isnan(night.s3).all()
    assert np.isfinite(night.s7_s8).all()


def test_the_table_is_built_once() -> None:
    assert label_table() is label_table()
    assert all(np.isfinite(part).all() for part in (label_table().thermal, label_table().night, label_table().day))


@pytest.mark.parametrize(("theme", "illumination"), CASES)
def test_the_dual_view_repeats_the_single_one_outside_its_swath(theme: str, illumination: str) -> None:
    scene = small_scene(theme, illumination)
    outside = ~scene.geometry.in_dual_swath
    label = scene.label
    np.testing.assert_array_equal(label.probability_dual[outside], label.probability_single[outside])
    assert not (label.bayes[outside] & 12).any()
    assert label.bayes.dtype == np.uint8


def test_thick_cloud_is_found_and_errors_emerge() -> None:
    cases = [*CASES, ("land", "day"), ("glint", "day"), ("snow", "night")]
    counts = sum(count_errors(small_scene(*case, number)) for case in cases for number in range(3))
    by_sky = counts.sum(axis=(0, 2))
    share = dict(zip(SKIES, by_sky[:, 2] / np.maximum(by_sky[:, 0], 1), strict=True))
    thick = by_sky[[SKIES.index(kind) for kind in ("stratus", "cirrus", "convection")]].sum(axis=0)
    assert thick[2] / thick[0] > 0.85
    assert share["clear"] < share["faint cloud"] < share["thin cirrus"]
    ice = counts[GROUND.index("ice"), SKIES.index("clear")].sum(axis=0)
    sea = counts[GROUND.index("sea"), SKIES.index("clear")].sum(axis=0)
    coast = counts[GROUND.index("coast"), SKIES.index("clear")].sum(axis=0)
    assert sea[2] / sea[0] < 0.35
    assert ice[2] / ice[0] > 0.5  # the prior knows no ice
    assert coast[2] / coast[0] > sea[2] / sea[0]


def test_error_table_by_hand() -> None:
    scene = small_scene("sea", "night")
    shape = scene.truth.cloud.shape
    half = np.zeros(shape, bool)
    half[: shape[0] // 2] = True
    empty = np.zeros(shape, np.float32)
    truth = replace(
        scene.truth,
        surface=np.zeros(shape, np.uint8),
        cloud=half,
        kind=np.where(half, 1, 0).astype(np.uint8),
        cover_fraction=half.astype(np.float32),
        optical_depth=np.where(half, 8, 0).astype(np.float32),
    )
    bits = np.zeros(shape, np.uint8)
    bits[::2] = 5  # every other row, in both halves
    bits[1] = 4  # and one cloudy row by the oblique view alone
    rows = label_errors([replace(scene, truth=truth, label=Label(empty, empty, bits))])
    assert [(row["surface"], row["kind"], row["time_of_day"], row["count"]) for row in rows] == [
        ("sea", "clear", "night", 24 * 64),
        ("sea", "stratus", "night", 24 * 64),
    ]
    assert rows[0]["false_alarm_share"] == pytest.approx(0.5)
    assert rows[0]["miss_share"] is None
    assert rows[1]["miss_share"] == pytest.approx(11 / 24)
    assert rows[1]["single_view_share"] == pytest.approx(0.5)


def test_unlabelled_scenes_have_no_label_errors() -> None:
    scene = small_scene("sea", "night")
    plan = replace(scene.geometry.plan, labelled=False)
    assert label_errors([replace(scene, geometry=replace(scene.geometry, plan=plan))]) == []
    assert error_rows(count_errors(scene)) == label_errors([scene])
    assert sum(row["count"] for row in label_errors([scene])) == scene.truth.cloud.size
