"""Products to judge: shards, masks and truth of random pixels, and a judge that looks at one pixel after the other."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jaxmask.maskfile import Mask, write_mask
from jaxmask.scene_source import info_json
from jaxmask.sun import sun_zenith_deg
from preprocess.scene import Scene
from preprocess.shard import write_shard
from tests.shards import make_scene, product_name

HEIGHT, WIDTH = 16, 24
PRODUCTS = 3
KINDS = ("clear", "stratus", "cumulus", "cirrus", "convection")
PAIRS = (("unet", "label"), ("unet", "truth"), ("bayes", "truth"))
OUTCOMES = ("true_positive", "false_positive", "false_negative", "true_negative")
Key = tuple[str, str, str]  # mask, against, stratum


@cache
def scene(number: int, height: int = HEIGHT, width: int = WIDTH) -> Scene:
    """Random labels, validity, measured bits, flags and places; product 2 has no labels."""
    rng = np.random.default_rng(number)
    made = make_scene(product_name(number), height, width, labelled=number != 2, day=number == 0)
    shape = (height, width)
    flags = rng.choice([1024 | 2, 1024 | 8, 2, 8 | 8192, 2048 | 2, 1, 1024 | 2 | 4096, 16 | 8], shape)
    return replace(
        made,
        bayes=np.where(rng.random((*shape, 1)) < 0.6, 255, 0).astype(np.uint8),
        valid=(rng.random((*shape, 1)) < 0.9).astype(np.uint8),
        label_valid=((rng.random((*shape, 1)) < 0.9) & (number != 2)).astype(np.uint8),
        measured=np.where(rng.random(shape) < 0.9, 511, 0b101111111).astype(np.uint16),
        flags=flags.astype(np.uint16),
        latitude=rng.uniform(-89, 89, shape).astype(np.float32),
        longitude=rng.uniform(-180, 180, shape).astype(np.float32),
    )


def mask_of(made: Scene, **attributes: Any) -> Mask:
    rng = np.random.default_rng(zlib.crc32(made.info.product.encode()))
    shape = made.flags.shape
    stored = {"product": info_json(made.info), "model": "m", "threshold": 0.5, "positive_weight": 0.5} | attributes
    return Mask(made.info.product, rng.random(shape, np.float32), rng.random(shape) < 0.95, stored)


@cache
def truth_of() -> dict[str, np.ndarray]:
    """The same for every product: big cloud, so that some pixels lie far from its edge."""
    rng = np.random.default_rng(7)
    amount = np.where(rng.random((HEIGHT, WIDTH)) < 0.3, rng.choice([0, 0.1, 0.3], (HEIGHT, WIDTH)), 0)
    amount[:, 15:] = rng.choice([0.15, 0.7, 2, 5, 20], (HEIGHT, WIDTH - 15))
    amount = amount.astype(np.float32)
    cloud = amount >= np.float32(0.15)
    kind = np.where(cloud, rng.integers(1, 5, amount.shape), 0).astype(np.uint8)
    depth = {"optical_depth": 2 * amount, "cover_fraction": np.full_like(amount, 0.5)}
    return {"cloud": cloud, "dbt8_k": np.where(cloud, np.float32(5), np.float32(0.1)), "kind": kind, **depth}


def write_truth(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file.attrs["kinds"] = json.dumps(KINDS)
        for dataset, values in truth_of().items():
            file[dataset] = values.astype(np.uint8) if values.dtype == bool else values


def write_places(folder: Path) -> Path:
    """hdf/, out/ and truth/ of three products; a model/ that trained on product 0 and tested on 1 and 2."""
    for number in range(PRODUCTS):
        made = scene(number)
        write_shard(folder / "hdf" / "day" / f"{made.info.product}.hdf", made)
        (folder / "out").mkdir(exist_ok=True)
        write_mask(folder / "out" / f"{made.info.product}.h5", mask_of(made))
        write_truth(folder / "truth", made.info.product)
    split = {"train": [product_name(0)], "test": [product_name(1), product_name(2)]}
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text(json.dumps({"split": split}))
    return folder


@cache
def slow_counts(numbers: tuple[int, ...], *, cosmetic: bool = False) -> dict[Key, list[int]]:
    """The four outcomes of every comparison and stratum, pixel by pixel."""
    counts: dict[Key, list[int]] = {}
    for mask, against, stratum, said, target in slow_pixels(numbers, cosmetic=cosmetic):
        row = counts.setdefault((mask, against, stratum), [0, 0, 0, 0])
        row[{(1, 1): 0, (1, 0): 1, (0, 1): 2, (0, 0): 3}[said, target]] += 1
    return counts


def slow_corrections(numbers: tuple[int, ...]) -> dict[str, Counter[tuple[bool, bool]]]:
    """By stratum, how often the label is right or not, and the mask is or not."""
    truth = truth_of()["cloud"]
    found: dict[str, Counter[tuple[bool, bool]]] = {}
    for number in numbers:
        made, mask = scene(number), mask_of(scene(number))
        for y, x in np.argwhere(_judged(made, mask)):
            if made.measured[y, x] != 511:
                continue
            label, cloud = made.bayes[y, x, 0] > 0, mask.probability[y, x] > 0.5
            right = bool(label == truth[y, x]), bool(cloud == truth[y, x])
            for stratum in _strata(number, y, x, "truth"):
                found.setdefault(stratum, Counter())[right] += 1
    return found


def slow_pixels(numbers: tuple[int, ...], *, cosmetic: bool) -> Iterator[tuple[str, str, str, int, int]]:
    truth = truth_of()["cloud"]
    for number in numbers:
        made, mask = scene(number), mask_of(scene(number))
        for y, x in np.argwhere(_judged(made, mask)):
            measured = made.measured[y, x] == 511
            cloud, label = int(mask.probability[y, x] > 0.5), int(made.bayes[y, x, 0] > 0)
            for name, against in PAIRS:
                strata = _strata(number, y, x, against) if measured or cosmetic else []
                said, target = cloud if name == "unet" else label, label if against == "label" else int(truth[y, x])
                for stratum in [*strata, "measured" if measured else "cosmetic"]:
                    yield name, against, stratum, said, target


def _judged(made: Scene, mask: Mask) -> np.ndarray:
    return (made.valid[..., 0] > 0) & (made.label_valid[..., 0] > 0) & mask.valid


@cache
def _strata(number: int, y: int, x: int, against: str) -> list[str]:
    """All but the sample's."""
    made = scene(number)
    bits, start = int(made.flags[y, x]), datetime.fromisoformat(made.info.start_time.replace("Z", "+00:00"))
    zenith = sun_zenith_deg(start.timestamp() + 0.15 * y, made.latitude[y, x], made.longitude[y, x])
    named = {"sea": 2, "land": 8, "coast": 1, "inland_water": 16, "tidal": 4, "snow": 8192, "glint": 4096}
    found = ["all", *(name for name, bit in named.items() if bits & bit)]
    found += ["day"] if bits & 1024 else ["night", "twilight" if zenith < 96 else "dark"]
    found += ["no_glint"] if bits & 1024 and bits & 2 and not bits & 4096 else []
    found.append(_between("sun_{}_{}", zenith, (0, 40, 60, 75, 85, 90, 96, 180)))
    bands = ("90S_60S", "60S_30S", "30S_0", "0_30N", "30N_60N", "60N_90N")
    found.append(bands[int((made.latitude[y, x] + 90) // 30)])
    found.append(_edge(number, y, x, against))
    truth = truth_of()
    amount = truth["optical_depth"][y, x] * truth["cover_fraction"][y, x]
    tau = "tau_0" if amount == 0 else _between("tau_{}_{}", amount, (0, 0.15, 0.5, 1, 3, 10, "on"))
    return [*found, tau, KINDS[truth["kind"][y, x]]]


def _between(text: str, value: float, edges: tuple[Any, ...]) -> str:
    place = sum(value >= np.float32(edge) for edge in edges[1:-1])
    return text.format(edges[place], edges[place + 1])


def _edge(number: int, y: int, x: int, against: str) -> str:
    """By looking at all pixels: king's moves to the nearest known one of the other class."""
    target, known = _target(number, against)
    others = np.argwhere(known & (target != target[y, x]))
    distance = np.abs(others - (y, x)).max(axis=1).min() if len(others) else 99
    names = ("edge_1", "edge_2_3", "edge_4_7", "edge_8_15", "edge_16_31", "edge_32_on")
    return names[np.digitize(distance, (2, 4, 8, 16, 32))]


@cache
def _target(number: int, against: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the target has cloud, and where it is known."""
    made = scene(number)
    if against == "label":
        return made.bayes[..., 0] > 0, _judged(made, mask_of(made))
    return truth_of()["cloud"], made.valid[..., 0] > 0
