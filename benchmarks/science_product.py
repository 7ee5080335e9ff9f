"""What the original's way makes of one product, held against ours: sun, fill, rows, copies, labels, loss; pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxmask.tiles import PATCH_SIZE, patch_origins
from preprocess.level1 import Product
from preprocess.radiometry import (
    HORIZON_ZENITH_DEG,
    LOWEST_SUN_ZENITH_DEG,
    interpolate_zenith,
    reference_cosine_of_sun,
)
from preprocess.resample import reference_resize
from preprocess.scene import REFERENCE_HEIGHT, REFERENCE_WIDTH, Scene

TRIM = 15  # pixels that the original's loss leaves out on every side of a patch
CURVE_STEP = 10  # rows between the points of a curve
WHOLE = 1e-9  # of the weight of fill in a resized pixel: less than this is rounding
COLDEST_S8_K = 150.0  # no cloud top is colder; what is, is fill
S8 = 1
NEIGHBOURS = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if (down, across) != (0, 0)]


def sun(product: Product) -> dict[str, Any]:
    """The sun's zenith angle at each pixel's own row, against the last row's, which the original takes for all.

    Reflectance is proportional to 1 / cos(zenith), so what the original finds is cos(right) / cos(its own) of the
    right one. That ratio is told of pixels at which the sun is at least 2 degrees up.
    """
    rows, columns = product.bt.shape[1:]
    right = interpolate_zenith(product.solar_zenith, product.grid_tie, product.grid_1km, rows, columns)
    cosine = reference_cosine_of_sun(product.solar_zenith, product.grid_tie, product.grid_1km, rows, columns)
    original = np.broadcast_to(np.degrees(np.arccos(cosine)), right.shape)
    up = right < LOWEST_SUN_ZENITH_DEG
    ratio = np.where(up, np.cos(np.radians(right)) / np.cos(np.radians(original)), np.nan)
    down = right >= HORIZON_ZENITH_DEG
    track = min(max(product.grid_1km.track_offset, 0), columns - 1)  # a small product may lie beside its track
    at = np.arange(0, rows, CURVE_STEP)
    lit_rows = at[up[at].any(axis=1)]
    return {
        "track_first_row_deg": [float(right[0, track]), float(original[0, track])],
        "track_last_row_deg": [float(right[-1, track]), float(original[-1, track])],
        "first_row_mean_deg": [float(np.nanmean(right[0])), float(original[0].mean())],
        "mean_difference_deg": float(np.nanmean(np.abs(right - original))),
        "up_share": float(up.mean()),
        "median_ratio": float(np.nanmedian(ratio)),
        "ratio_5_95": np.nanpercentile(ratio, [5, 95]).tolist(),
        "down_share": float(down.mean()),
        "down_taken_as_up_share": float((original[down] < HORIZON_ZENITH_DEG).mean()) if down.any() else 0.0,
        "missing_tie_columns": int(np.isnan(product.solar_zenith).all(axis=0).sum()),
        "tie_columns": product.solar_zenith.shape[1],
        "curve": {
            "row": at.tolist(),
            "right_deg": right[at, track].tolist(),
            "original_deg": original[at, track].tolist(),
            "ratio_row": lit_rows.tolist(),
            "ratio": np.nanmedian(ratio[lit_rows], axis=1).tolist(),
        },
    }


def fill(product: Product, original: Scene) -> dict[str, Any]:
    """How many pixels of the original's images hold fill, whole or in part; where a weight of fill is found by
    resizing the fill itself as the images are."""
    unknown = [
        np.isnan(product.bt[S8]).astype(np.float32),
        (~product.radiances[0].known()).astype(np.float32),
    ]
    weights = [reference_resize(image, REFERENCE_HEIGHT, REFERENCE_WIDTH) for image in unknown]
    return {
        "filled_share": float(np.isnan(product.bt[S8]).mean()),
        "colder_than_150_k_share": float((original.bts[..., S8] < COLDEST_S8_K).mean()),
        "part_fill_s8": int(((weights[0] > WHOLE) & (weights[0] < 1 - WHOLE)).sum()),
        "part_fill_s1": int(((weights[1] > WHOLE) & (weights[1] < 1 - WHOLE)).sum()),
    }


def rows_moved(product: Product, original: Scene) -> dict[str, Any]:
    """Where a row lands among the original's 1200, and how far S8 at the same row and column is from the product's."""
    rows, columns = product.bt.shape[1:]
    shift = moved(rows)
    common = min(rows, REFERENCE_HEIGHT)
    found, right = original.bts[:common, :columns, S8], product.bt[S8, :common]
    known = np.isfinite(right) & (found > COLDEST_S8_K)
    difference = np.where(known, found - right, np.nan)
    starts = range(0, common - CURVE_STEP + 1, CURVE_STEP)
    blocks = [start for start in starts if known[start : start + CURVE_STEP].any()]
    rms = [float(np.sqrt(np.nanmean(difference[start : start + CURVE_STEP] ** 2))) for start in blocks]
    return {
        "rows": rows,
        "greatest_shift_rows": float(np.abs(shift).max()),
        "mean_shift_rows": float(np.abs(shift).mean()),
        "other_row_share": float((np.rint(np.arange(rows) + shift) != np.arange(rows)).mean()),
        "rms_k": float(np.sqrt(np.nanmean(difference**2))),
        "curve": {
            "row": [start + CURVE_STEP / 2 for start in blocks],
            "shift_rows": [float(shift[start : start + CURVE_STEP].mean()) for start in blocks],
            "rms_k": rms,
        },
    }


def moved(rows: int) -> np.ndarray:
    """By how many rows the middle of each of `rows` product rows lies further down after stretching to 1200."""
    return (np.arange(rows) + 0.5) * REFERENCE_HEIGHT / rows - 0.5 - np.arange(rows)


def cosmetic(product: Product, ours: Scene) -> dict[str, Any]:
    """Pixels that are copies: how many, and how many of them hold exactly what one of their eight neighbours holds."""
    copies = product.flag("confidence", "cosmetic")
    s8 = product.bt[S8]
    padded = np.pad(s8, 1, constant_values=np.nan)
    rows, columns = s8.shape
    same = np.zeros(s8.shape, bool)
    for down, across in NEIGHBOURS:
        same |= s8 == padded[1 + down : 1 + down + rows, 1 + across : 1 + across + columns]
    known = np.isfinite(s8)
    return {
        "cosmetic_share": float(copies.mean()),
        "equal_to_a_neighbour_share": float(same[copies & known].mean()),
        "others_equal_to_a_neighbour_share": float(same[~copies & known].mean()),
        "s8_measured_share": float(((ours.measured >> 7) & 1).mean()),
    }


def labels(original: Scene, ours: Scene) -> dict[str, Any]:
    """What share the original labels cloud, and whether the label was computed at all."""
    return {
        "original_cloud_share": float((original.bayes > 0).mean()),
        "summary_cloud_share": float((ours.summary > 0).mean()),
        "labelled": bool(ours.info.labelled),
    }


def loss(original: Scene, ours: Scene) -> dict[str, Any]:
    """Of the pixels that the original's loss counts: how many are fill, how many have no label, how many are copies."""
    counted = np.zeros((REFERENCE_HEIGHT, REFERENCE_WIDTH), bool)
    for row, column in patch_origins(REFERENCE_HEIGHT, REFERENCE_WIDTH):
        counted[row + TRIM : row + PATCH_SIZE - TRIM, column + TRIM : column + PATCH_SIZE - TRIM] = True
    weightless = (original.valid[..., 0] == 0) | (original.label_valid[..., 0] == 0)
    return {
        "counted_share": float(counted.mean()),
        "fill_share": float((original.valid[..., 0] == 0)[counted].mean()),
        "weightless_share": float(weightless[counted].mean()),
        "copies_share": float((((original.measured >> 7) & 1) == 0)[counted].mean()),
        "weight_of_ours": float((ours.valid & ours.label_valid).mean()),
    }
