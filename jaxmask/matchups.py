"""Match-ups of satellite and buoy: which rows count, and the statistics of their temperature differences.

Filters and the five `reference` numbers are the original's (../shared/reference/README.md, "match-ups" and
"statistics"). All else differs from them in three ways. The oblique zenith angle and the oblique cloud probability
are asked only of dual-view retrievals (D2, D3): a nadir retrieval (N2, N3) outside the dual swath has neither, and the
original's filter would drop it. Longitudes are compared across the date line. And all masks are judged against the
same eligible rows, so that each count comes with its coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Table = Mapping[str, np.ndarray]
Select = Literal["type", "all"]

ZERO_CELSIUS_K = 273.15
MIN_SST_K = 273.15  # the original's bound on buoy and satellite temperatures; sea water freezes at 271.35 K
MAX_LATITUDE_OFFSET_DEG = 0.005
MAX_LONGITUDE_OFFSET_DEG = 0.01
MAX_ZENITH_DEG = 55.0
BEST_QUALITY_LEVEL = 5
BAYES_THRESHOLD = 0.9
BAYES_FLAG_LEVEL = 0.5
RSD_PER_MAD = 1.4826  # standard deviation of a Gaussian over its median absolute deviation


@dataclass(frozen=True)
class Algorithm:
    """A retrieval of sea-surface temperature: its code in `sst_algorithm_type`, its column, its views and its time."""

    name: str
    code: int
    column: str
    dual_view: bool
    time_of_day: str


ALGORITHMS = (
    Algorithm("N2", 1, "sat_sst_0", dual_view=False, time_of_day="day"),
    Algorithm("N3", 3, "sat_sst_1", dual_view=False, time_of_day="night"),
    Algorithm("D2", 4, "sat_sst_2", dual_view=True, time_of_day="day"),
    Algorithm("D3", 5, "sat_sst_3", dual_view=True, time_of_day="night"),
)
PUBLISHED = ALGORITHMS[2]

REQUIRED_COLUMNS = (
    "isst",
    "slat",
    "slon",
    "latitude_an",
    "longitude_an",
    "satzan",
    "satzao",
    "quality_level",
    "sst_algorithm_type",
    "pcloudn",
    "pcloudo",
    "bayes_in",
    *(algorithm.column for algorithm in ALGORITHMS),
    "cems_path",
    "y_cems",
    "x_cems",
)
TEXT_COLUMNS = ("cems_path",)  # the others are numbers


def product_names(paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products named by `paths` (N,) str, `.../NAME.SEN3`: names (P,), sorted, and the index (N,) of each path's."""
    number: dict[str, int] = {}  # far faster than to sort long strings
    of_row = np.array([number.setdefault(path, len(number)) for path in paths.tolist()], np.int64)
    bases = [path.rstrip("/\\").replace("\\", "/").rpartition("/")[2] for path in number]
    names, of_path = np.unique(np.array([base.removesuffix(".SEN3") for base in bases], str), return_inverse=True)
    return names, of_path[of_row]


