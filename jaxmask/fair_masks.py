"""The masks that are judged side by side at match-ups: what each calls clear, and the score that orders its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from jaxmask.matchups import BAYES_THRESHOLD, Algorithm, Table, bayes_clear

BAYES_HALF = 0.5
NEVER_CLEAR = np.inf


@dataclass(frozen=True)
class RowSamples:
    """What is known of each of N match-ups from its product and its product's mask.

    scene: (N,) int, equal where rows are of one scene; decided: (N,) bool, every mask has a decision there; night:
    (N,) bool; value: (N,) float64, the network's output, NaN where its product has no mask; threshold: (N,) float64,
    clear below it; local_hour: (N,) float64, local solar time 0 to 24, NaN where unknown, None if nowhere known;
    others: further masks by name, such as a truth.
    """

    scene: np.ndarray
    decided: np.ndarray
    night: np.ndarray
    value: np.ndarray
    threshold: np.ndarray
    local_hour: np.ndarray | None = None
    others: Mapping[str, FairMask] = field(default_factory=dict)


@dataclass(frozen=True)
class FairMask:
    """clear: (N,) bool; score: (N,) float64, the lower the surer clear (NaN or infinity: never), None if it can't be
    given another threshold."""

    clear: np.ndarray
    score: np.ndarray | None = None


def fair_masks(
    table: Table, algorithm: Algorithm, samples: RowSamples, bayes_threshold: float = BAYES_THRESHOLD
) -> dict[str, FairMask]:
    """The masks for rows of `algorithm`, in the order of the records.

    none: every row. bayes: the operational mask, both views for a dual-view retrieval; bayes_nadir: its nadir view
    alone, which is all that the U-Net sees; bayes_half: as bayes at 0.5. unet. unet_bayes_oblique, for dual views only:
    the U-Net in the nadir and Bayes in the oblique view. bayes_half has no score: it orders rows as bayes does.
    """
    nadir, oblique = (np.asarray(table[name], np.float64) for name in ("pcloudn", "pcloudo"))
    dual = algorithm.dual_view
    both = np.maximum(nadir, oblique) if dual else nadir
    unet = samples.value < samples.threshold
    masks = {
        "none": FairMask(np.ones(len(nadir), bool)),
        "bayes": FairMask(bayes_clear(table, dual_view=dual, threshold=bayes_threshold), both),
        "bayes_nadir": FairMask(bayes_clear(table, dual_view=False, threshold=bayes_threshold), nadir),
        "bayes_half": FairMask(bayes_clear(table, dual_view=dual, threshold=BAYES_HALF)),
        "unet": FairMask(unet, samples.value),
    }
    if dual:
        seen = oblique < bayes_threshold
        masks["unet_bayes_oblique"] = FairMask(unet & seen, np.where(seen, samples.value, NEVER_CLEAR))
    return masks | dict(samples.others)
