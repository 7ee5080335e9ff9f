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
from jaxmask.score_bins import CENTRES
from preprocess.errors import UserError
from preprocess.files import writable_folder

PART = "validation"
FEW_PRODUCTS = 10  # scenes differ by more than their pixels tell: with 3, a test part's error grew from 0.07 to 0.11


@dataclass(frozen=True)
class Source:
    """What a fit is made for: how all masks of the validation part were made, as far as it depends on that."""

    folder: Path  # of the model
    positive_weight: float
    model: str  # digest that the masks record
    flips: bool
    line: LogitLine  # from the network's logit to that of what they store


@dataclass(frozen=True)
class _Made:
    """How a mask was made."""

    model: str
    members: str  # digests of an ensemble's members, apart by spaces
    flips: bool
    buffer: int
    line: LogitLine


def calibration_source(folder: Path, masks: Sequence[Path]) -> Source:
    """Check, before anything is counted, that P(cloud) of the model in `folder` can be fitted to these masks.

    masks: files that have labels; those outside the model's validation part are passed over. They may store q, or a P,
    which is undone.
    Raises UserError if the model is no folder or has no validation part, none of its products is there, or a mask is
    of another model, made otherwise than the rest, buffered, or doesn't say how it was made.
    """
    model = _model(folder)
    part = part_finder(model.split)
    chosen = [mask for mask in masks if part(mask.stem) == PART]
    if not chosen:
        raise UserError(
            f"--calibrate: none of the {len(masks)} masks with a shard is of the {PART} part of {folder}; predict "
            f"those {len(model.split.validation)} products by jaxmask.infer, such as {model.split.validation[0]}"
        )
    made = _alike(chosen)
    for mask in chosen:
        if read_attributes(mask).get("part") == "train":
            raise UserError(f"--calibrate: a model that made {mask} was trained on it; choose ensembles of one split")
    _check_model(folder, model, made, chosen[0])
    writable_folder(folder)
    return Source(folder, model.positive_weight, made.model, made.flips, made.line)


def calibrate(source: Source, products: Sequence[str], counts: np.ndarray) -> dict[str, Any]:
    """Fit P(cloud) to the labels of the validation part, and store it in the model's folder.

    products: their names; counts: their pixels by what the masks store and by label, (BINS, 2) of score_bins.
    Returns, for JSON, the fit, and the reliability there before (by theory) and after.
    Raises UserError unless there are both clear and cloudy pixels, and more cloud where the logit is higher.
    """
    logits = undone(CENTRES, source.line)
    try:
        line = fit_line(logits, counts)
        fit = ProbabilityFit(
            slope=line.slope,
            intercept=line.intercept,
            model=source.model,
            flips=source.flips,
            products=tuple(sorted(products)),
            pixels=int(counts.sum()),
            cloud_pixels=int(counts[:, 1].sum()),
        )
    except ValueError as error:
        raise UserError(
            f"--calibrate: no probability can be fitted to the {len(products)} products of the {PART} part of "
            f"{source.folder}: {error}"
        ) from error
    return {
        "file": str(store_fit(source.folder, fit)),
        "model": fit.model,
        "flips": fit.flips,
        "slope": fit.slope,
        "intercept": fit.intercept,
        "products": len(fit.products),
        "pixels": fit.pixels,
        "before": reliability(counts, theoretical_line(source.positive_weight), logits),
        "after": reliability(counts, fit, logits),
    }


def calibration_line(record: dict[str, Any]) -> str:
    """Return what `calibrate` did, in words; and whether it rests on too few products to hold for others."""
    before, after = (record[when]["expected_calibration_error"] for when in ("before", "after"))
    few = f"; warning: fewer than {FEW_PRODUCTS} products may not stand for others"
    few = few if record["products"] < FEW_PRODUCTS else ""
    return (
        f"P(cloud) = sigmoid({record['slope']:.4f} logit {record['intercept']:+.4f}), fitted to {record['pixels']:,d} "
        f"pixels of {record['products']} products; expected calibration error there {after:.4f}, before {before:.4f}; "
        f"stored in {record['file']}{few}"
    )


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


def _alike(masks: Sequence[Path]) -> _Made:
    """How all masks were made; UserError if not alike, or not so that their logits can be had back."""
    first = _made(masks[0])
    for mask in masks[1:]:
        if _made(mask) != first:
            raise UserError(
                f"--calibrate: {mask} is of another model, quantity or flags than {masks[0]}; predict all of them into "
                "one folder with the same flags"
            )
    if first.buffer:
        raise UserError(
            f"--calibrate: cloud in {masks[0]} is spread by --buffer {first.buffer}, so that it doesn't hold the "
            "network's output; predict without --buffer"
        )
    return first


def _made(mask: Path) -> _Made:
    found = read_attributes(mask)
    if "model" not in found:
        raise UserError(f"--calibrate: {mask} doesn't say which model made it; predict it by jaxmask.infer")
    try:
        line = stored_line(found)
        return _Made(
            model=str(found["model"]),
            members=str(found.get("members", "")),
            flips=bool(found.get("flips", False)),
            buffer=int(found.get("buffer", 0)),
            line=line,
        )
    except (KeyError, ValueError, TypeError):
        raise UserError(f"--calibrate: {mask} doesn't say how its P(cloud) was made; predict it anew") from None


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
