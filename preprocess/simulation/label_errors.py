"""Where the simulated label errs against the simulated truth: the published table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from preprocess.simulation.clouds import KINDS
from preprocess.simulation.scene import SimulatedScene
from preprocess.simulation.surface import SEA, SURFACES

GROUND = (*SURFACES, "coast", "glint")
SKIES = ("clear", "faint cloud", "stratus", "cumulus", "thin cirrus", "cirrus", "convection")
TIMES = ("day", "twilight", "night")
COAST_PIXELS = 2
THIN_BELOW = 0.5  # cover fraction times optical depth of a thin cirrus pixel
FAINT_FROM = 0.02  # below it a pixel counts as wholly clear; between it and the truth's threshold as faint cloud


class LabelError(TypedDict):
    """One row: how many pixels, and what share the label calls cloud by any bit, and by the nadir view's P >= 0.5.

    One of `miss_share` (truth has cloud) and `false_alarm_share` (truth has none) is a number, by any bit.
    """

    surface: str
    kind: str
    time_of_day: str
    count: int
    label_cloud_share: float
    single_view_share: float
    miss_share: float | None
    false_alarm_share: float | None


def ground(scene: SimulatedScene) -> NDArray[np.uint8]:
    """Codes of GROUND: the surface, but coast within two pixels of where land meets water, glint where flagged."""
    surface = scene.truth.surface
    wet = (surface == SEA) | (surface == SURFACES.index("ice"))
    reach = np.ones((2 * COAST_PIXELS + 1, 2 * COAST_PIXELS + 1), bool)
    coast = ndimage.binary_dilation(wet, reach) & ndimage.binary_dilation(~wet, reach)
    glint = scene.observation.glint & (surface == SEA)
    result = np.where(glint, GROUND.index("glint"), surface)
    return np.where(coast, GROUND.index("coast"), result).astype(np.uint8)


def sky(scene: SimulatedScene) -> NDArray[np.uint8]:
    """Codes of SKIES: the truth's kind, cirrus and clear sky split by the amount of cloud."""
    truth = scene.truth
    amount = truth.cover_fraction * truth.optical_depth
    codes = np.array([SKIES.index(name) for name in KINDS], np.uint8)[truth.kind]
    thin = (codes == SKIES.index("cirrus")) & (amount < THIN_BELOW)
    faint = ~truth.cloud & (amount >= FAINT_FROM)
    result = np.where(faint, SKIES.index("faint cloud"), codes)
    return np.where(thin, SKIES.index("thin cirrus"), result).astype(np.uint8)


def times_of_day(scene: SimulatedScene) -> NDArray[np.uint8]:
    """Codes of TIMES by solar zenith angle: below 80 degrees, to 90, beyond."""
    return np.digitize(scene.geometry.solar_zenith_in, (80.0, 90.0)).astype(np.uint8)


def count_errors(scene: SimulatedScene) -> NDArray[np.int64]:
    """Pixels by (ground, sky, time, 3): all, called cloud by any bit, by the nadir view. Add them up over scenes."""
    counts = np.zeros((len(GROUND), len(SKIES), len(TIMES), 3), np.int64)
    cell = np.ravel_multi_index((ground(scene), sky(scene), times_of_day(scene)), counts.shape[:3])
    size = int(np.prod(counts.shape[:3]))
    picks = (np.ones(cell.shape, bool), scene.label.bayes > 0, (scene.label.bayes & 1) > 0)
    for number, pick in enumerate(picks):
        counts[..., number] = np.bincount(cell[pick], minlength=size).reshape(counts.shape[:3])
    return counts


def error_rows(counts: NDArray[np.int64]) -> list[LabelError]:
    """The table of summed `count_errors`, empty cells left out."""
    rows = []
    for where in zip(*np.nonzero(counts[..., 0]), strict=True):
        total, by_any, by_nadir = (int(number) for number in counts[where])
        kind = SKIES[where[1]]
        cloudy = kind not in ("clear", "faint cloud")
        rows.append(
            LabelError(
                surface=GROUND[where[0]],
                kind=kind,
                time_of_day=TIMES[where[2]],
                count=total,
                label_cloud_share=by_any / total,
                single_view_share=by_nadir / total,
                miss_share=1 - by_any / total if cloudy else None,
                false_alarm_share=None if cloudy else by_any / total,
            )
        )
    return rows


def label_errors(scenes: Iterable[SimulatedScene]) -> list[LabelError]:
    """The table of label errors of labelled scenes, one row a surface, kind of sky and time of day that occurs."""
    counts = np.zeros((len(GROUND), len(SKIES), len(TIMES), 3), np.int64)
    for scene in scenes:
        if scene.geometry.plan.labelled:
            counts += count_errors(scene)
    return error_rows(counts)
