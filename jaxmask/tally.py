"""Exact counts of pixels by truth, label, mask and output, stratum by stratum: additive over products.

Everything that `evaluate` tells follows from these: one pass over the pixels for each way of sorting them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxmask.score_bins import BINS
from jaxmask.scores import Counts

CLEAR, CLOUD, UNKNOWN = range(3)  # of the truth; unknown where an archive has none
TRUTHS = 3
Ints = NDArray[np.integer]


class Stratum(NamedTuple):
    """A part of the pixels: `name`, among those of one `dimension`, a way to sort pixels."""

    dimension: str
    name: str


@dataclass(frozen=True, eq=False)
class Tally:
    """Pixels of one stratum.

    outcomes: (3, 2, 2) int64 by truth (CLEAR, CLOUD, UNKNOWN), label and mask (0 clear, 1 cloud);
    bins: (3, 2, BINS) integers by truth, label and the bin of `score_bins` that the mask's stored value lies in.
    """

    outcomes: Ints
    bins: Ints

    @property
    def count(self) -> int:
        """All pixels."""
        return int(self.outcomes.sum())

    def counts(self, mask: str, against: str) -> Counts:
        """The four outcomes of `mask` ("unet" or "bayes") against "label" or "truth" (where that is known)."""
        pixels = self.outcomes.sum(axis=0) if against == "label" else self.outcomes[:UNKNOWN]
        table = pixels if against == "label" else pixels.sum(axis=1 if mask == "unet" else 2)
        return Counts(*(int(table[cell]) for cell in ((CLOUD, CLOUD), (CLEAR, CLOUD), (CLOUD, CLEAR), (CLEAR, CLEAR))))

    def score_bins(self, against: str) -> Ints:
        """The mask's stored values by target, (BINS, 2) as `score_bins.count_bins` counts them."""
        table = self.bins.sum(axis=0) if against == "label" else self.bins[:UNKNOWN].sum(axis=1)
        return np.ascontiguousarray(table.T)


Tallies = Mapping[Stratum, Tally]


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels that count, (N,) each: truth (CLEAR, CLOUD, UNKNOWN), label and cloud (0 or 1), and bin: integers."""

    truth: Ints
    label: Ints
    cloud: Ints
    bin: Ints


def tally_codes(pixels: Pixels, codes: Ints, number: int) -> list[Tally]:
    """Tally pixels by `codes` (N,), 0 to number - 1; a pixel of another code, `number`, is left out.

    Exact: one count of each of two tables, not one for each stratum.
    """
    codes = codes.astype(np.int64)
    side = codes * (2 * TRUTHS) + pixels.truth * 2 + pixels.label
    outcomes = np.bincount(side * 2 + pixels.cloud, minlength=(number + 1) * 4 * TRUTHS)
    side *= BINS
    side += pixels.bin
    bins = np.bincount(side, minlength=(number + 1) * 2 * TRUTHS * BINS)
    outcomes, bins = outcomes.reshape(-1, TRUTHS, 2, 2), bins.reshape(-1, TRUTHS, 2, BINS)
    return [Tally(outcomes[code], bins[code]) for code in range(number)]


def add_tallies(tallies: Iterable[Tally]) -> Tally:
    """The sum, int64."""
    total = empty()
    for tally in tallies:
        np.add(total.outcomes, tally.outcomes, out=total.outcomes)
        np.add(total.bins, tally.bins, out=total.bins)
    return total


def add_strata(parts: Sequence[Tallies]) -> dict[Stratum, Tally]:
    """Stratum by stratum, the sum of those that have it."""
    strata = dict.fromkeys(stratum for part in parts for stratum in part)
    return {stratum: add_tallies(part[stratum] for part in parts if stratum in part) for stratum in strata}


def empty() -> Tally:
    """No pixel."""
    return Tally(np.zeros((TRUTHS, 2, 2), np.int64), np.zeros((TRUTHS, 2, BINS), np.int64))


def packed(tally: Tally) -> Tally:
    """The same with bins of int32, which one product's pixels fit: half as much to send between processes."""
    return Tally(tally.outcomes, tally.bins.astype(np.int32))
