"""What evaluate says of summed counts: one record for each comparison and stratum, and the curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxmask.curves import curve, precision_recall_area, roc_area
from jaxmask.probability import LogitLine
from jaxmask.reliability import reliability
from jaxmask.scores import corrections, shares
from jaxmask.strata import LABEL_EDGE, TRUTH_EDGE
from jaxmask.tally import UNKNOWN, Stratum, Tallies, Tally

# What is judged, against what, and what the share of equal pixels is called.
COMPARISONS = (("unet", "label", "agreement"), ("unet", "truth", "accuracy"), ("bayes", "truth", "accuracy"))
# The distance to the cloud edge is that of the target.
EDGES = {"label": LABEL_EDGE, "truth": TRUTH_EDGE}
CLOUD_EDGE = "cloud_edge"
CALIBRATION = ("expected_calibration_error", "brier")

Record = dict[str, Any]


def make_records(totals: Mapping[str, Tallies], part: str, line: LogitLine | None) -> list[Record]:
    """One record for each part (`part` last), comparison and stratum that has pixels, overall first.

    line: from the logit of what the masks store to that of P(cloud), to judge its calibration; None: unknown.
    """
    last = {part: totals[part]}
    return [
        {"mask": mask, "against": against, "part": name, "dimension": shown.dimension, "stratum": shown.name}
        | _figures(tally, mask, against, right, line)
        for name, tallies in ({name: totals[name] for name in totals if name != part} | last).items()
        for mask, against, right in COMPARISONS
        for shown, tally in judged(tallies, against).items()
    ]


def make_curves(tallies: Tallies, part: str, line: LogitLine | None) -> list[Record]:
    """ROC and precision-recall curves and the reliability diagrams against label and truth, by stratum."""
    return [
        {"mask": "unet", "against": against, "part": part, "dimension": shown.dimension, "stratum": shown.name}
        | curve(tally.score_bins(against))
        | ({"reliability": reliability(tally.score_bins(against), line)["bins"]} if line else {})
        for against in EDGES
        for shown, tally in judged(tallies, against).items()
    ]


def judged(tallies: Tallies, against: str) -> dict[Stratum, Tally]:
    """The strata in which something is known of the target, under the names that records show."""
    other = {TRUTH_EDGE, LABEL_EDGE} - {EDGES[against]}
    found = {
        Stratum(CLOUD_EDGE, stratum.name) if stratum.dimension == EDGES[against] else stratum: tally
        for stratum, tally in tallies.items()
        if stratum.dimension not in other
    }
    if against == "truth":
        return {stratum: tally for stratum, tally in found.items() if tally.outcomes[:UNKNOWN].any()}
    return found


def right_share(record: Record) -> float | None:
    """The share of pixels that agree with the label, or are right by the truth."""
    value: float | None = record["agreement" if record["against"] == "label" else "accuracy"]
    return value


def _figures(tally: Tally, mask: str, against: str, right: str, line: LogitLine | None) -> Record:
    figures = shares(tally.counts(mask, against), right)
    if mask != "unet":
        return figures
    bins = tally.score_bins(against)
    found = reliability(bins, line) if line else {}
    figures |= {"roc_area": roc_area(bins), "precision_recall_area": precision_recall_area(bins)}
    figures |= {name: found.get(name) for name in CALIBRATION}
    return figures | (corrections(tally.outcomes[:UNKNOWN]) if against == "truth" else {})
