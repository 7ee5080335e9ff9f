"""Where the label of a product says cloud, and where it says anything."""

from __future__ import annotations

import numpy as np

from preprocess.level1 import Product

# bayes_in of a pixel, or of a whole product, for which the processor did not compute it.
BAYES_NOT_COMPUTED = 255
# The oblique view has 900 columns of 1 km, 450 on either side of the sub-satellite track (obliqueImageSize in the
# manifest of the measured product).
DUAL_HALF_COLUMNS = 450


def cloudy_pixels(product: Product, label_rule: str) -> np.ndarray:
    """Where the Bayesian label says cloud: bool (R, C); the 255 of a label never computed says so too.

    `any` bit of bayes_in, as the original, or one of its bits by name: P(cloud) above a low or a moderate threshold,
    from the nadir view alone (single) or with the oblique view (dual), which sees clouds displaced along the track.
    """
    if label_rule == "any":
        any_bit: np.ndarray = product.flags["bayes"].values > 0
        return any_bit
    return product.flag("bayes", label_rule)


def labelled_pixels(product: Product, label_rule: str = "any") -> np.ndarray:
    """Where the Bayesian label was computed for a pixel that was filled: bool (R, C).

    A dual-view bit says nothing where the oblique view does not look: 0 there is no clear sky.
    """
    computed = (product.flags["bayes"].values != BAYES_NOT_COMPUTED) & ~product.flag("confidence", "unfilled")
    return computed & _seen_twice(product) if label_rule.startswith("dual") else computed


def _seen_twice(product: Product) -> np.ndarray:
    from_track = np.arange(product.bt.shape[2]) - product.grid_1km.track_offset
    return (from_track >= -DUAL_HALF_COLUMNS) & (from_track < DUAL_HALF_COLUMNS)


def is_labelled(product: Product) -> bool:
    """Whether bayes_in was computed for any pixel that was filled."""
    return bool(labelled_pixels(product).any())
