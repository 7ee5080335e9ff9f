"""Which strata a pixel belongs to: by the product's flags, the sun, latitude, the target's cloud edge, and the truth.

Flags overlap (a coast may be land and sea, snow lies on land): such strata are given by bits of one word a pixel. All
other dimensions sort pixels into one class each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from jaxmask.tally import Pixels, Stratum, Tally, add_tallies, packed, tally_codes
from preprocess.level1 import CONFIDENCE_BITS

DAY, OCEAN, GLINT = (CONFIDENCE_BITS[name] for name in ("day", "ocean", "sun_glint"))
# Two bits that confidence_in leaves free.
MEASURED, SUN_NEAR = 64, 128
WORDS = 2**16

TWILIGHT_UNTIL_DEG = 96.0  # civil twilight: the sun at most 6 degrees below the horizon
ZENITH_EDGES_DEG = (40.0, 60.0, 75.0, 85.0, 90.0, TWILIGHT_UNTIL_DEG)
LATITUDE_EDGES_DEG = (-60.0, -30.0, 0.0, 30.0, 60.0)
LABEL_EDGE, TRUTH_EDGE = "label_edge", "truth_edge"  # distance to the cloud edge of the label, of the truth
EDGE_DISTANCES = (2, 4, 8, 16, 32)  # pixels
DEPTH_EDGES = (0.15, 0.5, 1.0, 3.0, 10.0)  # from the first on a pixel is cloud: preprocess.simulation.truth

Flags = NDArray[np.uint16]
Bools = NDArray[np.bool_]


class FlagStratum(NamedTuple):
    """Pixels whose word has all bits of `has` and none of `lacks`."""

    stratum: Stratum
    has: int
    lacks: int
    meaning: str


def _surface(name: str, bit: str) -> FlagStratum:
    return FlagStratum(Stratum("surface", name), CONFIDENCE_BITS[bit], 0, f"flag {bit}")


ALL = Stratum("overall", "all")
SAMPLE = "sample"
WHOLE = FlagStratum(ALL, 0, 0, "all pixels that count")
SAMPLES = (
    FlagStratum(Stratum(SAMPLE, "measured"), MEASURED, 0, "S8 and S9 are measurements of this pixel"),
    FlagStratum(Stratum(SAMPLE, "cosmetic"), 0, MEASURED, "S8 or S9 is a neighbour's copy, or was flagged as bad"),
)
BY_FLAGS = (
    FlagStratum(Stratum("light", "day"), DAY, 0, "flag day"),
    FlagStratum(Stratum("light", "night"), 0, DAY, "no flag day: twilight and dark"),
    FlagStratum(Stratum("light", "twilight"), SUN_NEAR, DAY, "no flag day, the sun's zenith angle below 96 degrees"),
    FlagStratum(Stratum("light", "dark"), 0, DAY | SUN_NEAR, "no flag day, the sun lower than that or unknown"),
    _surface("sea", "ocean"),
    _surface("land", "land"),
    _surface("coast", "coastline"),
    _surface("inland_water", "inland_water"),
    _surface("tidal", "tidal"),
    _surface("snow", "snow"),
    FlagStratum(Stratum("glint", "glint"), GLINT, 0, "flag sun_glint"),
    FlagStratum(Stratum("glint", "no_glint"), DAY | OCEAN, GLINT, "sea by day without flag sun_glint"),
)
FLAG_BITS = np.uint16(sum({CONFIDENCE_BITS[name] for name in CONFIDENCE_BITS}))


@dataclass(frozen=True, eq=False)
class Classes:
    """A dimension that sorts pixels: its strata's names and codes (H, W) uint8; the code `len(names)` is none."""

    dimension: str
    names: tuple[str, ...]
    codes: NDArray[np.uint8]


def meanings() -> dict[str, str]:
    """What the strata are, by name or dimension, for those who read evaluation.json."""
    named = {stratum.name: meaning for stratum, _, _, meaning in (WHOLE, *SAMPLES, *BY_FLAGS)}
    return named | {
        "sun_zenith": "zenith angle of the sun, degrees, from time and position",
        "latitude": "degrees north and south",
        "cloud_edge": "pixels to the nearest pixel of the target's other class, as a king moves on a chessboard",
        "cloud_kind": "of the truth: the deepest layer's kind; clear where the truth is clear",
        "optical_depth": "of the truth: optical depth times cover of the pixel; cloud from 0.15 on",
    }


def flag_words(flags: Flags, measured: Bools, sun_near: Bools) -> Flags:
    """One word a pixel, of any one shape: confidence_in, and whether it is MEASURED and the SUN_NEAR."""
    words = flags & FLAG_BITS
    words |= np.where(measured, np.uint16(MEASURED), np.uint16(0))
    words |= np.where(sun_near, np.uint16(SUN_NEAR), np.uint16(0))
    return words


