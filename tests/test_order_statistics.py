"""Order statistics of resamples against numpy on the resample itself, written out row by row."""

from __future__ import annotations

import numpy as np
import pytest

from jaxmask import order_statistics as ranks
from jaxmask.resampling import multiplicities

REPLICATES = 40


def written_out(
    values: np.ndarray, scene: np.ndarray, kept: np.ndarray, multiplicity: np.ndarray, about: np.ndarray | None
) -> list[tuple[float, ...]]:
    """The same statistics, each resample materialised."""
    rows = []
    for number, times in enumerate(multiplicity):
        drawn = np.repeat(values[kept], times[scene[kept]])
        median = np.median(drawn) if drawn.size else np.nan
        deviation = np.median(np.abs(drawn - median)) if drawn.size else np.nan
        centre = median if about is None else about[number]
        rows.append((drawn.size, median, deviation, (drawn < centre - 1).sum(), (drawn > centre + 1).sum()))
    return rows


def assert_equal(found: ranks.OrderStatistics, expected: list[tuple[float, ...]]) -> None:
    columns = (found.total, found.median, found.deviation, found.colder, found.warmer)
    for column, wanted in zip(columns, zip(*expected, strict=True), strict=True):
        np.testing.assert_array_equal(column, np.array(wanted, column.dtype))


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(12))
def test_every_resample_equals_numpy_to_the_last_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, scenes = int(rng.choice([1, 2, 3, 40, 700, 2048])), int(rng.integers(1, 30))
    # Rounded to few digits: many ties, also across the median; unrounded: none.
    values = np.sort(np.round(rng.normal(-0.2, 0.8, count), rng.choice([0, 1, 2, 15])))
    scene = np.sort(rng.integers(0, scenes, count)) if seed % 2 else rng.integers(0, scenes, count)
    kept = rng.random(count) < rng.choice([0.05, 0.5, 1.0])
    multiplicity = multiplicities(scenes, REPLICATES, seed)
    multiplicity[0] = 1
    about = None if seed % 3 else np.where(np.arange(REPLICATES) == 7, np.nan, rng.normal(0, 0.3, REPLICATES))
    sample = ranks.sorted_sample(values, scene, kept, scenes)
    assert_equal(
        ranks.order_statistics(sample, multiplicity, about), written_out(values, scene, kept, multiplicity, about)
    )


def test_without_rows_there_is_no_number() -> None:
    sample = ranks.sorted_sample(np.empty(0), np.empty(0, int), np.empty(0, bool), 0)
    found = ranks.order_statistics(sample, np.zeros((REPLICATES, 0), np.int32))
    assert not found.total.any()
    assert np.isnan(found.median).all()
    assert np.isnan(found.deviation).all()


def test_small_memory_large_counts_and_many_scenes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    values, scene, kept = np.sort(rng.normal(0, 1, 900)), rng.integers(0, 150, 900), rng.random(900) < 0.7
    multiplicity = multiplicities(150, REPLICATES, 1)
    whole = ranks.sorted_sample(values, scene, kept, 150)
    monkeypatch.setattr(ranks, "LARGEST_TABLE", 4096)
    monkeypatch.setattr(ranks, "LARGEST_FLOAT32_COUNT", 1)
    small = ranks.sorted_sample(values, scene, kept, 150)
    assert (whole.before.shape, whole.before.dtype) == ((65, 256), np.float32)
    assert (small.before.shape, small.before.dtype) == ((17, 256), np.float64)  # 4096 = 16 blocks of 256 scenes
    monkeypatch.setattr(ranks, "LARGEST_TABLE", 17 * 15)  # 15 resamples at once: 3 chunks, the last one short
    expected = written_out(values, scene, kept, multiplicity, None)
    assert_equal(ranks.order_statistics(small, multiplicity), expected)


def test_padded_sizes_are_few() -> None:
    sizes = {
        len(ranks.sorted_sample(np.zeros(n), np.zeros(n, int), np.ones(n, bool), 1).codes) for n in range(0, 9000, 37)
    }
    assert sizes == {2048, 4096, 8192, 16384}
