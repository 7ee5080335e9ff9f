"""Small simulated scenes that the simulator's tests share."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from preprocess.simulation.clouds import DEFAULT, CloudParameters
from preprocess.simulation.geometry import Geometry, make_geometry
from preprocess.simulation.plan import plan_archive
from preprocess.simulation.scene import SimulatedScene, simulate_scene

IRRADIANCES = (1858.95, 1538.22, 968.2, 370.08, 248.21, 78.35)


@cache
def small_geometry(theme: str, illumination: str, number: int = 0) -> Geometry:
    """Product `number` of that kind in a simulated archive, cut to 48 x 64 pixels."""
    plans = plan_archive(120, "small", 3)
    alike = [plan for plan in plans if (plan.theme, plan.illumination, plan.copy_of) == (theme, illumination, None)]
    return make_geometry(replace(alike[number], rows=48, columns=64, labelled=True))


@cache
def small_scene(
    theme: str, illumination: str, number: int = 0, parameters: CloudParameters = DEFAULT
) -> SimulatedScene:
    """A scene over `small_geometry`."""
    return simulate_scene(small_geometry(theme, illumination, number), IRRADIANCES, parameters)
