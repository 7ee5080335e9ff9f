"""Which products train, validate and test: pure functions of names and seeds."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal

from jaxmask.order import permutation
from preprocess.errors import UserError

# Platform, sensing start and stop, creation, duration, cycle, relative orbit, frame
# (S3 PDGS file naming convention, GMES-S3GS-EOPG-TN-09-0009).
PRODUCT_NAME = re.compile(
    r"^(?P<platform>S3[A-Z])_SL_1_RBT_*_(?P<start>\d{8}T\d{6})_\d{8}T\d{6}_\d{8}T\d{6}"
    r"_\d{4}_(?P<cycle>\d{3})_(?P<orbit>\d{3})_\d{4}_"
)


@dataclass(frozen=True, kw_only=True)
class Split:
    """The names of the products of each part, sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...] = ()  # chooses the best checkpoint and the end; empty in records of older versions
    test: tuple[str, ...] = ()


PARTS = tuple(field.name for field in dataclasses.fields(Split))


def recorded_split(record: Any) -> Split:
    """Return the split that a model's record holds, {"train": [name, ...], "validation": [...], "test": [...]}.

    "validation" may be missing, as in records of versions that had none. ValueError for anything else.
    """
    parts = {"validation": [], **record} if isinstance(record, dict) else {}
    lists = [parts.get(part) for part in PARTS]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise ValueError(
            "'split' must be an object with 'train' and 'test', and if there is one 'validation': lists of names"
        )
    return Split(**{part: tuple(parts[part]) for part in PARTS})


def to_json(split: Split) -> dict[str, list[str]]:
    """Return what `recorded_split` reads."""
    return {part: list(getattr(split, part)) for part in PARTS}


def split_products(
    names: Sequence[str], train_share: float, validation_share: float, by: Literal["product", "orbit"], seed: int
) -> Split:
    """Divide product `names`, the same way on every host and file system.

    `train_share` of them are not tested on; of these, `validation_share` of all are for validation, whose size changes
    nothing of the test part. Copies of one granule (same platform and sensing start) stay together, as do an orbit's
    granules under by="orbit".
    As many products are tested on as in scikit-learn's train_test_split, n - floor(train_share * n), and
    floor((train_share - validation_share) * n) trained on, but at least one in each part; where a group doesn't fit,
    test and validation get fewer. `train_share` 1 gives an empty test part, `validation_share` 0 none of validation.
    Raises UserError where there is nothing to divide.
    """
    ordered, count = sorted(names), len(names)
    groups = _groups(ordered, granule_of if by == "product" else orbit_of)
    shuffled = [groups[i] for i in permutation(len(groups), seed, 0)]
    test, validation = set[str](), set[str]()
    if train_share < 1:
        _check_divisible(shuffled, by, f"--train-split {train_share}", "train without a test by --train-split 1")
        test = _fill(shuffled, count - _kept(count, train_share))
    if validation_share > 0:
        rest = [group for group in shuffled if test.isdisjoint(group)]
        _check_divisible(rest, by, f"--validation-split {validation_share}", "leave --validation-split out", test)
        validation = _fill(rest, _kept(count, train_share) - _kept(count, train_share - validation_share))
    return Split(
        train=tuple(name for name in ordered if name not in test and name not in validation),
        validation=tuple(sorted(validation)),
        test=tuple(sorted(test)),
    )


def granule_of(name: str) -> str:
    """Return what all copies of a product share: platform and sensing start; the name if it is no product's."""
    found = PRODUCT_NAME.match(name)
    return f"{found['platform']}_{found['start']}" if found else name


def orbit_of(name: str) -> str:
    """Return what an orbit's granules share: platform, cycle, relative orbit; the name itself if it is no product's."""
    found = PRODUCT_NAME.match(name)
    return f"{found['platform']}_{found['cycle']}_{found['orbit']}" if found else name


def _groups(names: Sequence[str], key: Callable[[str], str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return [groups[group] for group in sorted(groups)]


def _kept(count: int, share: float) -> int:
    rounding = 1e-9  # 0.29 * 100 is 28.999999999999996
    return math.floor(share * count + rounding)


def _check_divisible(
    groups: Sequence[Sequence[str]], by: str, flag: str, way_out: str, test: AbstractSet[str] = frozenset()
) -> None:
    """Raise UserError unless there are two groups at least; `test`: products that are taken already."""
    count, besides = sum(map(len, groups)), f" besides the {len(test)} to test on" if test else ""
    if count < 2:
        raise UserError(
            f"{flag} needs at least 2 labelled products{besides}, found {count}: convert more, or {way_out}"
        )
    if len(groups) < 2:
        what = "copies of one granule" if by == "product" else "of one orbit"
        raise UserError(
            f"all {count} labelled products{besides} are {what}, which stay in one part of the split: convert others, "
            f"or {way_out} ({flag})"
        )


def _fill(groups: Sequence[Sequence[str]], room: int) -> set[str]:
    """Take whole groups in order while they fit, but not all; the smallest one if none does."""
    taken: set[str] = set()
    room = min(room, sum(map(len, groups)) - 1)
    for group in groups:
        if len(taken) + len(group) <= room:
            taken.update(group)
    smallest = min(groups, key=len)
    return taken or set(smallest)
