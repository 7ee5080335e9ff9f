"""The image files of a simulated product: radiances, brightness temperatures and flags, regridded and packed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.flags import CLOUD_MEANINGS, CONFIDENCE_MEANINGS, cloud_words, confidence_words, on_grid
from preprocess.simulation.plan import ProductPlan
from preprocess.simulation.radiance import RADIANCE_SCALE, TEMPERATURE_OFFSET_K, TEMPERATURE_SCALE_K
from preprocess.simulation.regrid import Regridding, gridded, orphans
from preprocess.simulation.scene import SimulatedScene
from preprocess.simulation.schema import (
    EXCEPTION_MEANINGS,
    FILL_I2,
    ISP_ABSENT,
    PIXEL_ABSENT,
    SATURATION,
    UNFILLED_PIXEL,
    VIEW,
    ProductFile,
    Variable,
    flags,
    grid_attributes,
    image_dimensions,
    packed,
)

IMAGE, ORPHANS = ("rows", "columns"), ("rows", "orphan_pixels")
BAYES_MEANINGS = "single_low single_moderate dual_low dual_moderate spare spare spare spare"
POINTING_MEANINGS = (
    "FlipMirrorAbsoluteError FlipMirrorIntegratedError FlipMirrorRMSError ScanMirrorAbsoluteError "
    "ScanMirrorIntegratedError ScanMirrorRMSError ScanTimeError Platform_Mode"
)
NOT_COMPUTED = 255
"""bayes_in where no probability was computed: everywhere in an unlabelled product, else on unfilled pixels."""
S7_SATURATES_K = 311.0
PROBABILITY_COLLECTIONS = ("004", "005")
PROBABILITY_SCALE, PROBABILITY_FILL = 0.01, 255


def image_files(scene: SimulatedScene, in_cells: Regridding, an_cells: Regridding) -> Iterator[ProductFile]:
    """S1..S6_radiance_an.nc, S7..S9_BT_in.nc, flags_in.nc and flags_an.nc.

    No radiance file was at hand: names follow satpy's reader slstr_l1b, texts the measured manifest, the rest the
    measured temperature files; the scale factors are ours (RADIANCE_SCALE).
    """
    for index in range(6):
        yield _radiance_file(scene, index, an_cells)
    for index in range(3):
        yield _temperature_file(scene, index, in_cells)
    yield _flags_file(scene, in_cells)
    yield _fine_flags_file(scene, an_cells)


def _radiance_file(scene: SimulatedScene, index: int, cells: Regridding) -> ProductFile:
    plan, channel = scene.geometry.plan, f"S{index + 1}"
    counts = packed(scene.observation.radiance[index], RADIANCE_SCALE[index], 0.0)
    dark = counts == FILL_I2  # by night nothing is sent down
    about = {
        "add_offset": 0.0,
        "long_name": f"TOA radiance for channel {channel} ({VIEW['an']})",
        "scale_factor": RADIANCE_SCALE[index],
        "standard_name": "toa_upwelling_spectral_radiance",
        "units": "mW.m-2.sr-1.nm-1",
    }
    names = (f"{channel}_radiance", f"{channel}_exception", "an")
    variables = _measurement(names, counts, np.where(dark, ISP_ABSENT, 0), cells, about)
    return _file(plan, f"{channel}_radiance_an.nc", "an", scene.geometry.start_offset, variables)


def _temperature_file(scene: SimulatedScene, index: int, cells: Regridding) -> ProductFile:
    plan, channel = scene.geometry.plan, f"S{index + 7}"
    values = scene.observation.bt[index]
    saturated = (index == 0) & (values >= S7_SATURATES_K - TEMPERATURE_SCALE_K / 2)
    text = f"rightness temperature{{}} for channel {channel} ({VIEW['in']})"
    about = {
        "add_offset": TEMPERATURE_OFFSET_K,
        "long_name": "Gridded pixel b" + text.format(""),
        "scale_factor": TEMPERATURE_SCALE_K,
        "standard_name": "toa_brightness_temperature",
        "units": "K",
    }
    counts = packed(values, TEMPERATURE_SCALE_K, TEMPERATURE_OFFSET_K)
    names = (f"{channel}_BT", f"{channel}_exception", "in")
    variables = _measurement(names, counts, np.where(saturated, SATURATION, 0), cells, about)
    variables[1].attributes["long_name"] = "B" + text.format("s for orphaned pixels")
    return _file(plan, f"{channel}_BT_in.nc", "in", scene.geometry.start_offset, tuple(variables))


def _measurement(
    names: tuple[str, str, str], counts: NDArray[np.int16], exceptions: Any, cells: Regridding, about: dict[str, Any]
) -> tuple[Variable, ...]:
    """The image, its orphans and the exceptions of both; `exceptions` are those of the measured pixels."""
    image, exception, grid = names
    own = exceptions.astype(np.uint8)
    shown = gridded(cells, own, UNFILLED_PIXEL) | np.where(cells.cosmetic, PIXEL_ABSENT, 0).astype(np.uint8)
    status = {"standard_name": f"{about['standard_name']}_status_flag"}
    return (
        Variable(f"{image}_{grid}", IMAGE, gridded(cells, counts, FILL_I2), FILL_I2, dict(about)),
        Variable(f"{image}_orphan_{grid}", ORPHANS, orphans(cells, counts, FILL_I2), FILL_I2, dict(about)),
        flags(f"{exception}_{grid}", IMAGE, shown, EXCEPTION_MEANINGS, **status),
        flags(f"{exception}_orphan_{grid}", ORPHANS, orphans(cells, own, UNFILLED_PIXEL), EXCEPTION_MEANINGS, **status),
    )


def _flags_file(scene: SimulatedScene, cells: Regridding) -> ProductFile:
    plan = scene.geometry.plan
    cloud = cloud_words(scene)
    confidence, confidence_orphan = confidence_words(scene, cells, cloud)
    steady = np.zeros(cloud.shape, np.uint8)
    variables = [
        *_bayes(scene, cells),
        flags("cloud_in", IMAGE, gridded(cells, cloud, 0), CLOUD_MEANINGS),
        flags("cloud_orphan_in", ORPHANS, orphans(cells, cloud, 0), CLOUD_MEANINGS),
        flags("confidence_in", IMAGE, confidence, CONFIDENCE_MEANINGS),
        flags("confidence_orphan_in", ORPHANS, confidence_orphan, CONFIDENCE_MEANINGS),
        flags("pointing_in", IMAGE, steady, POINTING_MEANINGS),
        flags("pointing_orphan_in", ORPHANS, orphans(cells, steady, 0), POINTING_MEANINGS),
    ]
    if plan.collection in PROBABILITY_COLLECTIONS:
        variables += _probabilities(scene, cells)
    return _file(plan, "flags_in.nc", "in", scene.geometry.start_offset, tuple(variables))


def _fine_flags_file(scene: SimulatedScene, cells: Regridding) -> ProductFile:
    """flags_an.nc: what 1 km pixels show, with what regridding did to the cells of 500 m.

    Nothing measured at hand: names as in flags_in.nc; bayes_an and pointing_an are left out.
    """
    plan = scene.geometry.plan
    cloud = cloud_words(scene)
    confidence, confidence_orphan = confidence_words(scene, cells, cloud)
    cloud = on_grid(cloud, cells)
    variables = (
        flags("cloud_an", IMAGE, gridded(cells, cloud, 0), CLOUD_MEANINGS),
        flags("cloud_orphan_an", ORPHANS, orphans(cells, cloud, 0), CLOUD_MEANINGS),
        flags("confidence_an", IMAGE, confidence, CONFIDENCE_MEANINGS),
        flags("confidence_orphan_an", ORPHANS, confidence_orphan, CONFIDENCE_MEANINGS),
    )
    return _file(plan, "flags_an.nc", "an", scene.geometry.start_offset, variables)


def _bayes(scene: SimulatedScene, cells: Regridding) -> tuple[Variable, Variable]:
    """bayes_in, and bayes_orphan_in, which has the image's shape and holds nothing, as in the measured product."""
    none = np.full(scene.label.bayes.shape, NOT_COMPUTED, np.uint8)
    bayes = gridded(cells, scene.label.bayes, NOT_COMPUTED) if scene.geometry.plan.labelled else none
    return flags("bayes_in", IMAGE, bayes, BAYES_MEANINGS), flags("bayes_orphan_in", IMAGE, none, BAYES_MEANINGS)


def _probabilities(scene: SimulatedScene, cells: Regridding) -> Iterator[Variable]:
    """probability_cloud_single_in and _dual_in, which files from collection 004 on have (names: product notice of
    IPF 06.19, field notes); their packing is ours.
    """
    values = {"single": scene.label.probability_single, "dual": scene.label.probability_dual}
    for view, probability in values.items():
        known = np.isfinite(probability) & scene.geometry.plan.labelled
        counts = np.where(known, np.round(np.where(known, probability, 0.0) / PROBABILITY_SCALE), PROBABILITY_FILL)
        about = {"long_name": f"Probability of cloud, {view} view", "scale_factor": PROBABILITY_SCALE, "units": "1"}
        image = gridded(cells, counts.astype(np.uint8), PROBABILITY_FILL)
        yield Variable(f"probability_cloud_{view}_in", IMAGE, image, PROBABILITY_FILL, about)


def _file(plan: ProductPlan, name: str, grid: str, start_offset: int, variables: tuple[Variable, ...]) -> ProductFile:
    return ProductFile(name, grid_attributes(plan, grid, start_offset), image_dimensions(plan, grid), variables)
