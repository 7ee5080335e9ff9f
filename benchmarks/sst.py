"""Match-up statistics of 100 masks and 100,000 match-ups: what reading, sampling, estimating and all of it take.

    python benchmarks/sst.py [--masks 100] [--rows 100000] [--size 1200x1500] [--bootstrap 2000] [--rounds 5]
        [--different 10] [--scratch FOLDER] [--output FILE]

Masks are made up and written by the project's writer, with positions, flags and what was measured; of 30 MB each, only
--different are written, the others are hard links to these under other products' names. The table is pandas' fixed
format, strings pickled, as the original's. Everything is timed in one process after its imports, files in the system's
cache; the first round, with what is done once a process, is told apart. The textbook way, in the same rounds, is what
the original does: pandas.read_hdf, whole masks by h5py, boolean indexing, median and 1.4826 * SciPy's MAD of two masks
by day alone; no positions, no counts, no intervals. The original's own published figure is 1.10 s, of 100 products, on
other hardware. Tables on stderr, JSON on stdout.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import measure
import numpy as np
import pandas as pd
import scipy.stats
import sst_table

from jaxmask.mask_samples import MaskSamples, sample_masks
from jaxmask.maskfile import Mask, find_masks, write_mask
from jaxmask.matchup_table import read_table
from jaxmask.matchups import MAX_ZENITH_DEG, REQUIRED_COLUMNS, RSD_PER_MAD, Table
from jaxmask.sst import SstConfig, judge
from jaxmask.sst import main as sst_main
from preprocess.level1 import CONFIDENCE_BITS

SEED = 0
EARTH_KM = 6371.0
FIRST = datetime(2017, 3, 15, tzinfo=UTC)
GRANULE = timedelta(minutes=3)
ALL_MEASURED, CLOUD_SHARE = 0b111111111, 0.6
CODES = {"day": (1, 4), "night": (3, 5)}  # sst_algorithm_type outside and within the oblique view


def main(argv: list[str] | None = None) -> int:
    """Time it all, print the figures, and return 0."""
    options = _options(argv)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch) / "predictions"
        folder.mkdir()
        table = Path(scratch) / "matchups.h5"
        make_masks(folder, options.masks, options.different, options.size)
        make_table(table, folder, options.rows)
        report = measure.machine() | {"options": _told(options)}
        report |= timed(table, folder, options)
    measure.tell(report, [sst_table.text(report)], options.output)
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--rows", type=int, default=100_000, help="match-ups, shared out evenly")
    parser.add_argument("--size", default="1200x1500", help="of a mask, rows x columns")
    parser.add_argument("--different", type=int, default=10, help="masks that are not links to others")
    parser.add_argument("--bootstrap", type=int, default=2000, help="resamples, for everything")
    parser.add_argument("--rounds", type=int, default=5, help="that each piece is timed in")
    parser.add_argument("--scratch", type=Path, help="folder for the files, 30 MB each different mask")
    parser.add_argument("--output", type=Path, help="where the JSON goes too")
    options = parser.parse_args(argv)
    options.size = tuple(int(length) for length in options.size.split("x"))
    return options


def _told(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name not in ("scratch", "output")}


def timed(table: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each piece and of the textbook way, alternately; the counts that the statistics are of."""
    config = SstConfig(table, folder, bootstrap=options.bootstrap, quiet=True)
    points = dataclasses.replace(config, bootstrap=0).settings
    masks = find_masks(folder)
    columns = read_table(table, REQUIRED_COLUMNS)
    samples = sample_masks(columns, masks)

    def point_estimates() -> tuple[Table, MaskSamples, dict[str, Any]]:
        found = read_table(table, REQUIRED_COLUMNS)
        sampled = sample_masks(found, find_masks(folder))
        return found, sampled, judge(found, sampled, points)

    pieces: dict[str, Callable[[], object]] = {
        "table": lambda: read_table(table, REQUIRED_COLUMNS),
        "masks": lambda: sample_masks(columns, masks),
        "estimates": lambda: judge(columns, samples, points),
        "points": point_estimates,
        "textbook": lambda: textbook(table, folder),
        "everything": lambda: sst_main(config),
    }
    first = {name: measure.clocked(work).wall_s for name, work in pieces.items()}
    clocks: dict[str, list[measure.Clock]] = {name: [] for name in pieces}
    for _ in range(options.rounds):
        for name, work in pieces.items():
            clocks[name].append(measure.clocked(work))
    seconds = {name: {"first_s": first[name]} | measure.summary(found) for name, found in clocks.items()}
    _, _, results = point_estimates()
    eligible = {
        f"{record['algorithm']} {record['time_of_day']}": record["eligible"]
        for record in results["statistics"]
        if record["mask"] == "none"
    }
    return {"seconds": seconds, "eligible": eligible, "located": results["located"], "excluded": results["excluded"]}


def textbook(table: Path, folder: Path) -> dict[str, float]:
    """The original's statistics as one would write them down, from whole masks."""
    frame = pd.DataFrame(pd.read_hdf(table))
    frame.columns = frame.columns.str.lower()
    names = frame["cems_path"].str.split("/").str[-1].str.replace(".SEN3", ".h5")
    frame["model_mask"] = np.nan
    for name in names.unique():
        path = folder / name
        if path.exists():
            rows = names == name
            with h5py.File(path) as file:
                mask = file["mask"][0, :, :, 0]
            frame.loc[rows, "model_mask"] = mask[frame.loc[rows, "y_cems"], frame.loc[rows, "x_cems"]]
    keep = (np.abs(frame.slat - frame.latitude_an) < 0.005) & (np.abs(frame.slon - frame.longitude_an) < 0.01)
    keep &= (frame.isst > 0) & (frame.satzan <= MAX_ZENITH_DEG) & (frame.satzao <= MAX_ZENITH_DEG)
    keep &= (frame.quality_level == 5) & frame.model_mask.notna() & (frame.sst_algorithm_type == 4)
    kept = frame[keep & (frame.sat_sst_2 > 273.15)]
    difference = kept.sat_sst_2 - (kept.isst + 273.15)
    found = {}
    for mask, rows in {"bayes": (kept.pcloudn < 0.9) & (kept.pcloudo < 0.9), "unet": kept.model_mask < 0.5}.items():
        found[f"{mask}_median"] = float(difference[rows].median())
        found[f"{mask}_RSD"] = float(RSD_PER_MAD * scipy.stats.median_abs_deviation(difference[rows]))
    return found


