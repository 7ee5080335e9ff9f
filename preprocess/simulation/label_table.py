"""How likely cloud makes the label's features: fixed tables, drawn from other clouds than any archive holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from preprocess.simulation.clouds import LABEL_TABLE
from preprocess.simulation.features import Features, make_features
from preprocess.simulation.geometry import make_geometry
from preprocess.simulation.plan import ProductPlan, plan_archive
from preprocess.simulation.world import World, make_world

TABLE_SEED = 271828
TABLE_PRODUCTS = 40
TABLE_PIXELS = 80
TABLE_IRRADIANCES = (1850.0, 1540.0, 970.0, 370.0, 248.0, 78.0)
GROUPS = 3
SMOOTHING_BINS = 0.8
# Weight of a uniform density mixed in, so that what the draw never showed is unlikely, not impossible.
UNIFORM_SHARE = 0.02

S8_EDGES = np.concatenate(
    [np.geomspace(120, 3, 17) * -1, [-2.2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2.2, 3, 4, 6, 9, 14, 25]]
)
S8_S9_EDGES = np.array(
    [-8, -4, -2.5, -1.7, -1.2, -0.9, -0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6, 0.9, 1.2, 1.7, 2.5, 3.5, 5, 8, 14]
)
TEXTURE_EDGES = np.linspace(-2.0, 1.6, 19)
S7_S8_EDGES = np.array(
    [-40, -20, -10, -6, -4, -3, -2.2, -1.5, -1, -0.6, -0.3, 0, 0.3, 0.6, 1, 1.5, 2.2, 3, 4.5, 7, 12, 30]
)
REFLECTANCE_EDGES = np.array(
    [-0.05, 0.02, 0.04, 0.06, 0.09, 0.12, 0.16, 0.2, 0.26, 0.33, 0.41, 0.5, 0.6, 0.72, 0.86, 1.0, 3.0]
)
COARSE_S8_EDGES = np.array([-120.0, -30, -15, -8, -4, -2, 0, 2, 5, 25])


@dataclass(frozen=True)
class CloudTable:
    """Log densities per unit of each feature (K, log10 K, reflectance).

    `thermal` (S8, S8-S9, texture) of cloud; `night` of S7-S8 given (S8, S8-S9); `day` of (S3, S5) given (group, coarse
    S8); `clear_texture` of the texture of clear sky given the group, which has no Gaussian shape.
    """

    thermal: NDArray[np.float64]
    night: NDArray[np.float64]
    day: NDArray[np.float64]
    clear_texture: NDArray[np.float64]


def bins(values: NDArray[np.floating], edges: NDArray[np.floating]) -> NDArray[np.intp]:
    """Number of the bin each value lies in; the first and last bins reach to infinity; NaN counts as the last."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def conditional_density(
    counts: NDArray[np.floating], edges: list[NDArray[np.floating]], given: int
) -> NDArray[np.float64]:
    """Density over the last axes given the first `given` ones, from smoothed counts; each integrates to 1.

    `edges` are those of the last axes. Counts are smoothed by 0.8 bins along every axis but a leading group's.
    """
    sigma = [0.0 if counts.shape[axis] == GROUPS else SMOOTHING_BINS for axis in range(counts.ndim)]
    smooth = ndimage.gaussian_filter(np.asarray(counts, np.float64), sigma, mode="nearest")
    over = tuple(range(given, counts.ndim))
    total = smooth.sum(axis=over, keepdims=True)
    cells = int(np.prod(counts.shape[given:]))
    share = np.where(total > 0, smooth / np.where(total > 0, total, 1), 1 / cells)
    volume = np.ones(())
    for edge in edges:
        volume = volume[..., None] * np.diff(edge)
    uniform = volume / volume.sum()
    return ((1 - UNIFORM_SHARE) * share + UNIFORM_SHARE * uniform) / volume


