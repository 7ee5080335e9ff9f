"""The cloud and snow tests of simulated flag words: pixel by pixel, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preprocess.simulation.flags import (
    FOG,
    GROSS_CLOUD,
    MEDIUM_HIGH,
    SPATIAL_COHERENCE,
    THIN_CIRRUS,
    THRESHOLD_137,
    VISIBLE,
    cloud_words,
    observed_reflectance,
    snow,
)
from preprocess.simulation.quality import IRRADIANCES
from preprocess.simulation.scene import SimulatedScene
from tests.simulated import random_scene, small_plan

DAY, NIGHT = 0, 2


def clear_sea(place: int) -> SimulatedScene:
    """A scene of dark, level sea at the zonal climate (about 290 K), S9 1 K below S8, reflectance 0.02 by day."""
    scene = random_scene(small_plan(place))
    climate = 273 + 29 * np.cos(np.radians(scene.geometry.latitude_in.mean())) ** 2
    bt = np.full_like(scene.observation.bt, climate)
    bt[2] -= 1.0
    mu = np.cos(np.radians(scene.geometry.solar_zenith_in)).repeat(2, 0).repeat(2, 1)
    light = np.asarray(IRRADIANCES)[:, None, None] * mu / np.pi
    radiance = (0.02 * light).astype(np.float32) if place == DAY else scene.observation.radiance
    nowhere = np.zeros_like(scene.observation.glint)
    observation = replace(scene.observation, bt=bt, radiance=radiance, glint=nowhere)
    return replace(scene, observation=observation, truth=replace(scene.truth, surface=nowhere.astype(np.uint8)))


def changed(scene: SimulatedScene, **observation: np.ndarray) -> SimulatedScene:
    return replace(scene, observation=replace(scene.observation, **observation))


@pytest.mark.quick
def test_reflectance_is_undone_radiance() -> None:
    lit, reflectance = observed_reflectance(clear_sea(DAY))
    assert lit.all()
    assert np.allclose(reflectance, 0.02, rtol=1e-3)  # the sun of the 1 km pixel, for four of 500 m
    lit, reflectance = observed_reflectance(clear_sea(NIGHT))
    assert not lit.any()
    assert (reflectance == 0).all()


@pytest.mark.parametrize("place", [DAY, NIGHT])
def test_clear_sea_passes_every_test(place: int) -> None:
    assert (cloud_words(clear_sea(place)) == 0).all()


def test_thermal_tests_by_night() -> None:
    """One pixel each, far apart: 20 K colder; S9 6 K lower; S7 3 K below S8; S7 12 K above S9."""
    scene = clear_sea(NIGHT)
    bt = scene.observation.bt.copy()
    bt[:, 4, 4] -= 20.0
    bt[2, 4, 20] -= 5.0
    bt[0, 16, 4] -= 3.0
    bt[0, 16, 20] += 11.5
    words = cloud_words(changed(scene, bt=bt))
    around = words[3:6, 3:6]
    assert ((around & SPATIAL_COHERENCE) > 0).all()
    assert words[4, 4] == GROSS_CLOUD | SPATIAL_COHERENCE
    assert words[4, 20] == THIN_CIRRUS
    assert words[16, 4] == FOG
    assert words[16, 20] == MEDIUM_HIGH
    assert np.count_nonzero(words) == 9 + 3


def test_solar_tests_by_day() -> None:
    """One 1 km pixel each: S4 of 0.05; S3 of 0.3; and that S3 in glint, which is let pass."""
    scene = clear_sea(DAY)
    radiance = scene.observation.radiance.copy()
    radiance[3, 8:10, 8:10] *= 2.5
    radiance[2, 8:10, 40:42] *= 15
    radiance[2, 32:34, 8:10] *= 15
    glint = scene.observation.glint.copy()
    glint[16, 4] = True
    words = cloud_words(changed(scene, radiance=radiance, glint=glint))
    assert words[4, 4] == THRESHOLD_137
    assert words[4, 20] == VISIBLE
    assert np.count_nonzero(words) == 2


def test_snow_is_cold_bright_and_dark_in_s5() -> None:
    """S1 of 0.9 and S5 of 0.1 at 270 K is snow, and no cloud by the visible test; at 280 K it is not."""
    scene = clear_sea(DAY)
    radiance, bt = scene.observation.radiance.copy(), scene.observation.bt.copy()
    radiance[[0, 1, 2]] *= 45
    radiance[4] *= 5
    bt[:, :, :20], bt[:, :, 20:] = 270.0, 280.0
    frozen = changed(scene, radiance=radiance, bt=bt)
    assert snow(frozen)[:, :20].all()
    assert not snow(frozen)[:, 20:].any()
    visible = (cloud_words(frozen) & VISIBLE) > 0
    assert not visible[:, :20].any()
    assert visible[:, 20:].all()
