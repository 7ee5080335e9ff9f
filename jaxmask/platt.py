"""Platt scaling: the line of the logit whose sigmoid is the probability of cloud, fitted to counts of pixels."""

from __future__ import annotations

import numpy as np

from jaxmask.probability import LogitLine

MOST_STEPS = 100  # Newton's method needs about ten
LEAST_DECREASE = 1e-4  # of the decrease that the slope promises: Armijo's rule, as Lin et al.
SMALLEST_STEP = 1e-10
RELATIVE_GRADIENT = 1e-10  # of a gradient's terms, where the minimum is taken as reached
RIDGE = 1e-12  # relative; keeps the Hessian regular where nearly all logits are equal


def fit_line(logits: np.ndarray, counts: np.ndarray) -> LogitLine:
    """Fit slope and intercept by maximum likelihood, in float64.

    logits: (N,) of N bins, their centres; counts: (N, 2) int, pixels of each bin that are labelled clear and cloud.
    Platt 1999 ("Probabilistic outputs for support vector machines", in Advances in Large Margin Classifiers): targets
    (n1 + 1) / (n1 + 2) for the n1 cloudy and 1 / (n0 + 2) for the n0 clear pixels, so that the fit is finite even where
    a logit divides them; solved by Newton's method with backtracking (Lin, Lin and Weng 2007,
    10.1007/s10994-007-5018-6).
    Raises ValueError unless pixels of both kinds and of two different logits are there.
    """
    weights, targets = _targets(counts)
    some = weights > 0
    if some.sum() < 2:
        raise ValueError(f"logits of {int(some.sum())} different values; expected at least 2")
    inputs = np.stack([np.asarray(logits, np.float64), np.ones(len(logits))], axis=1)[some]
    weights, targets = weights[some], targets[some]
    line = np.array([1.0, 0.0])  # q as the probability
    for _ in range(MOST_STEPS):
        gradient, hessian = _slopes(line, inputs, weights, targets)
        if np.all(np.abs(gradient) <= RELATIVE_GRADIENT * (weights @ np.abs(inputs))):
            break
        line = _improved(line, -np.linalg.solve(hessian, gradient), gradient, (inputs, weights, targets))
    return LogitLine(float(line[0]), float(line[1]))


def _targets(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each bin, and the mean of Platt's targets there, both (N,) float64."""
    clear, cloud = np.asarray(counts, np.float64).T
    clear_total, cloud_total = clear.sum(), cloud.sum()
    if not (clear_total and cloud_total):
        raise ValueError(f"{clear_total:.0f} clear and {cloud_total:.0f} cloudy pixels; expected some of both")
    weights = clear + cloud
    hoped = clear / (clear_total + 2) + cloud * (cloud_total + 1) / (cloud_total + 2)
    return weights, np.divide(hoped, weights, out=np.zeros_like(weights), where=weights > 0)


def _loss(line: np.ndarray, inputs: np.ndarray, weights: np.ndarray, targets: np.ndarray) -> float:
    """Cross entropy, summed over pixels."""
    scaled = inputs @ line
    return float(weights @ (np.logaddexp(0, scaled) - targets * scaled))


def _slopes(
    line: np.ndarray, inputs: np.ndarray, weights: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (2,) and Hessian (2, 2) of the loss."""
    probability = np.exp(-np.logaddexp(0, -(inputs @ line)))
    gradient = inputs.T @ (weights * (probability - targets))
    hessian = (inputs * (weights * probability * (1 - probability))[:, None]).T @ inputs
    return gradient, hessian + RIDGE * weights.sum() * np.eye(2)


def _improved(
    line: np.ndarray, step: np.ndarray, gradient: np.ndarray, data: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """The line after the step, halved until the loss falls enough; unchanged where rounding leaves nothing to gain."""
    before, promised, share = _loss(line, *data), float(gradient @ step), 1.0
    while share >= SMALLEST_STEP:
        moved = line + share * step
        if _loss(moved, *data) <= before + LEAST_DECREASE * share * promised:
            return moved
        share /= 2
    return line
