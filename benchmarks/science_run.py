"""Edge: what a run on a simulated archive tells of the original's way: outputs, rows, match-ups, satellites."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from preprocess.names import parse_name

BINS = 20
SHIFTS = (1, 2)
ALGORITHM, TIME = "D2", "day"
MASKS = ("none", "bayes", "unet")


class Seen(NamedTuple):
    """One product of a run: the network's output and what it learnt from, (H, W) each."""

    product: str
    output: np.ndarray  # q, f4
    cloud: np.ndarray  # bool, the label
    counted: np.ndarray  # bool: valid, labelled and measured in S8 and S9


def products(run: Path) -> Iterator[Seen]:
    """Every product of a run folder that has both a shard and a mask, in order of name."""
    for path in sorted((run / "hdf").glob("*/*.hdf")):
        mask = run / "predictions" / f"{path.stem}.h5"
        if not mask.exists():
            continue
        with h5py.File(path) as shard, h5py.File(mask) as predicted:
            measured = shard["measured"][...]
            counted = (shard["label_valid"][..., 0] > 0) & (predicted["valid"][0, ..., 0] > 0)
            counted &= ((measured >> 7) & 1 > 0) & ((measured >> 8) & 1 > 0)
            yield Seen(path.stem, predicted["mask"][0, ..., 0], shard["bayes"][..., 0] > 0, counted)


def held_out(run: Path) -> set[str]:
    """The products that the run's model was tested on."""
    found: list[str] = json.loads((run / "model" / "config.json").read_text())["split"]["test"]
    return set(found)


def outputs(found: list[Seen], positive_weight: float) -> dict[str, Any]:
    """How often the label says cloud where the network says q, in bins of q; and how far q, and P by theory, are off.

    The expected calibration error is the mean over pixels of |mean value - share of cloud| of their bin.
    """
    q = np.concatenate([one.output[one.counted] for one in found]).astype(np.float64)
    cloud = np.concatenate([one.cloud[one.counted] for one in found])
    p = q / (q + positive_weight * (1 - q))
    counts, means, shares = binned(q, cloud)
    return {
        "products": len(found),
        "pixels": int(q.size),
        "positive_weight": positive_weight,
        "q": means,
        "cloud_share": shares,
        "count": counts,
        "q_error": calibration_error(q, cloud),
        "p_error": calibration_error(p, cloud),
        "cloud_where_q_near_half": float(cloud[np.abs(q - 0.5) < 0.05].mean()),
        "label_cloud_share": float(cloud.mean()),
        "q_mean": float(q.mean()),
        "p_mean": float(p.mean()),
    }


def binned(values: np.ndarray, cloud: np.ndarray) -> tuple[list[int], list[float], list[float]]:
    """Count, mean value and share of cloud of the bins of equal width that hold any pixel."""
    index = np.minimum((values * BINS).astype(int), BINS - 1)
    counts = np.bincount(index, minlength=BINS)
    kept = counts > 0
    means = np.bincount(index, values, BINS)[kept] / counts[kept]
    shares = np.bincount(index, cloud, BINS)[kept] / counts[kept]
    return counts[kept].tolist(), means.tolist(), shares.tolist()


def calibration_error(values: np.ndarray, cloud: np.ndarray) -> float:
    """The expected calibration error, in the bins of `binned`."""
    counts, means, shares = (np.array(found) for found in binned(values, cloud))
    return float((counts * np.abs(means - shares)).sum() / counts.sum())


def decisions_moved(found: list[Seen], threshold: float = 0.5) -> dict[str, float]:
    """Of the pixels counted: the share whose decision is another one a row, or two rows, further down."""
    changed, counted = dict.fromkeys(SHIFTS, 0), dict.fromkeys(SHIFTS, 0)
    for one in found:
        cloud = one.output >= threshold
        for rows in SHIFTS:
            both = one.counted[:-rows] & one.counted[rows:]
            changed[rows] += int((cloud[:-rows] != cloud[rows:])[both].sum())
            counted[rows] += int(both.sum())
    return {f"{rows} rows": changed[rows] / counted[rows] for rows in SHIFTS}


def matchups(run: Path) -> dict[str, Any]:
    """The run's own sst.json: the original's numbers, and masks at their own and at equal coverage, with the curves."""
    report = json.loads((run / "predictions" / "sst.json").read_text())
    keys = ("mask", "count", "coverage", "median", "rsd", "cold_tail")

    def of(name: str) -> list[dict[str, Any]]:
        rows = [row for row in report[name] if (row["algorithm"], row["time_of_day"]) == (ALGORITHM, TIME)]
        return [
            {key: row[key] for key in keys} | {"rsd_interval": _rsd_interval(row)}
            for row in rows
            if row["mask"] in MASKS
        ]

    curves = [c for c in report["coverage_curves"] if (c["algorithm"], c["time_of_day"]) == (ALGORITHM, TIME)]
    pairs = [
        row
        for row in report["paired"]
        if (row["algorithm"], row["time_of_day"], row["mask"], row["minus"]) == (ALGORITHM, TIME, "unet", "bayes")
    ]
    return {
        "reference": report["reference"],
        "native": of("statistics"),
        "equal": of("equal_coverage"),
        "paired": {row["at"]: {"rsd": row["differences"]["rsd"], "rsd_interval": _rsd_interval(row)} for row in pairs},
        "curves": {
            curve["mask"]: {key: [point[key] for point in curve["points"]] for key in ("coverage", "rsd", "cold_tail")}
            for curve in curves
        },
    }


def _rsd_interval(row: dict[str, Any]) -> list[float] | None:
    return row["intervals"]["rsd"] if row["intervals"] else None


def granules(names: list[str]) -> dict[str, int]:
    """Products, those that the original's pattern S3A* leaves out, and those that are copies of another's granule."""
    parsed = [parse_name(name) for name in names]
    distinct = {(one.platform, one.start_time) for one in parsed}
    return {
        "products": len(names),
        "not_s3a": sum(one.platform != "S3A" for one in parsed),
        "copies": len(names) - len(distinct),
    }
