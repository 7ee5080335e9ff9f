"""The split and the order of patches: the same everywhere, nothing lost, nothing twice."""

from __future__ import annotations

import pytest

from jaxmask.split import Split, granule_of, orbit_of, split_products
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
