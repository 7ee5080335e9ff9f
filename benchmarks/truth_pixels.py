"""The held-out scenes of the truth test, pixel by pixel: truth, labels, strata, and counts of what a mask says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
from scipy import ndimage
from truth_labels import cloud_share, control

from jaxmask.scores import is_measured
from jaxmask.split import granule_of
from jaxmask.sun import cos_sun_zenith
from preprocess.level1 import CONFIDENCE_BITS
from preprocess.shard import find_shards, read_info, read_window
from preprocess.simulation.clouds import KINDS
from preprocess.simulation.label_errors import COAST_PIXELS, FAINT_FROM, GROUND, SKIES, THIN_BELOW, TIMES
from preprocess.simulation.surface import SEA, SURFACES

NEEDED = ("refs", "bts", "bayes", "valid", "label_valid", "measured", "flags", "latitude", "longitude")
TRUTH_NAMES = ("cloud", "kind", "surface", "optical_depth", "cover_fraction", "dbt8_k")
ZENITHS_DEG = (80.0, 90.0)  # of the sun, where day ends and where night begins: label_errors.times_of_day
SQUARES = (3, 7)
CELLS = (len(SKIES), len(GROUND), len(TIMES))
STRATA = ("all", *SKIES, *GROUND, *TIMES)
OUTCOMES = 4  # truth clear and said clear, said cloud; truth cloud and said clear, said cloud


@dataclass(frozen=True)
class Label:
    """One rule's label, (H, W): where it says cloud, bool, and by side of a square the share of cloud, float32."""

    cloud: np.ndarray
    shares: dict[int, np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """One scene to judge on, (H, W) each. cell: uint8, its code of CELLS; counted: where masks are judged, bool;
    change_k: by how much cloud changes S8, K, float32.
    """

    product: str
    counted: np.ndarray
    truth: np.ndarray
    change_k: np.ndarray
    control: np.ndarray
    cell: np.ndarray
    labels: dict[str, Label]


def read_held_out(shards: dict[str, Path], truth: Path) -> list[HeldOut]:
    """The labelled scenes of a held-out archive, of copies of one granule the first; by label rule its shards."""
    rules = {rule: {path.name: path for path in find_shards(folder)} for rule, folder in shards.items()}
    found: dict[str, HeldOut] = {}
    for name in sorted(next(iter(rules.values()))):
        paths = {rule: known[name] for rule, known in rules.items()}
        info = read_info(next(iter(paths.values())))
        if info.labelled and granule_of(info.product) not in found:
            found[granule_of(info.product)] = read_scene(info.product, info.start_time, paths, truth)
    return list(found.values())


def read_scene(product: str, start_time: str, paths: dict[str, Path], truth: Path) -> HeldOut:
    """One scene from its shards, one a label rule, and its truth."""
    whole = (slice(None), slice(None))
    shard = read_window(next(iter(paths.values())), *whole, NEEDED)
    flat = {name: shard[name][..., 0] for name in ("valid", "label_valid")}
    with h5py.File(truth / f"{product}.h5") as file:
        real = {name: file[name][()] for name in TRUTH_NAMES}
    labels = {}
    for rule, path in paths.items():
        cloud = read_window(path, *whole, ("bayes",))["bayes"][..., 0] > 0
        known = flat["label_valid"] > 0
        shares = {side: cloud_share(cloud, known, side).astype(np.float32) for side in SQUARES}
        labels[rule] = Label(cloud, shares)
    begun = datetime.fromisoformat(start_time.replace("Z", "+00:00")).timestamp()
    parts = (
        sky(real),
        ground(real["surface"], shard["flags"]),
        time_of_day(cos_sun_zenith(begun, shard["latitude"], shard["longitude"])),
    )
    return HeldOut(
        product=product,
        counted=(flat["valid"] > 0) & (flat["label_valid"] > 0) & is_measured(shard["measured"]),
        truth=real["cloud"] > 0,
        change_k=np.abs(real["dbt8_k"]),
        control=control(shard["refs"], shard["bts"]),
        cell=np.ravel_multi_index(parts, CELLS).astype(np.uint8),
        labels=labels,
    )


def sky(truth: dict[str, np.ndarray]) -> np.ndarray:
    """Codes of SKIES, as label_errors.sky has them, from the arrays of a truth file."""
    amount = truth["cover_fraction"] * truth["optical_depth"]
    codes = np.array([SKIES.index(name) for name in KINDS])[truth["kind"]]
    codes = np.where((truth["cloud"] == 0) & (amount >= FAINT_FROM), SKIES.index("faint cloud"), codes)
    return np.where((codes == SKIES.index("cirrus")) & (amount < THIN_BELOW), SKIES.index("thin cirrus"), codes)


def ground(surface: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Codes of GROUND, as label_errors.ground has them, from the truth's surface and the product's glint flag."""
    wet = (surface == SEA) | (surface == SURFACES.index("ice"))
    reach = np.ones((2 * COAST_PIXELS + 1, 2 * COAST_PIXELS + 1), bool)
    coast = ndimage.binary_dilation(wet, reach) & ndimage.binary_dilation(~wet, reach)
    glint = (flags & CONFIDENCE_BITS["sun_glint"] > 0) & (surface == SEA)
    return np.where(coast, GROUND.index("coast"), np.where(glint, GROUND.index("glint"), surface))


def time_of_day(cosine: np.ndarray) -> np.ndarray:
    """Codes of TIMES from the cosine of the sun's zenith angle; NaN, where there is no position, is night."""
    day, night = np.cos(np.radians(ZENITHS_DEG))
    dark = np.where(cosine > night, TIMES.index("twilight"), TIMES.index("night"))
    return np.where(cosine > day, TIMES.index("day"), dark)


def count(scene: HeldOut, cloud: np.ndarray) -> np.ndarray:
    """What a mask (H, W) bool gets right and wrong: (len(STRATA), OUTCOMES) int64, exact."""
    cell, truth, said = (part[scene.counted] for part in (scene.cell, scene.truth, cloud))
    code = cell.astype(np.int64) * OUTCOMES + 2 * truth + said
    cells = np.bincount(code, minlength=int(np.prod(CELLS)) * OUTCOMES).reshape(*CELLS, OUTCOMES)
    strata = [cells.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    return np.concatenate([cells.sum(axis=(0, 1, 2))[None], *strata])
