"""Which products train and which test, and in what order patches come: pure functions of names and seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from preprocess.errors import UserError

PADDING = -1
# Platform, sensing start and stop, creation, duration, cycle, relative orbit, frame
# (S3 PDGS file naming convention, GMES-S3GS-EOPG-TN-09-0009).
PRODUCT_NAME = re.compile(
    r"^(?P<platform>S3[A-Z])_SL_1_RBT_*_(?P<start>\d{8}T\d{6})_\d{8}T\d{6}_\d{8}T\d{6}"
    r"_\d{4}_(?P<cycle>\d{3})_(?P<orbit>\d{3})_\d{4}_"
)


class Split(NamedTuple):
    """The names of the products on each side, sorted."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def recorded_split(record: Any) -> Split:
    """Return the split that a model's record holds, {"train": [name, ...], "test": [...]}; ValueError for another."""
    parts = [record.get(part) for part in Split._fields] if isinstance(record, dict) else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in parts):
        raise ValueError("'split' must be an object with 'train' and 'test', two lists of product names")
    train, test = (tuple(names) for names in parts if names is not None)
    return Split(train, test)


def split_products(names: Sequence[str], train_share: float, by: Literal["product", "orbit"], seed: int) -> Split:
    """Divide product `names` by `train_share`, the same way on every host and file system.

    Copies of one granule (same platform and sensing start) stay together, as do an orbit's granules under by="orbit".
    As many products are tested on as in scikit-learn's train_test_split, n - floor(train_share * n), but at least one
    on each side; fewer where a group doesn't fit. `train_share` 1 gives an empty test side.
    Raises UserError where there is nothing to divide.
    """
    ordered = sorted(names)
    if train_share >= 1:
        return Split(tuple(ordered), ())
    if len(ordered) < 2:
        raise UserError(
            f"--train-split {train_share} needs at least 2 labelled products, found {len(ordered)}: "
            "convert more, or train without a test by --train-split 1"
        )
    groups = _groups(ordered, granule_of if by == "product" else orbit_of)
    if len(groups) < 2:
        what = "copies of one granule" if by == "product" else "of one orbit"
        raise UserError(
            f"all {len(ordered)} labelled products are {what}, which stay on one side of the split: "
            "convert others, or train without a test by --train-split 1"
        )
    shuffled = [groups[i] for i in permutation(len(groups), seed, 0)]
    test = _fill(shuffled, _test_count(len(ordered), train_share))
    return Split(tuple(name for name in ordered if name not in test), tuple(sorted(test)))


def granule_of(name: str) -> str:
    """Return what all copies of a product share: platform and sensing start; the name if it is no product's."""
    found = PRODUCT_NAME.match(name)
    return f"{found['platform']}_{found['start']}" if found else name


def orbit_of(name: str) -> str:
    """Return what an orbit's granules share: platform, cycle, relative orbit; the name itself if it is no product's."""
    found = PRODUCT_NAME.match(name)
    return f"{found['platform']}_{found['cycle']}_{found['orbit']}" if found else name


def permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return an order of range(count) that depends on (seed, epoch) alone, now and in later versions of NumPy.

    The raw stream of a bit generator is under NumPy's compatibility guarantee, Generator.permutation isn't (NEP 19).
    """
    keys = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64)


def step_count(count: int, global_batch: int) -> int:
    """Return the steps that use each of `count` patches once, the last one padded."""
    return -(-count // global_batch)


def host_slots(order: NDArray[np.int64], global_batch: int, host: int, hosts: int) -> NDArray[np.int64]:
    """Return (steps, global_batch / hosts): the patches that one host reads at each step, PADDING where none is left.

    `order`: the epoch's patches. Every host gets the same number of steps; together the hosts' slices of a step are
    `order[step * global_batch : (step + 1) * global_batch]`.
    """
    steps = step_count(len(order), global_batch)
    slots = np.full(steps * global_batch, PADDING, np.int64)
    slots[: len(order)] = order
    return slots.reshape(steps, hosts, global_batch // hosts)[:, host]


def _groups(names: Sequence[str], key: Callable[[str], str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return [groups[group] for group in sorted(groups)]


def _test_count(count: int, train_share: float) -> int:
    rounding = 1e-9  # 0.29 * 100 is 28.999999999999996
    return min(max(1, count - math.floor(train_share * count + rounding)), count - 1)


def _fill(groups: Sequence[Sequence[str]], room: int) -> set[str]:
    """Take whole groups in order while they fit; the smallest one if none does."""
    taken: set[str] = set()
    for group in groups:
        if len(taken) + len(group) <= room:
            taken.update(group)
    smallest = min(groups, key=len)
    return taken or set(smallest)
