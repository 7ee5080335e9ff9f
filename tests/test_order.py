"""The order of patches: nothing lost, nothing twice, alike from each place's patches, and never another."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.order import PADDING, TURNS, deal, permutation, shuffled_rows, step_count, turn_codes

# A checkpoint stores no order, so that these must come out the same in every version.
FROZEN_PERMUTATION = [4, 5, 3, 0, 2, 7, 1, 6]
FROZEN_EPOCH = [[4, 3, 5], [7, 2, 6], [0, 1, PADDING]]
FROZEN_TURNS = [[6, 4, 4], [6, 0, 1], [7, 1, 1]]


def epoch_order(count: int, global_batch: int, seed: int, epoch: int) -> np.ndarray:
    dealt = deal(count, global_batch, seed)
    return np.take_along_axis(dealt, shuffled_rows(dealt, seed, epoch), axis=0)


@pytest.mark.quick
def test_permutation_holds_each_number_once_and_never_changes() -> None:
    order = permutation(1000, 42, 3)
    assert sorted(order) == list(range(1000))
    np.testing.assert_array_equal(order, permutation(1000, 42, 3))
    assert not np.array_equal(order, permutation(1000, 42, 4))
    assert not np.array_equal(order, permutation(1000, 43, 3))
    assert permutation(8, 42, 1).tolist() == FROZEN_PERMUTATION


@pytest.mark.quick
def test_an_epoch_never_changes() -> None:
    assert epoch_order(8, 3, 42, 1).tolist() == FROZEN_EPOCH
    assert turn_codes((3, 3), 42, 1).tolist() == FROZEN_TURNS


@pytest.mark.parametrize("count", [1, 7, 8, 9, 23, 24, 25])
def test_each_patch_comes_once_and_padding_only_at_the_end(count: int) -> None:
    order = epoch_order(count, 8, 5, 2)
    assert order.shape == (step_count(count, 8), 8)
    assert sorted(order[order != PADDING]) == list(range(count))
    assert (order[:-1] != PADDING).all()
    assert len(order) == -(-count // 8)


@pytest.mark.parametrize("count", [23, 24, 25])
def test_each_place_draws_from_its_own_patches_in_every_epoch(count: int) -> None:
    dealt = deal(count, 8, 5)
    sizes = (dealt != PADDING).sum(axis=0)
    assert sizes.max() - sizes.min() <= 1
    for epoch in (1, 2, 3):
        order = epoch_order(count, 8, 5, epoch)
        np.testing.assert_array_equal(np.sort(order, axis=0), np.sort(dealt, axis=0))


def test_epochs_and_seeds_differ_and_places_shuffle_apart() -> None:
    one, other = (epoch_order(4000, 4, 5, epoch) for epoch in (1, 2))
    # Of 1000 patches shuffled at random one in 1000 stays where it was; 4 places: 4 expected, below 20 beyond doubt.
    assert (one == other).sum() < 20
    assert (one == epoch_order(4000, 4, 6, 1)).sum() < 20
    rows = shuffled_rows(deal(4000, 4, 5), 5, 1)
    assert (rows[:, 0] == rows[:, 1]).sum() < 20


def test_in_order_patch_s_b_comes_at_step_s() -> None:
    assert deal(5, 2, None).tolist() == [[0, 1], [2, 3], [4, PADDING]]


def test_turns_are_equally_likely_and_independent_of_the_order() -> None:
    codes = turn_codes((1000, 8), 5, 1)
    assert codes.dtype == np.uint8
    # 1000 of each expected, standard deviation 30: within five of them
    np.testing.assert_allclose(np.bincount(codes.ravel(), minlength=TURNS), 1000, atol=150)
    assert (codes == turn_codes((1000, 8), 5, 2)).mean() == pytest.approx(1 / 8, abs=0.02)
    keys = shuffled_rows(deal(8000, 8, 5), 5, 1)
    assert abs(np.corrcoef(keys.ravel(), codes.ravel())[0, 1]) < 0.05  # 1 / sqrt(8000) is 0.011
