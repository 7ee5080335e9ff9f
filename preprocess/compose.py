"""From a product to a scene: either convention's arrays, and what is recorded of them."""

from __future__ import annotations

from preprocess.calibration import calibration_factors
from preprocess.conventions import native_arrays, native_irradiance, reference_arrays, reference_irradiance
from preprocess.errors import UserError
from preprocess.labels import is_labelled
from preprocess.level1 import Product
from preprocess.scene import Scene, SceneInfo

CONVENTIONS = ("native", "reference")
REGRIDDINGS = {"native": "mean", "reference": "resize"}
LABEL_RULES = ("any", "single_low", "single_moderate", "dual_low", "dual_moderate")  # of bayes_in


def make_scene(
    product: Product,
    *,
    convention: str = "native",
    calibration: str = "none",
    label_rule: str = "any",
    rads: bool = False,
) -> Scene:
    """Bring a product onto one 1 km grid: its own (R, C) if native, 1200 x 1500 if reference; `rads` keeps radiances.

    Raises UserError for an unknown convention, calibration or label rule.
    """
    for flag, value, known in (("convention", convention, CONVENTIONS), ("label", label_rule, LABEL_RULES)):
        if value not in known:
            raise UserError(f"--{flag} must be one of {', '.join(known)}; found {value}")
    factors = calibration_factors(calibration, product.collection)
    native = convention == "native"
    arrays = (native_arrays if native else reference_arrays)(product, factors, label_rule=label_rule, rads=rads)
    irradiance = (native_irradiance if native else reference_irradiance)(product)
    rows, columns = product.bt.shape[1:]
    info = SceneInfo(
        product=product.name,
        platform=product.platform,
        start_time=product.start_time,
        collection=product.collection,
        convention=convention,
        calibration=calibration,
        regridding=REGRIDDINGS[convention],
        label_rule=label_rule,
        labelled=is_labelled(product),
        day=bool(product.flag("confidence", "day").all()),
        rows_cropped=0,
        rows=rows,
        columns=columns,
        track_offset=product.grid_1km.track_offset,
        start_offset=product.grid_1km.start_offset,
        irradiances=tuple(irradiance.tolist()),
        sun_distance_au=product.sun_distance_au,
        manifest_md5=product.manifest_md5,
    )
    return Scene(**arrays, info=info)  # type: ignore[arg-type]
