"""Medians and median absolute deviations of many resamples of one sorted sample, exact, without making any resample.

A resample of scenes gives each row the multiplicity of its scene. Rows are sorted once. The weight of all rows before
a block of rows is one matrix product, (blocks, scenes) counts times (scenes, resamples) multiplicities;
inside a block it is a short sum. From this cumulative weight every order statistic follows by bisection, in integers;
values are only compared, subtracted and averaged in float64, as numpy does, so that the results equal those of
numpy's median on the materialised resample to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

BLOCK_ROWS = 32  # the least; of 16, 32 and 64 the fastest for 3,000 to 100,000 rows of 100 scenes
LEAST_ROWS = 2048  # rows and scenes are padded to few sizes, as each size costs a compilation
SCENE_STEP = 128
LARGEST_FLOAT32_COUNT = 2**24  # whole numbers up to here are exact in float32
LARGEST_TABLE = 2**24  # entries of a table held at once


@dataclass(frozen=True)
class SortedSample:
    """Sorted values as the resampling needs them, padded, with the counts of rows before each block by scene.

    values: (n,) float64 ascending, then infinity; codes: (n,) int32, each row's scene, `scenes` where a row is left
    out; before: (n / B + 1, at least scenes + 1) float32 or float64 counts, B rows a block.
    """

    values: np.ndarray
    codes: np.ndarray
    before: np.ndarray


@dataclass(frozen=True)
class OrderStatistics:
    """Of each of R resamples: total (R,) int64, its rows; median and deviation (R,) float64, NaN without any.

    deviation: the median of |x - median|, not yet made a standard deviation; colder, warmer: (R,) int64 rows more than
    1 K (`margin`) below and above the reference given for that resample, 0 where that is NaN.
    """

    total: np.ndarray
    median: np.ndarray
    deviation: np.ndarray
    colder: np.ndarray
    warmer: np.ndarray


class _Weights(NamedTuple):
    """The cumulative weight in two parts: at blocks, table (R, blocks + 1) int32; within, each row's scene and that
    scene's multiplicity: codes (blocks + 1, B) int32, the last block empty, multiplicity (R, scenes + 1) int32."""

    table: jax.Array
    codes: jax.Array
    multiplicity: jax.Array


