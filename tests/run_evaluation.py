"""An `evaluation.json` as `evaluate` writes it, of counts chosen by hand, for the tests of what reads it.

Its 9,000 pixels, in thousands: 6 by day, 3 at night; 6 of sea (4 by day), 3 of land; 1 by day of coast, 1 at night of
snow. All by day are as DAY says, all at night as NIGHT, so that of all: 3810 are cloud in label and mask, 840 in the
mask alone, 930 in the label alone, 3420 in neither; the mask is right by the truth in 7470, the label in 7620.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxmask.evaluation_records import make_curves, make_records
from jaxmask.probability import LogitLine
from jaxmask.score_bins import bin_index
from jaxmask.strata import ALL, meanings
from jaxmask.tally import CLOUD, UNKNOWN, Stratum, Tally, empty

# Pixels by truth, label, mask, each clear then cloud.
DAY = np.array([[[360, 30], [40, 20]], [[30, 60], [40, 420]]])
NIGHT = np.array([[[300, 60], [30, 30]], [[60, 40], [120, 360]]])
TIMES = {  # of DAY and NIGHT in each stratum
    ALL: (6, 3),
    Stratum("light", "day"): (6, 0),
    Stratum("light", "night"): (0, 3),
    Stratum("light", "dark"): (0, 3),
    Stratum("surface", "sea"): (4, 2),
    Stratum("surface", "land"): (2, 1),
    Stratum("surface", "coast"): (1, 0),
    Stratum("surface", "snow"): (0, 1),
}
LINE = LogitLine(1.0, float(np.log(2)))  # of positive_weight 0.5, by theory


def make_evaluation(train: list[str], test: list[str], matchups: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of the file; the products' disagreement grows with their number, every third one is at night."""
    tallies = {stratum: _tally(day * DAY + night * NIGHT) for stratum, (day, night) in TIMES.items()}
    products = [
        {"product": name, "part": "train" if name in train else "test", "day": number % 3 != 2, "count": 3000,
         "label_cloud_share": 0.5, "mask_cloud_share": 0.52, "disagreement": 0.01 * (number + 1)}
        for number, name in enumerate(train + test)
    ]  # fmt: skip
    return {
        "part": "test",
        "cosmetic": False,
        "thresholds": [0.5],
        "models": ["0123456789abcdef"],
        "probability": {"slope": LINE.slope, "intercept": LINE.intercept},
        "strata": meanings(),
        "records": make_records({"test": tallies}, "test", LINE),
        "curves": make_curves(tallies, "test", LINE),
        "products": products,
        "matchups": matchups,
    }


def _tally(outcomes: np.ndarray) -> Tally:
    """Those pixels, with outputs that are surer, either way, where the mask is right."""
    tally = empty()
    tally.outcomes[:UNKNOWN] = outcomes
    for (truth, label, mask), pixels in np.ndenumerate(outcomes):
        spread = -np.log1p(-(np.arange(pixels) + 0.5) / pixels) * (2.5 if truth == mask else 1.0)
        values = 1 / (1 + np.exp(-spread if mask == CLOUD else spread))
        np.add.at(tally.bins[truth, label], bin_index(values), 1)
    return tally