def cloud_log_density(table: CloudTable, features: Features) -> NDArray[np.float64]:
    """log p(features | cloud), (R, C), of the features that are there: S7-S8 by night, S3 and S5 by day."""
    s8, s8_s9 = bins(features.s8, S8_EDGES), bins(features.s8_s9, S8_S9_EDGES)
    result = table.thermal[s8, s8_s9, bins(features.texture, TEXTURE_EDGES)]
    night = table.night[s8, s8_s9, bins(features.s7_s8, S7_S8_EDGES)]
    coarse = bins(features.s8, COARSE_S8_EDGES)
    day = table.day[features.group, coarse, bins(features.s3, REFLECTANCE_EDGES), bins(features.s5, REFLECTANCE_EDGES)]
    return result + np.where(np.isfinite(features.s7_s8), night, 0) + np.where(np.isfinite(features.s3), day, 0)


def clear_texture_log_density(table: CloudTable, features: Features) -> NDArray[np.float64]:
    """log p(texture | clear), (R, C)."""
    return table.clear_texture[features.group, bins(features.texture, TEXTURE_EDGES)]


@cache
def label_table() -> CloudTable:
    """The one table of every archive: built once a process from a fixed seed and the LABEL_TABLE clouds."""
    plans = [
        replace(plan, rows=TABLE_PIXELS, columns=TABLE_PIXELS)
        for plan in plan_archive(TABLE_PRODUCTS, "small", TABLE_SEED)
    ]
    return build_table([_draw(plan) for plan in plans])


def _draw(plan: ProductPlan) -> tuple[World, Features, bool]:
    geometry = make_geometry(plan)
    world = make_world(geometry, TABLE_IRRADIANCES, LABEL_TABLE)
    features = make_features(world.observation, geometry, world.prior, TABLE_IRRADIANCES)
    return world, features, plan.theme not in ("coast", "ice")


def build_table(draws: list[tuple[World, Features, bool]]) -> CloudTable:
    """Count the draws' cloudy features, and the texture of clear ones where the draw says so (no coast, no ice)."""
    thermal = np.zeros((len(S8_EDGES) - 1, len(S8_S9_EDGES) - 1, len(TEXTURE_EDGES) - 1))
    night = np.zeros((*thermal.shape[:2], len(S7_S8_EDGES) - 1))
    reflectance_bins = len(REFLECTANCE_EDGES) - 1
    day = np.zeros((GROUPS, len(COARSE_S8_EDGES) - 1, reflectance_bins, reflectance_bins))
    clear = np.zeros((GROUPS, len(TEXTURE_EDGES) - 1))
    for world, features, smooth in draws:
        s8, s8_s9 = bins(features.s8, S8_EDGES), bins(features.s8_s9, S8_S9_EDGES)
        rough = bins(features.texture, TEXTURE_EDGES)
        cloud = world.truth.cloud
        np.add.at(thermal, (s8[cloud], s8_s9[cloud], rough[cloud]), 1)
        dark = cloud & np.isfinite(features.s7_s8)
        np.add.at(night, (s8[dark], s8_s9[dark], bins(features.s7_s8[dark], S7_S8_EDGES)), 1)
        lit = cloud & np.isfinite(features.s3)
        s3, s5 = bins(features.s3[lit], REFLECTANCE_EDGES), bins(features.s5[lit], REFLECTANCE_EDGES)
        np.add.at(day, (features.group[lit], bins(features.s8[lit], COARSE_S8_EDGES), s3, s5), 1)
        if smooth:
            np.add.at(clear, (features.group[~cloud], rough[~cloud]), 1)
    return CloudTable(
        np.log(conditional_density(thermal, [S8_EDGES, S8_S9_EDGES, TEXTURE_EDGES], 0)),
        np.log(conditional_density(night, [S7_S8_EDGES], 2)),
        np.log(conditional_density(day, [REFLECTANCE_EDGES, REFLECTANCE_EDGES], 2)),
        np.log(conditional_density(clear, [TEXTURE_EDGES], 1)),
    )