def pixel_indices(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (N,) int64 of the match-ups in their images; -1 where either is not a whole number."""
    rows, columns = (np.asarray(table[name], np.float64) for name in ("y_cems", "x_cems"))
    whole = (np.abs(rows) < 2**31) & (np.abs(columns) < 2**31) & (rows % 1 == 0) & (columns % 1 == 0)
    return np.where(whole, rows, -1).astype(np.int64), np.where(whole, columns, -1).astype(np.int64)


def differences(table: Table, algorithm: Algorithm) -> np.ndarray:
    """Satellite minus buoy (N,) float64 K."""
    return np.asarray(table[algorithm.column], np.float64) - buoy_temperature(table)


def buoy_temperature(table: Table) -> np.ndarray:
    """Buoy temperature (N,) float64 K, from `isst` in degrees Celsius."""
    return np.asarray(table["isst"], np.float64) + ZERO_CELSIUS_K


def reference_filter(table: Table) -> np.ndarray:
    """The original's filter, literally: (N,) bool. Rows without an oblique zenith angle (NaN) drop out."""
    longitude_offset = np.abs(table["slon"] - table["longitude_an"])
    return _common_filter(table, longitude_offset) & (table["satzao"] <= MAX_ZENITH_DEG)


def quality_filter(
    table: Table, algorithm: Algorithm, select: Select = "type", *, any_quality: bool = False
) -> np.ndarray:
    """Rows (N,) bool of `algorithm` fit for its statistics: oblique zenith angle asked of dual views only.

    select: see `selected`; any_quality: whatever the quality level.
    """
    offset = np.abs(table["slon"] - table["longitude_an"]) % 360.0
    keep = _place_filter(table, np.minimum(offset, 360.0 - offset)) & selected(table, algorithm, select)
    keep &= np.isfinite(differences(table, algorithm))
    if not any_quality:
        keep &= table["quality_level"] == BEST_QUALITY_LEVEL
    return keep & (table["satzao"] <= MAX_ZENITH_DEG) if algorithm.dual_view else keep


def selected(table: Table, algorithm: Algorithm, select: Select) -> np.ndarray:
    """Rows (N,) bool with `algorithm`'s temperature: "type", those it was chosen for; "all", wherever it is there."""
    return retrieved(table, algorithm) if select == "type" else table[algorithm.column] > MIN_SST_K


def retrieved(table: Table, algorithm: Algorithm) -> np.ndarray:
    """Rows (N,) bool whose temperature is `algorithm`'s and above the original's bound."""
    return (table["sst_algorithm_type"] == algorithm.code) & (table[algorithm.column] > MIN_SST_K)


def bayes_clear(table: Table, *, dual_view: bool, threshold: float = BAYES_THRESHOLD) -> np.ndarray:
    """Rows (N,) bool that the operational Bayes mask calls clear: in nadir view, and in the oblique if `dual_view`."""
    nadir = table["pcloudn"] < threshold
    return nadir & (table["pcloudo"] < threshold) if dual_view else nadir


def median_and_rsd(values: np.ndarray) -> tuple[float | None, float | None]:
    """Median and robust standard deviation 1.4826 * median(abs(x - median)) of (N,) float64; None if there are none."""
    if not values.size:
        return None, None
    median = float(np.median(values))
    return median, float(RSD_PER_MAD * np.median(np.abs(values - median)))


def reference_numbers(
    table: Table, model_mask: np.ndarray, threshold: float | np.ndarray = 0.5, bayes_threshold: float = BAYES_THRESHOLD
) -> dict[str, Any]:
    """The original's five numbers, with the counts behind them.

    model_mask: (N,) float64, the mask at each row, NaN where its product has no mask or the pixel is beyond it.
    `rows_after_filters` counts rows without a mask too, as the original's figure does; everything else needs a mask.
    Temperatures are of type 4 (D2: by day, dual view) alone; `agreement` is over all kept rows of every type.
    """
    passing = reference_filter(table)
    keep = passing & np.isfinite(model_mask)
    difference = differences(table, PUBLISHED)
    published = keep & retrieved(table, PUBLISHED) & np.isfinite(difference)
    bayes = published & bayes_clear(table, dual_view=True, threshold=bayes_threshold)
    unet = published & (model_mask < threshold)
    bayes_median, bayes_rsd = median_and_rsd(difference[bayes])
    unet_median, unet_rsd = median_and_rsd(difference[unet])
    agree = (model_mask > threshold) == (table["bayes_in"] > BAYES_FLAG_LEVEL)
    return {
        "bayes_median": bayes_median,
        "bayes_RSD": bayes_rsd,
        "unet_median": unet_median,
        "unet_RSD": unet_rsd,
        "agreement": float(np.mean(agree[keep])) if keep.any() else None,
        "rows": len(keep),
        "rows_after_filters": int(passing.sum()),
        "rows_with_mask": int(keep.sum()),
        "rows_published_algorithm": int(published.sum()),
        "bayes_count": int(bayes.sum()),
        "unet_count": int(unet.sum()),
    }


def _common_filter(table: Table, longitude_offset: np.ndarray) -> np.ndarray:
    return _place_filter(table, longitude_offset) & (table["quality_level"] == BEST_QUALITY_LEVEL)


def _place_filter(table: Table, longitude_offset: np.ndarray) -> np.ndarray:
    return (
        (np.abs(table["slat"] - table["latitude_an"]) < MAX_LATITUDE_OFFSET_DEG)
        & (longitude_offset < MAX_LONGITUDE_OFFSET_DEG)
        & (buoy_temperature(table) > MIN_SST_K)
        & (table["satzan"] <= MAX_ZENITH_DEG)
    )
