"""How far the rows and columns that a table of match-ups gives lie from the positions that it gives, in pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

HALF_PIXEL = 0.5  # farther off, the one is not the pixel of the other
FEW = 0.01  # such a share may be, since pixels don't lie quite evenly


def offset_summary(rows: np.ndarray, columns: np.ndarray) -> dict[str, Any]:
    """Of offsets (N,) float64 of exact positions from the table's rows and columns, NaN where unknown, the statistics.

    count; median and greatest length of the offset; above_half, how many are longer than half a pixel; median_rows and
    median_columns, which way. None instead of each number where there is no offset.
    """
    known = np.isfinite(rows) & np.isfinite(columns)
    if not known.any():
        return {"count": 0, **dict.fromkeys(("median", "greatest", "median_rows", "median_columns")), "above_half": 0}
    length = np.hypot(rows[known], columns[known])
    return {
        "count": int(known.sum()),
        "median": float(np.median(length)),
        "greatest": float(length.max()),
        "median_rows": float(np.median(rows[known])),
        "median_columns": float(np.median(columns[known])),
        "above_half": int((length > HALF_PIXEL).sum()),
    }


def is_displaced(offset: dict[str, Any]) -> bool:
    """Whether a user must be warned: more than a few are off by more than half a pixel."""
    return bool(offset["above_half"] > FEW * offset["count"])


def offset_lines(offset: dict[str, Any]) -> list[str]:
    """The summary for people; nothing where there is no offset."""
    if not offset["count"]:
        return []
    return [
        f"y_cems, x_cems lie {offset['median']:.2f} pixels (median; greatest {offset['greatest']:.2f}) from "
        "latitude_an, longitude_an,",
        f"  {offset['above_half']} of {offset['count']} more than half a pixel "
        f"(medians {offset['median_rows']:+.2f} rows, {offset['median_columns']:+.2f} columns)",
    ]
