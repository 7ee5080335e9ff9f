"""The solar and thermal forward models against hand-computed cases; noise and packing of what the instrument sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preprocess.simulation.clouds import CIRRUS, DEFAULT, STRATUS, CloudLayer, SeenLayer
from preprocess.simulation.fields import Field, stream
from preprocess.simulation.radiance import (
    RADIANCE_SCALE,
    TEMPERATURE_OFFSET_K,
    TEMPERATURE_SCALE_K,
    is_night,
    observe_oblique,
    observe_thermal,
    quantise,
)
from preprocess.simulation.solar import (
    Angles,
    add_layer,
    cloud_reflectance,
    glint_reflectance,
    make_angles,
    path_reflectance,
    reflectance,
    sea_glint,
)
from preprocess.simulation.surface import SEA, SNOW, Surface
from preprocess.simulation.thermal import (
    EMISSIVITY,
    NOISE_K,
    S7,
    S8,
    S9,
    brightness_temperature,
    clear_radiance,
    cloudy_radiance,
    noisy_temperature,
    planck,
    sunlight_s7,
)
from tests.simulate_cases import IRRADIANCES, small_geometry, small_scene

ONE = np.ones((1, 1), np.float32)


def even(kind: int = SEA, skin_k: float = 290.0, water_mm: float = 0.0, shape: tuple[int, int] = (1, 1)) -> Surface:
    """An even surface under clean air of 280 K."""
    full = {"skin_k": skin_k, "low_cloud_k": skin_k, "air_k": 280.0, "water_mm": water_mm, "wind_m_s": 7.0}
    full |= {"elevation_km": 0.0, "brightness": 1.0, "aerosol": 0.0}
    return Surface(np.full(shape, kind, np.uint8), **{k: np.full(shape, v, np.float32) for k, v in full.items()})


def layer(ice: bool, height_km: float, depth: float, top_k: float, fraction: float = 1.0) -> SeenLayer:
    """One layer over one pixel."""
    return SeenLayer(CIRRUS if ice else STRATUS, ice, height_km, fraction * ONE, depth * ONE, top_k * ONE)


@pytest.mark.quick
@pytest.mark.parametrize("channel", [S7, S8, S9])
def test_planck_round_trip_and_value(channel: int) -> None:
    temperatures = np.linspace(180, 330, 31)
    np.testing.assert_allclose(brightness_temperature(channel, planck(channel, temperatures)), temperatures, rtol=1e-12)
    h, c, k = 6.62607015e-34, 299792458.0, 1.380649e-23  # SI, exact
    wavelength = (3.742e-6, 10.854e-6, 12.0225e-6)[channel]
    by_definition = 2 * h * c**2 / wavelength**5 / (np.exp(h * c / (wavelength * k * 300.0)) - 1) * 1e-6
    assert planck(channel, 300.0) == pytest.approx(by_definition, rel=1e-7)


def test_a_dry_clear_view_is_emissivity_times_planck_with_the_dry_transmission() -> None:
    through = np.exp(-0.02 / 0.5)
    by_hand = through * 0.991 * planck(S8, 290.0) + (1 - through) * planck(S8, 280.0)
    assert clear_radiance(S8, even(), 0.5 * ONE) == pytest.approx(np.array([[by_hand]]), rel=1e-6)
    assert EMISSIVITY[S8][SEA] == pytest.approx(0.991)


def test_one_layer_over_a_surface_by_hand() -> None:
    clear = np.array([[8.0]], np.float32)
    opacity = 0.5 * (1 - np.exp(-0.45 * 0.3 / 0.8))  # half covered by ice of optical depth 0.3, kappa 0.45
    by_hand = opacity * planck(S8, 220.0) + (1 - opacity) * 8.0
    result = cloudy_radiance(S8, clear, [layer(True, 10, 0.3, 220.0, 0.5)], 0.8 * ONE)
    assert result == pytest.approx(np.array([[by_hand]]), rel=1e-6)


def test_layers_are_stacked_by_height_whatever_their_order() -> None:
    clear = np.array([[8.0]], np.float32)
    low, high = layer(False, 1, 50, 285.0), layer(True, 10, 50, 220.0)
    for order in ([low, high], [high, low]):
        # Thick ice above hides what is below: its Planck radiance, to exp(-0.45 * 50).
        assert cloudy_radiance(S8, clear, order, ONE) == pytest.approx(np.array([[planck(S8, 220.0)]]), rel=1e-5)


def test_a_layer_without_temperature_is_refused() -> None:
    bare = SeenLayer(STRATUS, False, 1.0, ONE, ONE)
    with pytest.raises(ValueError, match="needs top_k"):
        cloudy_radiance(S8, ONE, [bare], ONE)


def test_night_stratus_is_colder_in_s7_and_cirrus_warmer() -> None:
    def difference(one: SeenLayer) -> float:
        radiances = [cloudy_radiance(c, clear_radiance(c, even(), ONE), [one], ONE) for c in (S7, S8)]
        return float((brightness_temperature(S7, radiances[0]) - brightness_temperature(S8, radiances[1])).item())

    # Emissivity 0.85 at 3.74 um, 287 K: dT = -ln(0.85) * T^2 lambda / c2 = 3.5 K.
    assert difference(layer(False, 0.5, 20, 287.0)) == pytest.approx(-3.5, abs=0.2)
    assert difference(layer(True, 10, 1.0, 220.0)) > 5


def test_sunlight_in_s7_by_hand() -> None:
    bare = sunlight_s7(even(), [], 0.5 * ONE, ONE, 0.02 * ONE)
    assert bare == pytest.approx(np.array([[0.03 * 0.5 * 11 / np.pi]]), rel=1e-6)
    thick = sunlight_s7(even(), [layer(False, 1, 100, 280.0)], 0.5 * ONE, ONE, 0 * ONE)
    assert thick == pytest.approx(np.array([[0.15 * 0.5 * 11 / np.pi]]), rel=1e-6)
    assert sunlight_s7(even(), [], -0.5 * ONE, ONE, ONE).item() == 0


def test_noise_is_as_stated_at_270_k_and_grows_in_the_cold() -> None:
    shape = (400, 500)
    for channel in (S7, S8, S9):
        radiance = np.full(shape, planck(channel, 270.0), np.float32)
        # 200 000 draws: standard error of a standard deviation 0.16 %; the Planck curve's bend adds below 1 %.
        assert noisy_temperature(channel, radiance, stream(1)).std() == pytest.approx(NOISE_K[channel], rel=0.02)
    cold = np.full(shape, planck(S7, 230.0), np.float32)
    assert noisy_temperature(S7, cold, stream(1)).std() > 5 * NOISE_K[S7]
    hot = np.full(shape, planck(S7, 320.0), np.float32)
    assert noisy_temperature(S7, hot, stream(1)).max() == 311


@pytest.mark.quick
def test_adding_a_layer_by_hand() -> None:
    # 0.5 + 0.25 * 0.2 / (1 - 0.5 * 0.2)
    assert add_layer(np.float32(0.2), np.float32(0.5)) == pytest.approx(0.5 + 0.05 / 0.9, rel=1e-6)
    # Black ground: the layer alone; a white one sends all back.
    assert add_layer(np.float32(0.0), np.float32(0.3)) == pytest.approx(0.3)
    assert add_layer(np.float32(1.0), np.float32(0.3)) == pytest.approx(1.0)


def test_cloud_over_glint_brighter_than_white_is_no_brighter_than_white() -> None:
    """Adding it as it is would be singular: 1 / (1 - R rho), with R 0.5 and a glint of 3 below 0."""
    angles, cloud = Angles(0.1 * ONE, ONE, ONE), [layer(True, 8, 8.0, 220.0)]
    for glint in (1.0, 1.9, 2.0, 3.0):
        assert reflectance(0, even(SEA), angles, glint * ONE, []).item() > 1
        assert reflectance(0, even(SEA), angles, glint * ONE, cloud).item() == pytest.approx(1.0, rel=1e-6)


def test_cloud_reflectance_by_hand() -> None:
    # Water, tau 20: (1 - 0.85) * 20 = 3, 3 / 5 = 0.6, in S6 0.65 of it. Ice: 0.25 * 8 = 2, half, in S5 0.45 of it.
    assert cloud_reflectance(0, False, 20 * ONE).item() == pytest.approx(0.6, rel=1e-5)
    assert cloud_reflectance(5, False, 20 * ONE).item() == pytest.approx(0.39, rel=1e-5)
    assert cloud_reflectance(4, True, 8 * ONE).item() == pytest.approx(0.225, rel=1e-5)


def test_glint_peaks_where_the_sun_is_mirrored() -> None:
    azimuths = np.array([[0.0, 90.0, 150.0, 180.0]])
    glint = glint_reflectance(
        make_angles(30.0 + 0 * azimuths, 30.0 + 0 * azimuths, azimuths), 7.0 * np.ones_like(azimuths)
    )
    assert np.all(np.diff(glint[0]) > 0)
    # No tilt: r / (4 mu^2 s2) with s2 = 0.003 + 0.00512 * 7.
    by_hand = 0.02 / (4 * np.cos(np.radians(30)) ** 2 * (0.003 + 0.00512 * 7))
    assert glint[0, 3] == pytest.approx(by_hand, rel=1e-4)
    # Sun at the zenith, view at 40 degrees: facets tilted by 20 degrees.
    tilted = glint_reflectance(make_angles(np.zeros((1, 1)), np.full((1, 1), 40.0), np.zeros((1, 1))), 7 * ONE)
    s2, b = 0.03884, np.radians(20)
    by_hand = 0.02 * np.exp(-(np.tan(b) ** 2) / s2) / (4 * np.cos(np.radians(40)) * s2 * np.cos(b) ** 4)
    assert tilted.item() == pytest.approx(by_hand, rel=1e-4)
    night = Angles(-0.1 * ONE, ONE, ONE)
    assert sea_glint(even(), night).item() == 0


def test_thin_air_reflects_by_the_usual_formula_and_never_more_than_all() -> None:
    angles = Angles(0.8 * ONE, 0.9 * ONE, 0.5 * ONE)
    usual = 0.001 * 0.75 * (1 + 0.25) / (4 * 0.8 * 0.9)
    assert path_reflectance(angles, 0.001).item() == pytest.approx(usual, rel=2e-3)  # next order: tau (1/mu + 1/mu) / 2
    low = Angles(-0.2 * ONE, 0.9 * ONE, 0.0 * ONE)
    assert 0 < path_reflectance(low, 0.3).item() < 1


def test_only_dry_air_shows_the_ground_at_1375_nm() -> None:
    angles = Angles(0.5 * ONE, ONE, ONE)
    dry, wet = (reflectance(3, even(SNOW, 250.0, water), angles, 0 * ONE, []).item() for water in (0.5, 10.0))
    # Snow's 0.55 dimmed by exp(-0.5 * 0.5 * (2 + 1)).
    assert dry == pytest.approx(0.55 * np.exp(-0.75), rel=1e-5)
    assert wet < 1e-6
    cirrus = reflectance(3, even(SNOW, 250.0, 10.0), angles, 0 * ONE, [layer(True, 10, 2.0, 220.0)]).item()
    # 0.25 * 2 = 0.5, 0.5 / 2.5 = 0.2, dimmed by the vapour above 10 km; the ground is 1e-7.
    assert cirrus == pytest.approx(0.2 * np.exp(-0.5 * 10 * np.exp(-5) * 3), rel=1e-4)


@pytest.mark.quick
def test_packing_keeps_half_a_step_and_is_final() -> None:
    values = np.array([0.0, 1.004, 250.126, np.nan, 1e6], np.float32)
    packed = quantise(values, 0.01, 0.0)
    np.testing.assert_allclose(packed, [0.0, 1.0, 250.13, np.nan, 327.67], rtol=1e-6)
    np.testing.assert_array_equal(quantise(packed, 0.01, 0.0), packed)


def test_observations_are_what_the_files_can_hold() -> None:
    seen = small_scene("coast", "day").observation
    for channel, scale in enumerate(RADIANCE_SCALE):
        counts = seen.radiance[channel].astype(np.float64) / scale
        assert np.abs(counts).max() <= 32767
        assert np.abs(counts - np.round(counts)).max() < 5e-3  # float32 of up to 655 has steps of 6e-5, over 0.01
    for temperatures in (seen.bt, seen.bt_oblique):
        counts = (temperatures.astype(np.float64) - TEMPERATURE_OFFSET_K) / TEMPERATURE_SCALE_K
        assert np.abs(counts - np.round(counts)).max() < 5e-3
    assert seen.bt[S7].max() <= 311
    assert seen.bt[1:].min() > 180
    rows, columns = small_geometry("coast", "day").x_in.shape
    assert seen.radiance.shape == (6, 2 * rows, 2 * columns)
    assert (seen.bt.shape, seen.bt_oblique.shape) == ((3, rows, columns), (2, rows, columns))
    assert {seen.radiance.dtype, seen.bt.dtype, seen.bt_oblique.dtype} == {np.dtype(np.float32)}


def test_night_has_no_solar_channels_and_twilight_has_faint_ones() -> None:
    assert is_night(small_geometry("sea", "night"))
    assert np.isnan(small_scene("sea", "night").observation.radiance).all()
    assert not small_scene("sea", "night").observation.glint.any()
    twilight = small_scene("sea", "twilight").observation.radiance
    assert np.isfinite(twilight).all()
    assert np.median(twilight[0]) < 0.2 * np.median(small_scene("sea", "day").observation.radiance[0])


def test_clear_and_overcast_day_radiances_are_plausible() -> None:
    geometry, scene = small_geometry("sea", "day"), small_scene("sea", "day")
    light = np.cos(np.radians(geometry.solar_zenith_in.mean()))
    reflected = np.pi * scene.observation.radiance[0] / (IRRADIANCES[0] * light)
    assert 0.03 < np.percentile(reflected, 2) < 0.3  # sea and air
    assert np.percentile(reflected, 99.9) < 1.2


def edge_layer(edge_m: float, y_low: float) -> CloudLayer:
    """An overcast of ice at 10 km for y > edge_m, with a sharp edge, on a field that begins at y_low."""
    y = y_low + 500.0 * np.arange(400)
    values = np.where(y > edge_m, 5.0, -5.0).astype(np.float32)[:, None].repeat(400, 1)
    kind = replace(DEFAULT.kinds[3], edge=0.01, tau_median=3.0)
    return CloudLayer(kind, Field(values, -1e6, y_low, 500.0), 1.0, 5.0, 10.0, 220.0, 0.0)


def test_the_oblique_view_sees_high_cloud_displaced_along_the_track() -> None:
    geometry = small_geometry("sea", "day")
    state = even(shape=geometry.x_in.shape)
    y = geometry.y_in[:, 30]
    high = edge_layer(float(y[40]), float(y.min()) - 20e3)
    (oblique, _) = observe_oblique(state, [high], geometry, stream(1))
    first = np.flatnonzero(oblique[:, 30] < 270)[0]
    displaced = 10e3 * np.tan(np.radians(geometry.sat_zenith_oblique_in[:, 30].mean()))
    assert y[40] - y[first] == pytest.approx(displaced, abs=1500)  # a pixel, and the saw-tooth of positions
    glint = np.zeros(geometry.x_in.shape, np.float32)
    bt, cooling = observe_thermal(state, [], geometry, glint, stream(1))
    assert np.abs(cooling).max() < 1e-3
    assert np.median(bt[S9]) < np.median(bt[S8]) < 290
