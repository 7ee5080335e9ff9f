"""Match-ups of a simulated product with buoys, in the columns of the original's table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.fields import stream
from preprocess.simulation.label import Label
from preprocess.simulation.label_errors import label_errors
from preprocess.simulation.scene import SimulatedScene
from preprocess.simulation.sst import ALGORITHMS, DUAL, WITH_S7, Temperatures, retrieve
from preprocess.simulation.surface import MELTING_K, SEA
from preprocess.simulation.world import BUOYS

__all__ = ["ALGORITHM_CODES", "MATCHUPS_PER_PRODUCT", "label_errors", "matchup_rows"]

ALGORITHM_CODES = {"N2": 1, "N3": 3, "D2": 4, "D3": 5}
MATCHUPS_PER_PRODUCT = 400
"""Rows drawn from a small product, so that an archive of 60 has 300 and more eligible ones an algorithm."""
FILL = -32768.0
MISSING_BUOY_C = -999.0
NOT_COMPUTED = 255
NIGHT_FROM_DEG = 90.0

SKIN_EFFECT_K = 0.17
WARM_LAYER_BELOW_M_S = 4.0
WARM_LAYER_K_PER_M_S = 0.5
BUOY_SPREADS_K = (0.2, 0.1)
GROSS_SHARE, GROSS_SPREAD_K = 0.02, 5.0
MISSING_SHARE = 0.005
NEAR_SHARE = 0.92
NEAR_DEG = (0.0045, 0.009)
FAR_TIMES = 2.5
"""Offsets of the buoy from the pixel: the original keeps rows within 0.005 and 0.01 degrees; some lie farther off."""

GREATEST_ZENITH_DEG = 57.0
"""Nadir zenith angle up to which match-ups are made; the original keeps 55 degrees."""
EDGE_SHARE = 0.03
"""Outer share of the columns on either side without match-ups: the swath's edge is not filled."""
QUALITY_EDGES = (0.99, 0.999, 0.9999, 0.99999)
"""P(cloud), the greater of the views', from which the quality level falls to 4, 3, 2, 1: loose, so that cloud stays
for masks to find."""


def matchup_rows(scene: SimulatedScene, count: int = MATCHUPS_PER_PRODUCT) -> dict[str, NDArray]:
    """Up to `count` rows, none where there is no sea; each column (N,): float64, int64 or object (strings).

    Buoys drift where the sea is, whatever the sky: places are drawn before any cloud is looked at, half of them inside
    the dual swath where both parts hold sea. Temperatures come from the quantised observations at the pixel, quality
    and probabilities from the label; N2, N3, D2, D3 stand in sat_sst_0..3, -32768 where a view or the night is lacking.
    """
    rng = stream(scene.geometry.plan.seed, BUOYS)
    rows, columns = _places(scene, count, rng)
    at = (rows, columns)
    geometry, plan = scene.geometry, scene.geometry.plan
    night, dual = geometry.solar_zenith_in[at] >= NIGHT_FROM_DEG, geometry.in_dual_swath[at]
    latitude, longitude = geometry.latitude_an[2 * rows, 2 * columns], geometry.longitude_an[2 * rows, 2 * columns]
    near = np.where(rng.random(rows.size) < NEAR_SHARE, 1.0, FAR_TIMES)
    offsets = rng.uniform(-1, 1, (2, rows.size)) * near
    table = {
        "ISST": _buoy_temperatures(scene, at, ~night, rng),
        "SLAT": np.clip(latitude + NEAR_DEG[0] * offsets[0], -90, 90),
        "SLON": (longitude + NEAR_DEG[1] * offsets[1] + 180) % 360 - 180,
        "latitude_an": latitude,
        "longitude_an": longitude,
        "SATZAN": geometry.sat_zenith_in[at],
        "SATZAO": geometry.sat_zenith_oblique_in[at],
        "sst_algorithm_type": _algorithm_types(night, dual),
    }
    path = f"/neodc/sentinel3{plan.platform[-1].lower()}/data/SLSTR/L1_RBT/{plan.start:%Y/%m}/{plan.name}.SEN3"
    table["cems_path"] = np.full(rows.size, path, dtype=object)
    return (
        table
        | _label_columns(scene.label, at, plan.labelled)
        | _temperatures(scene, at, night, dual)
        | {
            "y_cems": rows.astype(np.int64),
            "x_cems": columns.astype(np.int64),
        }
    )


