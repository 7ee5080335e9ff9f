"""The split and the order of patches: the same everywhere, nothing lost, nothing twice."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from jaxmask.split import Split, granule_of, orbit_of, recorded_split, split_products, to_json
from preprocess.errors import UserError
from tests.shards import product_name

NAMES = [product_name(number) for number in range(10)]


@pytest.mark.quick
def test_every_product_is_on_one_side_whatever_the_order_of_files() -> None:
    split = split_products(NAMES, 0.8, 0, "product", 42)
    assert sorted(split.train + split.test) == NAMES
    assert len(split.test) == 2  # as scikit-learn: n - floor(0.8 n)
    assert split == split_products(NAMES[::-1], 0.8, 0, "product", 42)


def test_the_seed_moves_the_split() -> None:
    assert len({split_products(NAMES, 0.8, 0, "product", seed).test for seed in range(20)}) > 5


@pytest.mark.parametrize(
    ("count", "share", "tested"), [(2, 0.8, 1), (2, 0.99, 1), (3, 0.01, 2), (5, 0.8, 1), (100, 0.29, 71)]
)
def test_size_of_the_test_side(count: int, share: float, tested: int) -> None:
    # By hand: n - floor(share n), at least one on each side.
    names = [f"p{number:03d}" for number in range(count)]
    assert len(split_products(names, share, 0, "product", 0).test) == tested


def test_share_one_tests_on_nothing() -> None:
    assert split_products(NAMES[:1], 1.0, 0, "product", 42) == Split(train=(NAMES[0],))


@pytest.mark.quick
def test_the_test_part_is_that_of_versions_without_validation() -> None:
    # SHA-256 of the test part's names that the version before gave for this seed; 971 products as published.
    names = [f"p{number:03d}" for number in range(971)]
    for share in (0.0, 0.1, 0.5):
        split = split_products(names, 0.8, share, "product", 42)
        assert hashlib.sha256(",".join(split.test).encode()).hexdigest()[:16] == "d7e43c166b3e1d90"
        assert sorted(split.train + split.validation + split.test) == names
    # By hand: floor(0.7 * 971) = 679 to train on, floor(0.8 * 971) = 776 less these for validation, the rest to test.
    split = split_products(names, 0.8, 0.1, "product", 42)
    assert (len(split.train), len(split.validation), len(split.test)) == (679, 97, 195)


@pytest.mark.parametrize(
    ("count", "shares", "sizes"),
    [
        (10, (0.8, 0.1), (7, 1, 2)),
        (10, (1.0, 0.1), (9, 1, 0)),
        (10, (0.8, 0.01), (7, 1, 2)),
        (10, (0.8, 0.79), (1, 7, 2)),
        (3, (0.8, 0.1), (1, 1, 1)),  # one at least
        (20, (0.9, 0.3), (12, 6, 2)),  # 0.9 - 0.3 is 0.6000000000000001
    ],
)
def test_sizes_of_the_parts(count: int, shares: tuple[float, float], sizes: tuple[int, int, int]) -> None:
    split = split_products([f"p{number:03d}" for number in range(count)], *shares, "product", 3)
    assert (len(split.train), len(split.validation), len(split.test)) == sizes


def test_the_validation_part_moves_with_the_seed_and_not_with_the_order_of_files() -> None:
    parts = {split_products(NAMES, 0.8, 0.2, "product", seed).validation for seed in range(20)}
    assert len(parts) > 5
    assert split_products(NAMES[::-1], 0.8, 0.2, "product", 1) == split_products(NAMES, 0.8, 0.2, "product", 1)


@pytest.mark.parametrize("by", ["product", "orbit"])
def test_groups_are_whole_in_all_three_parts(by: Any) -> None:
    names = [product_name(number, orbit=336 + number // 3, copy=copy) for number in range(18) for copy in range(2)]
    group_of = granule_of if by == "product" else orbit_of
    for seed in range(20):
        split = split_products(names, 0.7, 0.2, by, seed)
        train, validation, test = (
            {group_of(name) for name in part} for part in (split.train, split.validation, split.test)
        )
        assert all((train, validation, test))
        assert len(train | validation | test) == len(train) + len(validation) + len(test)
        assert sorted(split.train + split.validation + split.test) == sorted(names)


def test_a_split_is_recorded_and_read_back_and_older_records_are_read() -> None:
    split = Split(train=("a", "b"), validation=("c",), test=("d",))
    assert recorded_split(to_json(split)) == split
    assert recorded_split({"train": ["a"], "test": ["d"]}) == Split(train=("a",), test=("d",))
    for broken in (
        None,
        [],
        {"train": ["a"]},
        {"train": "a", "test": []},
        {"train": [], "test": [], "validation": [1]},
    ):
        with pytest.raises(ValueError, match="'split' must be an object with 'train' and 'test'"):
            recorded_split(broken)


@pytest.mark.parametrize(
    ("names", "by", "message"),
    [
        (NAMES[:2], "product", "--validation-split 0.1 needs at least 2 .* besides the 1 to test on, found 1"),
        (
            [product_name(number, orbit=336 + number % 2) for number in range(4)], "orbit",
            "all 2 labelled products besides the 2 to test on are of one orbit, .* leave --validation-split out",
        ),
    ],
)  # fmt: skip
def test_validation_that_leaves_nothing_to_train_on_is_refused(names: list[str], by: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_products(names, 0.8, 0.1, by, 42)


def test_copies_of_a_granule_stay_together() -> None:
    copies = [product_name(number, copy=1) for number in range(10)]
    for seed in range(20):
        split = split_products(NAMES + copies, 0.8, 0, "product", seed)
        assert not {granule_of(name) for name in split.train} & {granule_of(name) for name in split.test}
        assert len(split.test) == 4


def test_platforms_at_the_same_time_are_different_granules() -> None:
    assert granule_of(product_name(0)) == "S3A_20180531T100038"
    assert granule_of(product_name(0, platform="S3B")) == "S3B_20180531T100038"
    assert granule_of("my scene") == "my scene"


def test_orbits_stay_together() -> None:
    names = [product_name(number, orbit=336 + number // 4) for number in range(16)]
    for seed in range(20):
        split = split_products(names, 0.75, 0, "orbit", seed)
        assert len({orbit_of(name) for name in split.test}) == 1
        assert len(split.test) == 4


def test_an_orbit_larger_than_the_test_side_leaves_the_smallest_to_test() -> None:
    names = [product_name(number, orbit=336 if number < 7 else 337) for number in range(10)]
    split = split_products(names, 0.9, 0, "orbit", 0)
    assert {orbit_of(name) for name in split.test} == {"S3A_031_337"}


@pytest.mark.parametrize(
    ("names", "by", "message"),
    [
        (NAMES[:1], "product", "needs at least 2 labelled products, found 1: .* --train-split 1"),
        ([product_name(0), product_name(0, copy=1)], "product", "all 2 labelled products are copies of one granule"),
        (NAMES, "orbit", "all 10 labelled products are of one orbit"),
    ],
)
def test_what_cannot_be_split_is_refused(names: list[str], by: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_products(names, 0.8, 0, by, 42)  # type: ignore[arg-type]
