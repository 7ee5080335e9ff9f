"""From a product to a scene: either convention's arrays, and what is recorded of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from preprocess.calibration import calibration_factors
from preprocess.conventions import native_arrays, native_irradiance, reference_arrays, reference_irradiance
from preprocess.errors import UserError
from preprocess.labels import count_classes, parse_label_rule
from preprocess.level1 import Product
from preprocess.nearest import NEAREST, RADIUS_M
from preprocess.scene import UNLABELLED, Scene, SceneInfo
from preprocess.views import oblique_arrays

CONVENTIONS = ("native", "reference")
REGRIDS = ("mean", "neighbours")
REFERENCE_REGRIDDING = "resize"
VIEWS = (("nadir",), ("nadir", "oblique"))


def make_scene(
    product: Product,
    *,
    convention: str = "native",
    calibration: str = "none",
    label_rule: str = "any",
    rads: bool = False,
    regrid: str = "mean",
    texture: bool = False,
    views: tuple[str, ...] = ("nadir",),
) -> Scene:
    """Bring a product onto one 1 km grid: its own (R, C) if native, 1200 x 1500 if reference; `rads` keeps radiances.

    calibration in the words of calibration.py, label_rule in those of labels.py. `regrid` takes S1-S6 to 1 km (the
    reference convention has its own way), `texture` (with "neighbours") keeps their standard deviation, and `views` may
    add the oblique one; the product must have been read with the positions and the view that these need.
    Raises UserError for an unknown setting, or settings that do not go together.
    """
    label_rule = parse_label_rule(label_rule)
    _check_settings(convention, regrid, texture, views)
    factors = calibration_factors(calibration, product.collection)
    native = convention == "native"
    arrays: dict[str, Any] = {}
    if native:
        arrays |= native_arrays(product, factors, label_rule=label_rule, rads=rads, regrid=regrid, texture=texture)
        arrays |= _oblique_arrays(product, calibration, views)
    else:
        arrays |= reference_arrays(product, factors, label_rule=label_rule, rads=rads)
    labelled = bool(arrays["label_valid"].any())
    if native and not labelled:
        arrays["bayes"] = np.full_like(arrays["bayes"], UNLABELLED)
    info = _base_info(product, (native_irradiance if native else reference_irradiance)(product))
    info |= {
        "convention": convention,
        "calibration": calibration,
        "calibration_factors": tuple(factors.tolist()),
        "regridding": regrid if native else REFERENCE_REGRIDDING,
        "label_rule": label_rule,
        "labelled": labelled,
        **_neighbour_info(regrid),
        **_class_info(arrays),
        **_oblique_info(product, calibration, views),
    }
    return Scene(**arrays, info=SceneInfo(**info))


def usual_regridding(convention: str) -> str:
    """What `SceneInfo.regridding` is where nothing else was asked for, or recorded."""
    return REGRIDS[0] if convention == "native" else REFERENCE_REGRIDDING


def regrid_of(regridding: str) -> str:
    """What make_scene's `regrid` must be for such a `SceneInfo.regridding`."""
    return REGRIDS[0] if regridding == REFERENCE_REGRIDDING else regridding


def _check_settings(convention: str, regrid: str, texture: bool, views: tuple[str, ...]) -> None:
    for flag, value, known in (("convention", convention, CONVENTIONS), ("regrid", regrid, REGRIDS)):
        if value not in known:
            raise UserError(f"--{flag} must be one of {', '.join(known)}; found {value}")
    if views not in VIEWS:
        choices = " or ".join(",".join(choice) for choice in VIEWS)
        raise UserError(f"--views must be {choices}; found {','.join(views)}")
    if texture and regrid != "neighbours":
        raise UserError(f"--texture needs --regrid neighbours; found --regrid {regrid}")
    if convention == "reference" and (regrid != "mean" or texture or views != VIEWS[0]):
        raise UserError(
            "--convention reference makes the original's arrays alone: leave out --regrid, --texture and --views, "
            "or choose --convention native"
        )


def _base_info(product: Product, irradiance: np.ndarray) -> dict[str, Any]:
    rows, columns = product.bt.shape[1:]
    return {
        "product": product.name,
        "platform": product.platform,
        "start_time": product.start_time,
        "collection": product.collection,
        "day": bool(product.flag("confidence", "day").all()),
        "rows_cropped": 0,
        "rows": rows,
        "columns": columns,
        "track_offset": product.grid_1km.track_offset,
        "start_offset": product.grid_1km.start_offset,
        "irradiances": tuple(irradiance.tolist()),
        "sun_distance_au": product.sun_distance_au,
        "manifest_md5": product.manifest_md5,
        "verified": product.verified,
    }


def _neighbour_info(regrid: str) -> dict[str, Any]:
    return {"neighbours": NEAREST, "neighbour_radius_m": RADIUS_M} if regrid == "neighbours" else {}


def _class_info(arrays: dict[str, Any]) -> dict[str, Any]:
    counts = count_classes(arrays["flags"], arrays["bayes"][..., 0] > 0, arrays["label_valid"][..., 0] > 0)
    return {"class_pixels": counts.pixels, "class_cloud": counts.cloud}


def _oblique_arrays(product: Product, calibration: str, views: tuple[str, ...]) -> dict[str, Any]:
    if "oblique" not in views:
        return {}
    return oblique_arrays(product, calibration_factors(calibration, product.collection, "oblique"))


def _oblique_info(product: Product, calibration: str, views: tuple[str, ...]) -> dict[str, Any]:
    if "oblique" not in views or product.oblique is None:
        return {}
    grid = product.oblique.grid_1km
    return {
        "views": ",".join(views),
        "oblique_track_offset": grid.track_offset,
        "oblique_start_offset": grid.start_offset,
        "oblique_calibration_factors": tuple(calibration_factors(calibration, product.collection, "oblique").tolist()),
    }
