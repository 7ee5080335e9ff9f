"""The label of a product: where it says cloud, where it says anything, and what it teaches of each kind of surface."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from preprocess.errors import UserError
from preprocess.level1 import CONFIDENCE_BITS, Product
from preprocess.scene import SceneInfo

BAYES_RULES = ("any", "single_low", "single_moderate", "dual_low", "dual_moderate")
SUMMARY_RULE = "summary"
PROBABILITY_PREFIX = "probability:"
LABEL_RULES = (*BAYES_RULES, SUMMARY_RULE, f"{PROBABILITY_PREFIX}T")

# bayes_in of a pixel, or of a whole product, for which the processor did not compute it.
BAYES_NOT_COMPUTED = 255
# The oblique view has 900 columns of 1 km, 450 on either side of the sub-satellite track (obliqueImageSize in the
# manifest of the measured product).
DUAL_HALF_COLUMNS = 450

# Kinds of surface by their bit of confidence_in; a pixel may be of several (snow on land, coastline).
SURFACE_CLASSES = ("ocean", "land", "coastline", "inland_water", "tidal", "snow")
# Fewer labelled pixels of a class, a square of 100 km, may all be clear or all cloud by the weather.
LEAST_CLASS_PIXELS = 10_000
# Misplaced coasts give a few pixels of another surface's label: a label is constant up to this share.
OTHER_LABEL_SHARE = 0.001


def parse_label_rule(text: str) -> str:
    """The label rule in the words that shards record: "probability:.9" becomes "probability:0.9".

    Raises UserError for a text that is none of LABEL_RULES, or a threshold that is not between 0 and 1.
    """
    if text in (*BAYES_RULES, SUMMARY_RULE):
        return text
    if text.startswith(PROBABILITY_PREFIX):
        number = text.removeprefix(PROBABILITY_PREFIX)
        threshold = float(number) if re.fullmatch(r"\d*\.?\d+(e-?\d+)?", number) else 0.0
        if 0 < threshold < 1:
            return f"{PROBABILITY_PREFIX}{threshold!r}"
    raise UserError(f"--label must be one of {', '.join(LABEL_RULES)} with T between 0 and 1; found {text}")


def cloudy_pixels(product: Product, label_rule: str) -> np.ndarray:
    """Where the label says cloud: bool (R, C); fill, which is no label, says so too (see labelled_pixels).

    "any" bit of bayes_in, as the original, or one of its bits by name: P(cloud) above a low or a moderate threshold,
    from the nadir view alone (single) or with the oblique view (dual), which sees clouds displaced along the track.
    "summary": summary_cloud of confidence_in. "probability:T": probability_cloud_single_in, of the nadir view, which
    is what a nadir network sees, is T or more; T is rounded to float32 as the probabilities are. label_rule as
    parse_label_rule returns it; raises UserError for another.
    """
    if label_rule == "any":
        any_bit: np.ndarray = product.flags["bayes"].values > 0
        return any_bit
    if label_rule == SUMMARY_RULE:
        return product.flag("confidence", "summary_cloud")
    if label_rule in BAYES_RULES:
        return product.flag("bayes", label_rule)
    threshold = np.float32(parse_label_rule(label_rule).removeprefix(PROBABILITY_PREFIX))
    if product.probability_single is None:
        return np.ones(product.bt.shape[1:], bool)
    clear: np.ndarray = product.probability_single < threshold
    return ~clear


def labelled_pixels(product: Product, label_rule: str = "any") -> np.ndarray:
    """Where the label was computed for a pixel that was filled: bool (R, C).

    A dual-view bit says nothing where the oblique view does not look: 0 there is no clear sky. Of products without
    probability_cloud_single_in (collections before 004) no pixel has the label "probability:T": they are unlabelled,
    not failures, as an archive of several collections is a usual thing and they can still be inferred on.
    """
    filled = ~product.flag("confidence", "unfilled")
    if label_rule == SUMMARY_RULE:
        return filled
    if label_rule.startswith(PROBABILITY_PREFIX):
        probability = product.probability_single
        return filled & (probability >= 0) & (probability <= 1) if probability is not None else np.zeros_like(filled)
    computed = (product.flags["bayes"].values != BAYES_NOT_COMPUTED) & filled
    return computed & _seen_twice(product) if label_rule.startswith("dual") else computed


def _seen_twice(product: Product) -> np.ndarray:
    from_track = np.arange(product.bt.shape[2]) - product.grid_1km.track_offset
    return (from_track >= -DUAL_HALF_COLUMNS) & (from_track < DUAL_HALF_COLUMNS)


def is_labelled(product: Product, label_rule: str = "any") -> bool:
    """Whether the label was computed for any pixel that was filled."""
    return bool(labelled_pixels(product, label_rule).any())


class ClassCounts(NamedTuple):
    """Labelled pixels of each of SURFACE_CLASSES, and those of them whose label is cloud."""

    pixels: tuple[int, ...]
    cloud: tuple[int, ...]


def count_classes(flags: np.ndarray, cloud: np.ndarray, label_valid: np.ndarray) -> ClassCounts:
    """Count labelled pixels by surface: flags u2 of CONFIDENCE_BITS, cloud and label_valid bool, all (H, W)."""
    pixels, cloudy = [], []
    for name in SURFACE_CLASSES:
        known = (flags & np.uint16(CONFIDENCE_BITS[name]) != 0) & label_valid
        pixels.append(int(np.count_nonzero(known)))
        cloudy.append(int(np.count_nonzero(known & cloud)))
    return ClassCounts(tuple(pixels), tuple(cloudy))


def recorded_counts(info: SceneInfo) -> ClassCounts:
    """The counts that a shard records; empty for shards of before they were counted."""
    return ClassCounts(info.class_pixels, info.class_cloud)


def add_counts(counts: Iterable[ClassCounts]) -> ClassCounts:
    """The sum of the counts of many products; those of older shards, which have none, are empty and left out."""
    known = [count for count in counts if count.pixels]
    zeros = (0,) * len(SURFACE_CLASSES)
    pixels, cloud = (
        tuple(map(sum, zip(zeros, *(getattr(count, name) for count in known), strict=True)))
        for name in ClassCounts._fields
    )
    return ClassCounts(pixels, cloud)


def constant_classes(counts: ClassCounts, least: int = LEAST_CLASS_PIXELS) -> dict[str, str]:
    """The surfaces of at least `least` labelled pixels whose label, but for 1 in 1000, is always "clear" or "cloud".

    A network would learn the label of such a surface from the surface: where the Bayesian label was not computed over
    land and left 0 there, it would learn that land is clear.
    """
    found = {}
    for name, pixels, cloud in zip(SURFACE_CLASSES, *add_counts([counts]), strict=True):
        if pixels >= least and min(cloud, pixels - cloud) <= OTHER_LABEL_SHARE * pixels:
            found[name] = "cloud" if 2 * cloud > pixels else "clear"
    return found


def constant_warnings(counts: ClassCounts, least: int = LEAST_CLASS_PIXELS) -> list[str]:
    """constant_classes as sentences that begin with the surface's name."""
    pixels = dict(zip(SURFACE_CLASSES, counts.pixels, strict=False))
    return [
        f"{name.replace('_', ' ')}: all of its {pixels[name]:,} labelled pixels (but 1 in 1000 at most) are {label}, "
        "and a model would learn that they always are; another --label or more products may tell clear from cloud there"
        for name, label in constant_classes(counts, least).items()
    ]
