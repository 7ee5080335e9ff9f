"""Edge: `evaluate --calibrate`: a model's probability, fitted to the labels of its validation part and stored with it.

Not of the test part: what is fitted there can't be judged there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxmask.maskfile import read_attributes
from jaxmask.model import Model, load_model
from jaxmask.parts import part_finder
from jaxmask.platt import fit_line
from jaxmask.probability import LogitLine, ProbabilityFit, stored_line, theoretical_line, undone
from jaxmask.probability_file import store_fit
from jaxmask.reliability import reliability
from jaxmask.score_bins import BINS, CENTRES
from preprocess.errors import UserError

PART = "validation"
UNRECORDED = "unknown"


@dataclass(frozen=True, eq=False)
class LabelledCounts:
    """A product's pixels by what its mask stores and by its label: (BINS, 2) int64, of score_bins.count_bins."""

    mask: Path
    counts: np.ndarray


@dataclass(frozen=True)
class _Made:
    """How masks were made, as far as a fit depends on it."""

    model: str
    members: str  # digests of an ensemble's members, apart by spaces
    flips: bool
    buffer: int
    line: LogitLine  # from the network's logit to that of what they store


def calibrate(folder: Path, products: Sequence[LabelledCounts]) -> dict[str, Any]:
    """Fit P(cloud) to the labels of the products of the model's validation part, and store it in the model's folder.

    products: others than those of the validation part are passed over. Masks may store q, or a P, which is undone.
    Returns, for JSON, the fit, and the reliability there before (by theory) and after.
    Raises UserError if the model is no folder or has no validation part, none of its products is there or holds both
    clear and cloudy pixels, or a mask is of another model, of other flips than the rest, or buffered.
    """
    model = _model(folder)
    part = part_finder(model.split)
    chosen = sorted((each for each in products if part(each.mask.stem) == PART), key=lambda each: each.mask.stem)
    if not chosen:
        raise UserError(
            f"--calibrate: none of the {len(products)} masks with a shard is of the {PART} part of {folder}; predict "
            f"those {len(model.split.validation)} products by jaxmask.infer, such as {model.split.validation[0]}"
        )
    made = _alike(chosen)
    _check_model(folder, model, made, chosen[0].mask)
    counts = np.sum([each.counts for each in chosen], axis=0)
    logits = undone(CENTRES, made.line)
    fit = _fit(folder, logits, counts, made, chosen)
    path = store_fit(folder, fit)
    theory = theoretical_line(model.positive_weight)
    return {
        "file": str(path),
        "model": fit.model,
        "flips": fit.flips,
        "slope": fit.slope,
        "intercept": fit.intercept,
        "products": len(fit.products),
        "pixels": fit.pixels,
        "before": reliability(counts, theory, logits),
        "after": reliability(counts, fit, logits),
    }


def _model(folder: Path) -> Model:
    if folder.is_file():
        raise UserError(f"--calibrate stores its fit in a model folder of jaxmask.train; {folder} is a file")
    model = load_model(folder)
    if not model.split.validation:
        raise UserError(
            f"{folder} has no {PART} part to fit the probability to: train with --validation-split above 0 "
            "(the test part would no longer judge what was fitted to it)"
        )
    return model


def _alike(products: Sequence[LabelledCounts]) -> _Made:
    """How all masks were made; UserError if not alike, or not so that their logits can be had back."""
    first = _made(products[0].mask)
    for each in products[1:]:
        if (made := _made(each.mask)) != first:
            raise UserError(
                f"--calibrate: {each.mask} was made otherwise ({made}) than {products[0].mask} ({first}); predict all "
                "into one folder with the same flags"
            )
    if first.buffer:
        raise UserError(
            f"--calibrate: cloud in {products[0].mask} is spread by --buffer {first.buffer}, so that it no longer "
            "holds the network's output; predict without --buffer"
        )
    return first


def _made(mask: Path) -> _Made:
    found = read_attributes(mask)
    try:
        line = stored_line(found)
    except KeyError:
        raise UserError(f"--calibrate: {mask} doesn't say how its P(cloud) was made; predict it anew") from None
    return _Made(
        model=str(found.get("model", UNRECORDED)),
        members=str(found.get("members", "")),
        flips=bool(found.get("flips", False)),
        buffer=int(found.get("buffer", 0)),
        line=line,
    )


def _check_model(folder: Path, latest: Model, made: _Made, mask: Path) -> None:
    """Raise UserError unless the masks are of the folder's latest or best parameters, or of an ensemble with them."""
    named = {made.model, *made.members.split()}
    if latest.digest not in named and _best_digest(folder) not in named:
        raise UserError(
            f"--calibrate: {mask} is of model {made.model}, {folder} holds {latest.digest}; give the --model that made "
            "the masks, or predict them with this one"
        )


def _best_digest(folder: Path) -> str | None:
    try:
        return load_model(folder, "best").digest
    except UserError:
        return None  # no checkpoint has a loss


def _fit(
    folder: Path, logits: np.ndarray, counts: np.ndarray, made: _Made, products: Sequence[LabelledCounts]
) -> ProbabilityFit:
    if counts.shape != (BINS, 2):
        raise ValueError(f"counts of pixels must be ({BINS}, 2); found {counts.shape}")
    try:
        line = fit_line(logits, counts)
        return ProbabilityFit(
            slope=line.slope,
            intercept=line.intercept,
            model=made.model,
            flips=made.flips,
            products=tuple(each.mask.stem for each in products),
            pixels=int(counts.sum()),
            cloud_pixels=int(counts[:, 1].sum()),
        )
    except ValueError as error:
        raise UserError(
            f"--calibrate: no probability can be fitted to the {len(products)} products of the {PART} part of "
            f"{folder}: {error}"
        ) from error
