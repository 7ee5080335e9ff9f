"""What a network's logit means: its output q, and the probability of cloud, by theory or as fitted to labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

SLOPE, INTERCEPT = "probability_slope", "probability_intercept"  # attributes of masks that hold P


@dataclass(frozen=True)
class LogitLine:
    """P(cloud) = sigmoid(slope * logit + intercept)."""

    slope: float
    intercept: float


UNCHANGED = LogitLine(1.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class ProbabilityFit(LogitLine):
    """A line that was fitted to the labels of products a model did not learn from; it holds for that model alone."""

    model: str  # digest of the parameters, or of all members of an ensemble
    flips: bool  # whether logits were averaged over mirror images
    products: tuple[str, ...]  # names, sorted
    pixels: int
    cloud_pixels: int  # labelled so

    def __post_init__(self) -> None:
        """Raise ValueError unless the probability rises with the logit."""
        if not (math.isfinite(self.slope) and self.slope > 0 and math.isfinite(self.intercept)):
            raise ValueError(f"a slope above 0 and a finite intercept; found {self.slope} and {self.intercept}")


def theoretical_line(positive_weight: float) -> LogitLine:
    """At the optimum of a loss with weight b on its cloud term logit P = logit q - ln b (losses.py)."""
    return LogitLine(1.0, -math.log(positive_weight))


def probability_line(positive_weight: float, fit: LogitLine | None) -> LogitLine:
    """Return `fit`, or what theory says of a model that has none."""
    return theoretical_line(positive_weight) if fit is None else fit


def to_output(logits: np.ndarray) -> np.ndarray:
    """Return the network's output q = sigmoid(logit); same shape and float type."""
    q: np.ndarray = expit(logits)
    return q


def to_probability(logits: np.ndarray, positive_weight: float, fit: LogitLine | None) -> np.ndarray:
    """Return P(cloud) of logits: sigmoid(slope * logit + intercept) of `fit`, or of theory; same shape and float type.

    positive_weight: of the model's loss, on its cloud term.
    """
    return along(logits, probability_line(positive_weight, fit))


def along(logits: np.ndarray, line: LogitLine) -> np.ndarray:
    """Return sigmoid(slope * logit + intercept); same shape and float type."""
    scaled = logits * np.asarray(line.slope, logits.dtype) + np.asarray(line.intercept, logits.dtype)
    probability: np.ndarray = expit(scaled)
    return probability


def line_attributes(line: LogitLine) -> dict[str, float]:
    """Return what a mask that holds P records of how it was made from logits."""
    return {SLOPE: line.slope, INTERCEPT: line.intercept}


def stored_line(attributes: Mapping[str, Any]) -> LogitLine:
    """Return the line from the network's logit to the logit of what a mask stores, by the mask's attributes.

    A mask of P that does not record it was made by theory. Raises KeyError if it doesn't record `positive_weight`
    either.
    """
    if attributes.get("quantity", "q") == "q":
        return UNCHANGED
    if SLOPE in attributes:
        return LogitLine(float(attributes[SLOPE]), float(attributes[INTERCEPT]))
    return theoretical_line(float(attributes["positive_weight"]))


def undone(stored: np.ndarray, line: LogitLine) -> np.ndarray:
    """Return the network's logits of the logits of stored values: the inverse of `line`."""
    return (stored - line.intercept) / line.slope


def shown_line(attributes: Mapping[str, Any], fit: LogitLine | None) -> LogitLine:
    """Return the line from the logit of what a mask stores to the logit of P: nothing is to be done where it stores P.

    fit: of the mask's model, if it has one. Raises KeyError if the mask stores q and records no `positive_weight`.
    """
    if attributes.get("quantity", "q") == "P":
        return UNCHANGED
    return fit or theoretical_line(float(attributes["positive_weight"]))


def chosen_fit(fits: Iterable[ProbabilityFit], model: str, flips: bool) -> ProbabilityFit | None:
    """Return the fit of this digest and this averaging, if there is one."""
    return next((fit for fit in fits if (fit.model, fit.flips) == (model, flips)), None)


def missing_fit(fits: Iterable[ProbabilityFit], model: str, flips: bool) -> str:
    """Say why `fits` hold none for this digest and averaging, for a warning; "" if there are none at all."""
    others = list(fits)
    if not others:
        return ""
    of_model = [fit for fit in others if fit.model == model]
    if of_model:
        found = "mirror images averaged" if of_model[0].flips else "no mirror images averaged"
        return f"its calibration was fitted with {found}, not as now; it is left aside"
    return f"its calibration was fitted to model {others[0].model}, not to {model}; it is left aside"
