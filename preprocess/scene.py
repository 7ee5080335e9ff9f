"""A product with everything on one 1 km grid: network inputs, labels, and what is known about each pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from preprocess.errors import UserError

REFERENCE_HEIGHT = 1200
REFERENCE_WIDTH = 1500

MISSING_REFLECTANCE = 0.0
MISSING_RADIANCE = 0.0
MISSING_TEMPERATURE_K = 270.0
UNLABELLED = 255  # bayes of every pixel of a product whose label was never computed, as in bayes_in itself


@dataclass(frozen=True)
class SceneInfo:
    """What is known of a scene beside its arrays: the attributes of its shard."""

    product: str  # name without .SEN3
    platform: str  # "S3A", "S3B"
    start_time: str  # ISO 8601, UTC
    collection: str  # baseline collection, "002": the last three digits of the name
    convention: str  # "native" or "reference"
    calibration: str  # "none", "notice", or a user's factors in words: calibration.py
    regridding: str  # "mean" (2 x 2, of valid pixels), "neighbours" or "resize" (the original's)
    label_rule: str  # where the label says cloud: labels.py
    labelled: bool  # False where bayes_in was never computed
    day: bool  # every pixel has the day bit
    rows_cropped: int  # rows of the product that the common size cut off
    rows: int  # of the product's 1 km grid
    columns: int
    track_offset: int  # 1 km column of the sub-satellite track
    start_offset: int
    irradiances: tuple[float, ...]  # S1..S6, mW m-2 nm-1
    sun_distance_au: float  # NaN if unknown; recorded, not applied
    manifest_md5: str = ""  # of the product's manifest: tells another version of the same name; "" if unknown
    verified: str = ""  # by what sums every file read was what the manifest lists: "md5", "crc32" of its zip, or ""
    columns_cropped: int = 0
    calibration_factors: tuple[float, ...] = ()  # what the radiances of S1..S6 were multiplied by
    views: str = "nadir"  # or "nadir,oblique"
    oblique_track_offset: int = 0  # of the oblique view's own 1 km grid
    oblique_start_offset: int = 0
    oblique_calibration_factors: tuple[float, ...] = ()
    neighbours: int = 0  # nearest measurements averaged at most, where regridding is "neighbours"
    neighbour_radius_m: float = 0.0  # and how near they must lie
    class_pixels: tuple[int, ...] = ()  # labelled, uncropped, of each of labels.SURFACE_CLASSES; () if not counted
    class_cloud: tuple[int, ...] = ()  # those of them whose label is cloud


@dataclass(frozen=True)
class Scene:
    """One product on one 1 km grid (H, W). Missing values are refs 0, bts 270 K (reference: 0), never NaN."""

    refs: np.ndarray  # (H, W, 6) f4, S1..S6, reflectance
    bts: np.ndarray  # (H, W, 3) f4, S7..S9, K
    rads: np.ndarray | None  # (H, W, 6) f4, mW m-2 sr-1 nm-1, missing 0
    bayes: np.ndarray  # (H, W, 1) u1, 0 | 255 (reference: greys between)
    summary: np.ndarray  # (H, W, 1) u1, 0 | 255 (reference: greys between)
    valid: np.ndarray  # (H, W, 1) u1, 1 where S8 and S9 hold data
    label_valid: np.ndarray  # (H, W, 1) u1, 1 where the label was computed
    measured: np.ndarray  # (H, W) u2, bit c-1 set where channel Sc is a measurement
    flags: np.ndarray  # (H, W) u2, CONFIDENCE_BITS
    latitude: np.ndarray  # (H, W) f4, degrees north, NaN outside
    longitude: np.ndarray  # (H, W) f4, degrees east, NaN outside
    info: SceneInfo
    texture: np.ndarray | None = None  # (H, W, 6) f4, standard deviation of reflectance among a pixel's neighbours
    oblique_refs: np.ndarray | None = None  # (H, W, 6) f4: the oblique view, laid on the nadir grid; missing as refs
    oblique_bts: np.ndarray | None = None  # (H, W, 3) f4, K
    oblique_valid: np.ndarray | None = None  # (H, W, 1) u1, 1 where oblique S8 and S9 hold data
    oblique_measured: np.ndarray | None = None  # (H, W) u2, as `measured`


def fit(scene: Scene, height: int, width: int) -> Scene:
    """Pad or crop a native scene at the bottom and right to (height, width): pixel (y, x) stays pixel (y, x).

    Padding is invalid, unlabelled and unmeasured, with missing values and no position. A scene of which no labelled
    pixel is left is unlabelled. Raises UserError for a reference scene, whose size is fixed.
    """
    if scene.refs.shape[:2] == (height, width):
        return scene
    if scene.info.convention == "reference":
        raise UserError(
            f"{scene.info.product}: a reference scene is always {REFERENCE_HEIGHT} x {REFERENCE_WIDTH}; "
            f"asked for {height} x {width}"
        )
    arrays = {
        name: _fit_array(getattr(scene, name), height, width, missing)
        for name, missing in MISSING.items()
        if getattr(scene, name) is not None
    }
    labelled = bool(arrays["label_valid"].any())
    if not labelled:
        arrays["bayes"] = np.full_like(arrays["bayes"], UNLABELLED)
    rows, columns = max(0, scene.info.rows - height), max(0, scene.info.columns - width)
    info = replace(scene.info, rows_cropped=rows, columns_cropped=columns, labelled=labelled)
    return replace(scene, **arrays, info=info)


# What a pixel outside the product holds, for each array of a native scene.
MISSING = {
    "refs": MISSING_REFLECTANCE,
    "bts": MISSING_TEMPERATURE_K,
    "rads": MISSING_RADIANCE,
    "bayes": 0,
    "summary": 0,
    "valid": 0,
    "label_valid": 0,
    "measured": 0,
    "flags": 0,
    "latitude": np.nan,
    "longitude": np.nan,
    "texture": 0,
    "oblique_refs": MISSING_REFLECTANCE,
    "oblique_bts": MISSING_TEMPERATURE_K,
    "oblique_valid": 0,
    "oblique_measured": 0,
}


def _fit_array(array: np.ndarray, height: int, width: int, missing: float) -> np.ndarray:
    kept = array[:height, :width]
    rows, columns = kept.shape[:2]
    fitted = np.empty((height, width, *array.shape[2:]), array.dtype)
    fitted[:rows, :columns] = kept
    fitted[rows:] = missing
    fitted[:rows, columns:] = missing
    return fitted
