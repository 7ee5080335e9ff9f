"""Which pixels' values are decisions that a mask may be judged by, why the others are not, and where it is day."""

from __future__ import annotations

import numpy as np

from jaxmask.matchups import ALGORITHMS
from jaxmask.sun import HORIZON_DEG, sun_zenith_deg
from preprocess.level1 import CONFIDENCE_BITS

# Why a row has no decision, in the order in which reasons are looked for; each row counts under the first.
REASONS = (
    "without_mask",
    "mask_unreadable",
    "without_position",
    "outside_mask",
    "padded_pixel",
    "invalid_pixel",
    "cosmetic_pixel",
)
CODES = {reason: code for code, reason in enumerate(REASONS)}
DECIDED = -1
DAY, NIGHT, UNKNOWN = 1, 0, -1
SPLIT_WINDOW = 0b110000000  # bits of S8 and S9 in `measured`: what temperatures are retrieved from


def undecided(
    value: np.ndarray,
    valid: np.ndarray | None,
    padded: np.ndarray,
    measured: np.ndarray | None = None,
    flags: np.ndarray | None = None,
) -> np.ndarray:
    """DECIDED or the code of REASONS, (N,) int8, of pixels within a mask.

    value: (N,) float; valid: (N,) numbers, 0 where not valid, None where not known; padded: (N,) bool, beyond the
    product; measured, flags: (N,) uint16 as in mask files, None where unknown. A pixel is cosmetic if it has that flag,
    which says that it copies a neighbour, or if S8 or S9 is no measurement there.
    """
    reason = np.full(len(value), DECIDED, np.int8)
    if measured is not None:
        reason[measured & SPLIT_WINDOW != SPLIT_WINDOW] = CODES["cosmetic_pixel"]
    if flags is not None:
        reason[flags & CONFIDENCE_BITS["cosmetic"] != 0] = CODES["cosmetic_pixel"]
    good = np.isfinite(value) if valid is None else np.isfinite(value) & (valid > 0)
    reason[~good] = CODES["invalid_pixel"]
    reason[padded] = CODES["padded_pixel"]
    return reason


def day_by_flags(flags: np.ndarray) -> np.ndarray:
    """DAY, NIGHT or UNKNOWN, (N,) int8, by confidence_in (N,) uint16.

    Night is all that is not day: the twilight bit tells nothing more, since in the measured product every pixel whose
    sun is below the horizon has it, and there is none for night. A word without any flag was never filled: unknown.
    """
    day = np.where(flags & CONFIDENCE_BITS["day"] != 0, DAY, NIGHT)
    return np.where(flags == 0, UNKNOWN, day).astype(np.int8)


def day_by_sun(time_s: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """The same by the sun: day where it stands above the horizon, as `sun_zenith_deg` has it; UNKNOWN at NaN."""
    zenith = sun_zenith_deg(time_s, latitude, longitude)
    return np.where(np.isnan(zenith), UNKNOWN, np.where(zenith < HORIZON_DEG, DAY, NIGHT)).astype(np.int8)


def night_rows(by_flags: np.ndarray, by_sun: np.ndarray, algorithm: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Whether it is night, (N,) bool, by flags, else by the sun, else by the algorithm; and how many rows by which.

    by_flags, by_sun: (N,) int8, DAY, NIGHT or UNKNOWN; algorithm: (N,) sst_algorithm_type, of which N3 and D3
    are chosen by night alone.
    """
    nightly = [each.code for each in ALGORITHMS if each.time_of_day == "night"]
    flagged, placed = by_flags != UNKNOWN, by_sun != UNKNOWN
    night = np.where(flagged, by_flags == NIGHT, np.where(placed, by_sun == NIGHT, np.isin(algorithm, nightly)))
    flags, sun = int(flagged.sum()), int((placed & ~flagged).sum())
    return night, {"flags": flags, "sun": sun, "algorithm": len(night) - flags - sun}
