"""Counts by stratum against a loop over pixels, and against one another."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask.score_bins import BINS, bin_index, count_bins
from jaxmask.tally import CLOUD, UNKNOWN, Pixels, Stratum, add_strata, empty, packed, tally_codes

PIXELS = 400


def random_pixels(seed: int, *, with_truth: bool = True) -> tuple[Pixels, np.ndarray]:
    """Pixels, and the mask's values that they come from; values crowd at a few, so that bins hold several."""
    rng = np.random.default_rng(seed)
    values = rng.choice([0.0, 0.1, 0.4999, 0.5, 0.5001, 0.97, 1.0, rng.random()], PIXELS).astype(np.float32)
    truth = rng.integers(0, 3, PIXELS) if with_truth else np.full(PIXELS, UNKNOWN)
    label = rng.integers(0, 2, PIXELS)
    cloud = values > 0.5
    return Pixels(truth.astype(np.uint8), label.astype(np.uint8), cloud.astype(np.uint8), bin_index(values)), values


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(3))
def test_every_code_equals_a_loop(seed: int) -> None:
    pixels, values = random_pixels(seed)
    codes = np.random.default_rng(seed + 10).integers(0, 5, PIXELS)  # 4: left out
    tallies = tally_codes(pixels, codes, 4)
    assert sum(tally.count for tally in tallies) == int((codes < 4).sum()) < PIXELS
    for code, tally in enumerate(tallies):
        expected = dict.fromkeys([("unet", "label"), ("unet", "truth"), ("bayes", "truth")])
        for pair in expected:
            expected[pair] = [0, 0, 0, 0]
        for i in np.flatnonzero(codes == code):
            cloud, label, truth = int(pixels.cloud[i]), int(pixels.label[i]), int(pixels.truth[i])
            for (mask, against), counts in expected.items():
                said, target = cloud if mask == "unet" else label, label if against == "label" else truth
                if target != UNKNOWN:
                    counts[{(1, 1): 0, (1, 0): 1, (0, 1): 2, (0, 0): 3}[said, target]] += 1
        for (mask, against), counts in expected.items():
            assert list(tally.counts(mask, against)) == counts
        own = codes == code
        np.testing.assert_array_equal(tally.score_bins("label"), count_bins(values, pixels.label > 0, own))
        known = own & (pixels.truth != UNKNOWN)
        np.testing.assert_array_equal(tally.score_bins("truth"), count_bins(values, pixels.truth == CLOUD, known))


def test_sums_of_products_are_the_counts_of_all() -> None:
    first, _ = random_pixels(1)
    second, _ = random_pixels(2, with_truth=False)
    a, b = Stratum("surface", "sea"), Stratum("surface", "land")
    one, two = ({a: packed(tally_codes(p, np.zeros(PIXELS, int), 1)[0])} for p in (first, second))
    total = add_strata([one, two | {b: empty()}, {}])
    both = Pixels(*(np.concatenate(pair) for pair in zip(*(vars(p).values() for p in (first, second)), strict=True)))
    expected = tally_codes(both, np.zeros(2 * PIXELS, int), 1)[0]
    np.testing.assert_array_equal(total[a].outcomes, expected.outcomes)
    np.testing.assert_array_equal(total[a].bins, expected.bins)
    assert total[a].bins.dtype == np.int64
    assert total[b].count == 0
    assert list(total) == [a, b]
    assert total[a].counts("unet", "truth").total == int((first.truth != UNKNOWN).sum())


def test_bins_of_many_products_do_not_overflow() -> None:
    pixels, _ = random_pixels(3)
    tally = packed(tally_codes(pixels, np.zeros(PIXELS, int), 1)[0])
    tally.bins[0, 0, BINS // 2] = 2**31 - 1
    total = add_strata([{Stratum("overall", "all"): tally}] * 3)
    assert int(total[Stratum("overall", "all")].bins[0, 0, BINS // 2]) == 3 * (2**31 - 1)
