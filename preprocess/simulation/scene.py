"""A simulated scene: what is there, what the instrument sees of it, and what a Bayes-like label makes of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from preprocess.simulation.clouds import DEFAULT, HELD_OUT, CloudParameters
from preprocess.simulation.geometry import Geometry
from preprocess.simulation.label import Label, make_label
from preprocess.simulation.radiance import Observation
from preprocess.simulation.truth import Truth
from preprocess.simulation.world import make_world

__all__ = ["DEFAULT", "HELD_OUT", "CloudParameters", "SimulatedScene", "simulate_scene"]


@dataclass(frozen=True)
class SimulatedScene:
    """One product's geometry, truth, observation and label."""

    geometry: Geometry
    truth: Truth
    observation: Observation
    label: Label


def simulate_scene(
    geometry: Geometry, irradiances: Sequence[float], parameters: CloudParameters = DEFAULT
) -> SimulatedScene:
    """Simulate one product: same geometry, irradiances (S1-S6, mW m-2 nm-1) and parameters, same bits.

    The label sees the quantised observation and an imperfect prior; the truth reaches it through radiances alone.
    """
    world = make_world(geometry, irradiances, parameters)
    label = make_label(world.observation, geometry, world.prior, irradiances)
    return SimulatedScene(geometry, world.truth, world.observation, label)
