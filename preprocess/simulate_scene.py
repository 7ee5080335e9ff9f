"""A simulated scene: what is there, what the instrument sees of it, and what a Bayes-like label makes of that."""

from __future__ import annotations

from dataclasses import dataclass

from preprocess.simulate_clouds import DEFAULT, HELD_OUT, CloudParameters
from preprocess.simulate_geometry import Geometry
from preprocess.simulate_label import Label
from preprocess.simulate_radiance import Observation
from preprocess.simulate_truth import Truth

__all__ = ["DEFAULT", "HELD_OUT", "CloudParameters", "SimulatedScene"]


@dataclass(frozen=True)
class SimulatedScene:
    """One product's geometry, truth, observation and label."""

    geometry: Geometry
    truth: Truth
    observation: Observation
    label: Label
