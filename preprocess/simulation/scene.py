"""A simulated scene: what is there, what the instrument sees of it, and what a Bayes-like label makes of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preprocess.simulation.clouds import DEFAULT, HELD_OUT, CloudParameters
from preprocess.simulation.geometry import Geometry
from preprocess.simulation.label import Label, make_label
from preprocess.simulation.oblique import oblique_geometry, see_oblique
from preprocess.simulation.radiance import Observation
from preprocess.simulation.truth import Truth
from preprocess.simulation.world import World, make_world

__all__ = ["DEFAULT", "HELD_OUT", "CloudParameters", "SimulatedScene", "simulate_scene"]


@dataclass(frozen=True)
class SimulatedScene:
    """One product's geometry, truth, observation and label; and, if wanted, the same of its oblique view, on that
    view's own grid and without a label.
    """

    geometry: Geometry
    truth: Truth
    observation: Observation
    label: Label
    oblique: SimulatedScene | None = None


def simulate_scene(
    geometry: Geometry,
    irradiances: Sequence[float],
    parameters: CloudParameters = DEFAULT,
    views: Sequence[str] = ("nadir",),
) -> SimulatedScene:
    """Simulate one product: same geometry, irradiances (S1-S6, mW m-2 nm-1) and parameters, same bits.

    The label sees the quantised observation and an imperfect prior; the truth reaches it through radiances alone.
    "oblique" among `views` adds that view and changes nothing else.
    """
    world = make_world(geometry, irradiances, parameters)
    label = make_label(world.observation, geometry, world.prior, irradiances)
    oblique = _oblique_scene(world, geometry, irradiances, parameters) if "oblique" in views else None
    return SimulatedScene(geometry, world.truth, world.observation, label, oblique)


def _oblique_scene(
    world: World, nadir: Geometry, irradiances: Sequence[float], parameters: CloudParameters
) -> SimulatedScene:
    geometry = oblique_geometry(nadir)
    truth, observation = see_oblique(world, nadir, geometry, irradiances, parameters)
    unknown = np.full(geometry.x_in.shape, np.nan, np.float32)
    return SimulatedScene(geometry, truth, observation, Label(unknown, unknown, np.zeros(unknown.shape, np.uint8)))