def tally_words(pixels: Pixels, words: Flags, *, cosmetic: bool) -> dict[Stratum, Tally]:
    """Tally the strata that words (N,) give; those without pixels are left out, but for ALL.

    cosmetic: pixels that are not MEASURED count in all strata, not only in that of their own. Where no pixel has a
    flag of confidence_in (the original's shards have none) nothing but ALL and SAMPLES is known.
    """
    present = np.flatnonzero(np.bincount(words, minlength=WORDS))
    place = np.zeros(WORDS, np.int64)
    place[present] = np.arange(len(present))
    tallies = tally_codes(pixels, place[words], len(present))
    flagged = bool((present & int(FLAG_BITS)).any())
    found = {}
    for stratum, has, lacks, _ in (WHOLE, *SAMPLES, *(BY_FLAGS if flagged else ())):
        required = has if cosmetic or stratum.dimension == SAMPLE else has | MEASURED
        chosen = [
            tally
            for word, tally in zip(present.tolist(), tallies, strict=True)
            if word & required == required and not word & lacks
        ]
        if chosen:
            found[stratum] = packed(add_tallies(chosen))
    return found


def tally_classes(pixels: Pixels, classes: Classes, counted: Bools, kept: Bools) -> dict[Stratum, Tally]:
    """Tally one dimension's classes; those without pixels are left out.

    counted: (H, W), the pixels that `pixels` are, in order; kept: (N,), which of them to count.
    """
    number = len(classes.names)
    codes = np.where(kept, classes.codes[counted], number)
    tallies = tally_codes(pixels, codes, number)
    return {
        Stratum(classes.dimension, name): packed(tally)
        for name, tally in zip(classes.names, tallies, strict=True)
        if tally.count
    }


def sun_classes(cos_zenith: NDArray[np.float32]) -> Classes:
    """By the sun's zenith angle, from its cosine (H, W); NaN: none."""
    rising = [-float(np.cos(np.radians(edge))) for edge in ZENITH_EDGES_DEG]
    return Classes("sun_zenith", _ranges("sun_", ZENITH_EDGES_DEG, 0, 180), _digitize(-cos_zenith, rising))


def latitude_classes(latitude: NDArray[np.float32]) -> Classes:
    """By latitude (H, W), degrees north; NaN: none."""
    bounds = (-90.0, *LATITUDE_EDGES_DEG, 90.0)
    names = tuple(f"{_north(low)}_{_north(high)}" for low, high in pairwise(bounds))
    return Classes("latitude", names, _digitize(latitude, LATITUDE_EDGES_DEG))


def edge_classes(dimension: str, target: Bools, known: Bools) -> Classes:
    """By the distance to the cloud edge of `target` (H, W), where it is `known`.

    The distance is that of the nearest known pixel of the other class, counted as a king moves on a chessboard: 1 are
    the pixels that touch the edge, be it by a corner. scipy's chessboard transform finds it. Without such a pixel in
    the scene a pixel is of the last class. What is not known is of neither class.
    """
    codes = np.full(target.shape, len(EDGE_DISTANCES), np.uint8)
    for own, other in ((known & target, known & ~target), (known & ~target, known & target)):
        if own.any() and other.any():
            distance = ndimage.distance_transform_cdt(~other, "chessboard")
            codes[own] = _digitize(distance[own], EDGE_DISTANCES)
    bounds = (1, *EDGE_DISTANCES)
    names = [f"edge_{low}_{high - 1}" if high - 1 > low else f"edge_{low}" for low, high in _pairs(bounds)]
    return Classes(dimension, (*names, f"edge_{EDGE_DISTANCES[-1]}_on"), codes)


def kind_classes(kind: NDArray[np.uint8], names: Sequence[str]) -> Classes:
    """By the truth's kind of cloud (H, W), whose codes number `names`."""
    return Classes("cloud_kind", tuple(names), np.minimum(kind, len(names)).astype(np.uint8))


def depth_classes(amount: NDArray[np.float32]) -> Classes:
    """By optical depth times cover (H, W): that of the pixel as a whole, which says whether it is cloud."""
    lowest = ("tau_0", f"tau_0_{DEPTH_EDGES[0]:g}")
    names = (*lowest, *(f"tau_{low:g}_{high:g}" for low, high in _pairs(DEPTH_EDGES)), f"tau_{DEPTH_EDGES[-1]:g}_on")
    codes = _digitize(amount, DEPTH_EDGES) + (amount > 0)
    return Classes("optical_depth", names, np.where(np.isnan(amount), len(names), codes).astype(np.uint8))


def _digitize(values: np.ndarray, edges: Sequence[float]) -> NDArray[np.uint8]:
    """How many of the edges a value reaches; one more than can be where it is NaN. Faster than np.digitize."""
    codes = np.zeros(values.shape, np.uint8)
    for edge in edges:
        codes += values >= values.dtype.type(edge)
    codes[np.isnan(values)] = len(edges) + 1
    return codes


def _ranges(prefix: str, edges: Sequence[float], first: float, last: float) -> tuple[str, ...]:
    return tuple(f"{prefix}{low:g}_{high:g}" for low, high in _pairs((first, *edges, last)))


def _pairs(bounds: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(bounds))


def _north(degrees: float) -> str:
    return f"{abs(degrees):g}{'N' if degrees > 0 else 'S' if degrees < 0 else ''}"