def sorted_sample(values: np.ndarray, scene: np.ndarray, kept: np.ndarray, scenes: int) -> SortedSample:
    """Prepare (N,) float64 finite values in ascending order, whose scenes (N,) int count from 0 to scenes - 1.

    kept: (N,) bool; other rows have no weight in any resample.
    """
    rows = max(LEAST_ROWS, 1 << max(len(values) - 1, 0).bit_length())
    columns = -(-(scenes + 1) // SCENE_STEP) * SCENE_STEP
    padded, codes = np.full(rows, np.inf), np.full(rows, scenes, np.int32)
    padded[: len(values)] = values
    codes[: len(values)] = np.where(kept, scene, scenes)
    block = BLOCK_ROWS
    while rows // block * columns > LARGEST_TABLE and block < rows:
        block *= 2
    blocks = rows // block
    cells = (np.arange(rows) // block) * columns + codes
    counts = np.bincount(cells, minlength=blocks * columns).reshape(blocks, columns)
    counts[:, scenes] = 0
    # No resample has more rows than the fullest scene drawn every time.
    most = int(counts.sum(axis=0).max()) * scenes
    before = np.zeros((blocks + 1, columns), np.float32 if most < LARGEST_FLOAT32_COUNT else np.float64)
    np.cumsum(counts, axis=0, out=before[1:], dtype=before.dtype)
    return SortedSample(padded, codes, before)


def order_statistics(
    sample: SortedSample, multiplicity: np.ndarray, reference: np.ndarray | None = None, margin: float = 1.0
) -> OrderStatistics:
    """Order statistics of the resamples in which row i counts multiplicity[r, scene of i] times.

    multiplicity: (R, scenes) int; reference: (R,) float64 K, from which colder and warmer rows are told, by default
    each resample's own median. Memory is bounded: resamples go through in chunks of at most LARGEST_TABLE weights.
    """
    count, scenes = multiplicity.shape
    chunk = min(count, max(1, LARGEST_TABLE // len(sample.before)))
    own = reference is None
    about = np.full(count, np.nan) if reference is None else reference
    parts = []
    with jax.enable_x64(True):
        for start in range(0, count, chunk):
            weights = np.zeros((chunk, sample.before.shape[1]), np.int32)
            here = np.zeros(chunk)
            taken = multiplicity[start : start + chunk]
            weights[: len(taken), :scenes] = taken
            here[: len(taken)] = about[start : start + chunk]
            found = _chunk(sample.values, sample.codes, sample.before, weights, here, own, margin)
            parts.append([np.asarray(values)[: len(taken)] for values in found])
    total, median, deviation, colder, warmer = (np.concatenate(values) for values in zip(*parts, strict=True))
    median, deviation = (np.where(total > 0, values, np.nan) for values in (median, deviation))
    return OrderStatistics(total.astype(np.int64), median, deviation, colder.astype(np.int64), warmer.astype(np.int64))


@jax.jit
def _chunk(
    values: jax.Array,
    codes: jax.Array,
    before: jax.Array,
    multiplicity: jax.Array,
    reference: jax.Array,
    own: jax.Array,
    margin: jax.Array,
) -> tuple[jax.Array, ...]:
    # Whole numbers, so exact in any order of summing; but not in the short floats that GPUs multiply by default.
    table = jnp.matmul(multiplicity.astype(before.dtype), before.T, precision=jax.lax.Precision.HIGHEST)
    blocks = codes.reshape(len(before) - 1, -1)
    weights = _Weights(table.astype(jnp.int32), jnp.concatenate([blocks, jnp.zeros_like(blocks[:1])]), multiplicity)
    table = weights.table
    total = table[:, -1]
    middle = jnp.stack([(total - 1) // 2, total // 2])
    first, end = jnp.zeros_like(middle), jnp.full_like(middle, len(values))
    at = _first(lambda i: _before(weights, i + 1) > middle, first, end - 1)
    median = _mean(values[at])
    distance = _mean(_nearest(values, weights, median, middle))
    about = jnp.where(own, median, reference)
    colder = _before(weights, _first(lambda i: _at(values, i) >= (about - margin)[None], first[:1], end[:1]))[0]
    upper = _first(lambda i: _at(values, i) > (about + margin)[None], first[:1], end[:1])
    warmer = total - _before(weights, upper)[0]
    known = ~jnp.isnan(about)
    return total, median, distance, jnp.where(known, colder, 0), jnp.where(known, warmer, 0)


def _nearest(values: jax.Array, weights: _Weights, centre: jax.Array, rank: jax.Array) -> jax.Array:
    """The distance |x - centre| of rank `rank` (K, R) from 0, by weight; centre (R,), distances (K, R) float64.

    Rows are taken in pairs of a left edge and all on the right that are no farther: the first left edge that brings
    enough weight bounds the distance from above; short of it, the right side alone decides.
    """
    middle = jnp.broadcast_to(centre, rank.shape)
    first, end = jnp.zeros_like(rank), jnp.full_like(rank, len(values))
    split = _first(lambda i: _at(values, i) >= middle, first, end)

    def from_left(steps: jax.Array) -> jax.Array:
        edge = split - 1 - steps
        farthest = middle - values[jnp.maximum(edge, 0)]
        reach = _first(lambda i: _at(values, i) - middle > farthest, first, end)
        return _before(weights, reach) - _before(weights, edge) > rank

    steps = _first(from_left, first, split)
    left = jnp.where(steps < split, middle - values[jnp.maximum(split - 1 - steps, 0)], jnp.inf)
    inner = _before(weights, split - steps)
    edge = _first(lambda i: _before(weights, i + 1) - inner > rank, split, end)
    return jnp.minimum(left, _at(values, edge) - middle)


def _first(holds: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array) -> jax.Array:
    """The least i, low <= i < high, for which the monotone `holds(i)`; high if for none. Arrays (K, R) int32."""

    def halve(bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        probe = (low + high) // 2
        found = holds(probe)
        return jnp.where(found | (low >= high), low, probe + 1), jnp.where(found, jnp.minimum(probe, high), high)

    return jax.lax.while_loop(lambda bounds: (bounds[0] < bounds[1]).any(), halve, (low, high))[1]


def _before(weights: _Weights, index: jax.Array) -> jax.Array:
    """The weight of the rows before `index` (K, R) int32 from 0 to n: (K, R) int32."""
    resample = jnp.arange(weights.table.shape[0], dtype=jnp.int32)
    rows = weights.codes.shape[1]
    block, rest = index // rows, index % rows
    each = weights.multiplicity[resample[None, :, None], weights.codes[block]]
    inside = jnp.where(jnp.arange(rows, dtype=jnp.int32)[None, None] < rest[..., None], each, 0)
    return weights.table[resample[None], block] + inside.sum(axis=-1, dtype=jnp.int32)


def _at(values: jax.Array, index: jax.Array) -> jax.Array:
    """values[index], infinity beyond their end."""
    return jnp.where(index < len(values), values[jnp.minimum(index, len(values) - 1)], jnp.inf)


def _mean(two: jax.Array) -> jax.Array:
    """The mean of the two middle values (2, R), as numpy's median takes it."""
    return (two[0] + two[1]) / 2