def _places(scene: SimulatedScene, count: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Rows and columns of sea pixels: the truth's surface decides, never its cloud; sorted, without repeats."""
    usable = (scene.truth.surface == SEA) & (scene.geometry.sat_zenith_in <= GREATEST_ZENITH_DEG)
    edge = int(np.ceil(EDGE_SHARE * usable.shape[1]))
    usable[:, :edge] = False
    usable[:, -edge:] = False
    parts = [np.flatnonzero(usable & part) for part in (scene.geometry.in_dual_swath, ~scene.geometry.in_dual_swath)]
    parts = [part for part in parts if part.size]
    chosen = [rng.choice(part, min(count // len(parts), part.size), replace=False) for part in parts]
    flat = np.sort(np.concatenate([*chosen, np.empty(0, np.intp)])).astype(np.intp)
    rows, columns = np.unravel_index(flat, usable.shape)
    return rows, columns


def _buoy_temperatures(
    scene: SimulatedScene, at: tuple[NDArray, NDArray], day: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """What buoys measure at depth, deg C: skin + 0.17 K, less the warm layer of calm days, and errors of their own.

    The skin is 0.17 K colder than the water below (Donlon et al. 1999, Geophys. Res. Lett. 26); by day below 4 m/s the
    sun warms the top by up to 1 K that the buoy's depth does not feel. 2 % are gross errors, a few are missing.
    """
    truth = scene.truth
    skin_c = truth.skin_temperature_k[at].astype(np.float64) - MELTING_K
    mu_sun = np.maximum(np.cos(np.radians(scene.geometry.solar_zenith_in[at])), 0)
    calm = np.maximum(WARM_LAYER_BELOW_M_S - truth.wind_m_s[at], 0)
    warm_layer = np.where(day, WARM_LAYER_K_PER_M_S * calm * mu_sun, 0.0)
    errors = sum(spread * rng.standard_normal(skin_c.size) for spread in BUOY_SPREADS_K)
    gross = (rng.random(skin_c.size) < GROSS_SHARE) * GROSS_SPREAD_K * rng.standard_normal(skin_c.size)
    missing = rng.random(skin_c.size) < MISSING_SHARE
    return np.where(missing, MISSING_BUOY_C, skin_c + SKIN_EFFECT_K - warm_layer + errors + gross)


def _algorithm_types(night: NDArray[np.bool_], dual: NDArray[np.bool_]) -> NDArray[np.int64]:
    by_night = np.where(dual, ALGORITHM_CODES["D3"], ALGORITHM_CODES["N3"])
    by_day = np.where(dual, ALGORITHM_CODES["D2"], ALGORITHM_CODES["N2"])
    return np.where(night, by_night, by_day).astype(np.int64)


def _label_columns(label: Label, at: tuple[NDArray, NDArray], labelled: bool) -> dict[str, NDArray]:
    """Probabilities and quality come with the level-2 temperatures, so unlabelled products have them too."""
    single, dual = (part[at].astype(np.float64) for part in (label.probability_single, label.probability_dual))
    bits = label.bayes[at].astype(np.int64)
    worst = np.maximum(single, dual)  # equal to the single view's outside the dual swath
    return {
        "quality_level": (5 - np.searchsorted(QUALITY_EDGES, worst, side="right")).astype(np.int64),
        "pcloudn": single,
        "pcloudo": dual,
        "bayes_in": bits if labelled else np.full_like(bits, NOT_COMPUTED),
    }


def _temperatures(
    scene: SimulatedScene, at: tuple[NDArray, NDArray], night: NDArray[np.bool_], dual: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    geometry, observation = scene.geometry, scene.observation
    mu_nadir, mu_oblique = (
        np.cos(np.radians(zenith[at])).astype(np.float32)
        for zenith in (geometry.sat_zenith_in, geometry.sat_zenith_oblique_in)
    )
    seen = Temperatures(observation.bt[:, *at], observation.bt_oblique[:, *at], mu_nadir, mu_oblique)
    columns = {}
    for number, name in enumerate(ALGORITHMS):
        there = (night | (not WITH_S7[name])) & (dual | (not DUAL[name]))
        columns[f"sat_sst_{number}"] = np.where(there, retrieve(name, seen), FILL)
    return columns
