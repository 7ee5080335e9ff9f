"""A Bayes-like cloud label, computed from the simulated observations and an imperfect prior, never from the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.features import clear_log_density, make_features
from preprocess.simulation.fields import Floats
from preprocess.simulation.geometry import Geometry
from preprocess.simulation.label_table import CloudTable, clear_texture_log_density, cloud_log_density, label_table
from preprocess.simulation.radiance import Observation
from preprocess.simulation.surface import Surface

SINGLE_LOW, SINGLE_MODERATE, DUAL_LOW, DUAL_MODERATE = 1, 2, 4, 8
LOW_ABOVE, MODERATE_ABOVE = 0.5, 0.9
PRIOR_CLEAR = 0.3


@dataclass(frozen=True)
class Label:
    """P(cloud) from the nadir view, and from the oblique S8, S9 in their place; the bits of `bayes_in`; all (R, C).

    `probability_single`, `probability_dual` float32 0..1, the latter equal to the former outside the dual swath;
    `bayes` uint8: 1 single_low (P >= 0.5), 2 single_moderate (P >= 0.9), 4 dual_low, 8 dual_moderate, the last two
    inside the dual swath only.
    """

    probability_single: Floats
    probability_dual: Floats
    bayes: NDArray[np.uint8]


def make_label(observation: Observation, geometry: Geometry, prior: Surface, irradiances: Sequence[float]) -> Label:
    """The label of a product from what it holds and a forecast; S4 and S6 are not looked at.

    `irradiances` of S1-S6, mW m-2 nm-1. Bayes' rule over a Gaussian clear density about the prior and a fixed cloud
    table, with P(clear) = 0.3 beforehand (after Merchant et al. 2005, Q. J. R. Meteorol. Soc. 131).
    """
    table = label_table()
    single = cloud_probability(observation, geometry, prior, irradiances, table, oblique=False)
    oblique = cloud_probability(observation, geometry, prior, irradiances, table, oblique=True)
    dual = np.where(geometry.in_dual_swath, oblique, single)
    return Label(single, dual, bayes_bits(single, dual, geometry.in_dual_swath))


def cloud_probability(
    observation: Observation,
    geometry: Geometry,
    prior: Surface,
    irradiances: Sequence[float],
    table: CloudTable,
    oblique: bool,
) -> Floats:
    """P(cloud | features, prior), (R, C) float32."""
    features = make_features(observation, geometry, prior, irradiances, oblique)
    clear = clear_log_density(features, geometry, prior, oblique) + clear_texture_log_density(table, features)
    return posterior(clear, cloud_log_density(table, features))


def posterior(log_clear: NDArray[np.floating], log_cloud: NDArray[np.floating]) -> Floats:
    """P(cloud) by Bayes' rule from the log densities of both classes, P(clear) = 0.3 beforehand; float32."""
    odds = np.log((1 - PRIOR_CLEAR) / PRIOR_CLEAR) + log_cloud - log_clear
    return (1 / (1 + np.exp(-np.clip(odds, -50, 50)))).astype(np.float32)


def bayes_bits(single: Floats, dual: Floats, in_dual_swath: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The bits of `bayes_in`: see `Label`."""
    return (
        SINGLE_LOW * (single >= LOW_ABOVE)
        + SINGLE_MODERATE * (single >= MODERATE_ABOVE)
        + DUAL_LOW * ((dual >= LOW_ABOVE) & in_dual_swath)
        + DUAL_MODERATE * ((dual >= MODERATE_ABOVE) & in_dual_swath)
    ).astype(np.uint8)
