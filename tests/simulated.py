"""A simulated scene made by hand, for tests of the writers: random where nothing is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from preprocess.simulation.geometry import make_geometry
from preprocess.simulation.label import Label
from preprocess.simulation.plan import ProductPlan, plan_archive
from preprocess.simulation.radiance import RADIANCE_SCALE, Observation, quantise
from preprocess.simulation.scene import SimulatedScene
from preprocess.simulation.truth import Truth


def small_plan(index: int = 0, rows: int = 24, columns: int = 40) -> ProductPlan:
    """The plan of product `index` of a small archive, cut down; its name and light stay."""
    return replace(plan_archive(index + 1, "small", 0)[index], rows=rows, columns=columns, nadir_column=-300)


def random_scene(plan: ProductPlan) -> SimulatedScene:
    """A scene of `plan` with random contents, quantised as files hold it; all sea but for land in the first columns."""
    draws = np.random.default_rng(plan.seed)
    geometry = make_geometry(plan)
    shape, fine = (plan.rows, plan.columns), (6, 2 * plan.rows, 2 * plan.columns)
    radiance = np.stack(
        [
            quantise(part, scale, 0.0)
            for part, scale in zip(draws.random(fine, np.float32) * 60, RADIANCE_SCALE, strict=True)
        ]
    )
    if plan.illumination == "night":
        radiance[:] = np.nan
    bt = quantise(260 + 30 * draws.random((3, *shape), np.float32), 0.01, 283.73)
    surface = np.zeros(shape, np.uint8)
    surface[:, :4] = 1
    number = draws.random(shape, np.float32)
    truth = Truth(number, number, number, number, surface, surface, number > 0.5, 280 + number, number)
    observation = Observation(radiance, bt, bt[1:], draws.random(shape) > 0.9)
    label = Label(number, number, draws.integers(0, 16, shape).astype(np.uint8))
    return SimulatedScene(geometry, truth, observation, label)