def make_masks(folder: Path, masks: int, different: int, size: tuple[int, int]) -> None:
    """Write `different` masks of `size` pixels to `folder`, and link the others of `masks` to these."""
    for number in range(masks):
        path = folder / f"{product_name(number)}.h5"
        if number < different:
            write_mask(path, make_mask(number, size))
        else:
            path.hardlink_to(folder / f"{product_name(number % different)}.h5")


def make_mask(number: int, size: tuple[int, int]) -> Mask:
    """A mask of smooth clouds on a grid of 1 km about a place that the number gives; every other one by night."""
    rng = np.random.default_rng([SEED, number])
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    phase = rng.uniform(0, 6, 2)
    cloud = 0.5 + 0.45 * np.sin(y / 37 + phase[0]) * np.cos(x / 53 + phase[1])
    degree_km = np.radians(1) * EARTH_KM
    latitude = rng.uniform(-50, 50) - (y - height / 2) / degree_km
    longitude = rng.uniform(-170, 150) + (x - width / 2) / degree_km / np.cos(np.radians(latitude))
    flags = np.full(size, CONFIDENCE_BITS["ocean"] | CONFIDENCE_BITS["twilight" if number % 2 else "day"], np.uint16)
    flags[rng.random(size, np.float32) < 0.05] |= CONFIDENCE_BITS["cosmetic"]
    attributes = {"convention": "native", "threshold": 0.5, "rows": height, "columns": width}
    return Mask(
        product_name(number),
        cloud.astype(np.float32),
        rng.random(size, np.float32) > 0.02,
        attributes,
        latitude=latitude.astype(np.float32),
        longitude=longitude.astype(np.float32),
        flags=flags,
        measured=np.full(size, ALL_MEASURED, np.uint16),
    )


def make_table(path: Path, folder: Path, rows: int) -> None:
    """Match-ups at random pixels of all masks, in the original's columns and format."""
    masks = find_masks(folder)
    frames = [make_rows(number, mask, len(part)) for number, (mask, part) in enumerate(zip(
        masks, np.array_split(np.arange(rows), len(masks)), strict=True
    ))]  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    frame["cems_path"] = frame["cems_path"].astype(object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # the fixed format pickles strings
        frame.to_hdf(path, key="data", mode="w", format="fixed")


def make_rows(number: int, mask: Path, count: int) -> pd.DataFrame:
    """One product's match-ups; where it is cloudy, satellites are colder and P(cloud) greater, with errors of both."""
    rng = np.random.default_rng([SEED, 1, number])
    with h5py.File(mask) as file:
        height, width = file["latitude"].shape
        y, x = rng.integers(0, height, count), rng.integers(0, width, count)
        latitude, longitude = file["latitude"][()][y, x], file["longitude"][()][y, x]
        cloudy = file["mask"][0, :, :, 0][y, x] > CLOUD_SHARE
        night = bool(file["flags"][0, 0] & CONFIDENCE_BITS["twilight"])
    buoy_c = rng.uniform(2, 28, count)
    error = -0.17 + 0.3 * rng.standard_normal((4, count)) - cloudy * rng.exponential(2.0, count)
    cloud = np.where(cloudy ^ (rng.random(count) < 0.1), rng.uniform(0.5, 1, count), rng.uniform(0, 0.9, count))
    return pd.DataFrame(
        {
            "ISST": buoy_c,
            "SLAT": latitude + rng.uniform(-0.0049, 0.0049, count),
            "SLON": longitude + rng.uniform(-0.0099, 0.0099, count),
            "latitude_an": latitude.astype(np.float64),
            "longitude_an": longitude.astype(np.float64),
            "SATZAN": rng.uniform(0, 56, count),
            "SATZAO": np.full(count, 54.5),
            "quality_level": rng.choice([5, 5, 5, 4], count),
            "sst_algorithm_type": rng.choice(CODES["night" if night else "day"], count),
            "pcloudn": cloud,
            "pcloudo": np.clip(cloud + rng.uniform(-0.1, 0.1, count), 0, 1),
            "bayes_in": (cloud > 0.9).astype(np.int64),
            **{f"sat_sst_{index}": buoy_c + 273.15 + error[index] for index in range(4)},
            # Strings of their own, as from a text file: a pickle would hold one string only once.
            "cems_path": [f"/neodc/sentinel3a/data/SLSTR/L1_RBT/2017/03/{mask.stem}.SEN3" for _ in range(count)],
            "y_cems": y,
            "x_cems": x,
        }
    )


def product_name(number: int) -> str:
    """A product name of the mission's form, `number` granules after the first."""
    start, stop = (f"{FIRST + count * GRANULE:%Y%m%dT%H%M%S}" for count in (number, number + 1))
    return f"S3A_SL_1_RBT____{start}_{stop}_{stop}_0179_015_237_1439_SVL_O_NR_004"


if __name__ == "__main__":
    sys.exit(main())
