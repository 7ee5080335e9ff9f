"""The truth of a simulated scene on the 1 km grid: what only `evaluate` and `report` may read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.clouds import CLEAR, SeenLayer
from preprocess.simulation.fields import Floats
from preprocess.simulation.surface import Surface

CLOUD_LEAST_DEPTH = 0.15


@dataclass(frozen=True)
class Truth:
    """What lies in each 1 km pixel, (R, C).

    float32: `optical_depth` (0.55 um, the mean inside the cloud, layers summed), `cover_fraction` 0..1,
    `top_height_km` (of the highest layer that is cloud by itself, else of the highest there; 0 without any), `dbt8_k`
    (noise-free S8 without cloud less that with it, K), `skin_temperature_k`, `wind_m_s`. uint8: `kind` (codes of
    KINDS, of the deepest layer; clear where not `cloud`), `surface` (codes of SURFACES). bool: `cloud`, which is
    cover_fraction * optical_depth >= 0.15.
    """

    optical_depth: Floats
    cover_fraction: Floats
    top_height_km: Floats
    dbt8_k: Floats
    kind: NDArray[np.uint8]
    surface: NDArray[np.uint8]
    cloud: NDArray[np.bool_]
    skin_temperature_k: Floats
    wind_m_s: Floats


def make_truth(surface: Surface, seen: Sequence[SeenLayer], dbt8_k: Floats) -> Truth:
    """Sum up the layers as the nadir 1 km pixels see them, (R, C), lowest first.

    Layers overlap at random: the clear share is the product of theirs.
    """
    shape = surface.skin_k.shape
    amounts = np.stack([np.zeros(shape, np.float32)] + [layer.fraction * layer.depth for layer in seen])
    cover = np.ones(shape, np.float32)
    for layer in seen:
        cover *= 1 - layer.fraction
    cover = 1 - cover
    depth = np.where(cover > 0, amounts.sum(axis=0) / np.maximum(cover, np.float32(1e-6)), 0).astype(np.float32)
    cloud = cover * depth >= CLOUD_LEAST_DEPTH
    codes = np.array([CLEAR] + [layer.kind for layer in seen], np.uint8)
    return Truth(
        optical_depth=depth,
        cover_fraction=cover,
        top_height_km=_top_height(amounts, [0.0] + [layer.height_km for layer in seen]),
        dbt8_k=dbt8_k,
        kind=np.where(cloud, codes[amounts.argmax(axis=0)], CLEAR).astype(np.uint8),
        surface=surface.kind,
        cloud=cloud,
        skin_temperature_k=surface.skin_k,
        wind_m_s=surface.wind_m_s,
    )


def _top_height(amounts: Floats, heights_km: list[float]) -> Floats:
    column = np.array(heights_km, np.float32)[:, None, None]
    thick = np.where(amounts >= CLOUD_LEAST_DEPTH, column, 0).max(axis=0)
    return np.where(thick > 0, thick, np.where(amounts > 0, column, 0).max(axis=0)).astype(np.float32)
