"""Edge: one model or several of one kind of input, which predict as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from jaxmask.averaging import averaged, combined_digest
from jaxmask.checkpoint import Which
from jaxmask.model import Model, load_model
from jaxmask.network import Backend, Network, Precision, open_network
from jaxmask.probability import ProbabilityFit, chosen_fit, missing_fit
from jaxmask.split import PARTS, Split
from preprocess.command import log
from preprocess.errors import UserError

# In what all members must agree, or the mean of their logits means nothing, and its words for people.
SHARED = {
    "convention": "input convention",
    "calibration": "calibration of the input",
    "regridding": "regridding of the input",
    "positive_weight": "weight of cloud in the loss",
}


def load_models(path: Path, others: Sequence[Path] = (), checkpoint: Which = "latest") -> tuple[Model, ...]:
    """Read the model that leads, and the others of its ensemble; features may differ.

    Raises UserError as `load_model`, and naming the member that takes another kind of input than the first, has
    another weight of cloud in its loss, or is a copy of an earlier one.
    """
    models = [load_model(each, checkpoint) for each in (path, *others)]
    for place, model in enumerate(models):
        _check_member(model, models[:place])
    return tuple(models)


def ensemble_digest(models: Sequence[Model]) -> str:
    """Return what names these models together; of one model, its digest."""
    return combined_digest([model.digest for model in models])


def joint_split(models: Sequence[Model]) -> Split:
    """Return the products of each part of any member; a product of several parts is in all of them.

    `part_finder` takes such a product as trained on if any member was.
    """
    names = {part: sorted({name for model in models for name in getattr(model.split, part)}) for part in PARTS}
    return Split(**{part: tuple(found) for part, found in names.items()})


def open_networks(
    models: Sequence[Model], *, flips: bool = False, backend: Backend = "jax", precision: Precision = "float32"
) -> Network:
    """Put all members on the devices: the network of the mean of their logits, over mirror images too if `flips`."""
    networks = [open_network(model, backend, precision) for model in models]
    return Network(averaged([network.logits for network in networks], flips), networks[0].devices)


def probability_fit(models: Sequence[Model], *, flips: bool) -> ProbabilityFit | None:
    """Return what `evaluate --calibrate` fitted for these models together, with or without `flips`.

    None where there is no such fit; a warning tells if there is one of other parameters or flips.
    """
    fits = list(chain.from_iterable(model.probability_fits for model in models))
    digest = ensemble_digest(models)
    fit = chosen_fit(fits, digest, flips)
    if fit is None and (reason := missing_fit(fits, digest, flips)):
        log.warning("warning: %s: %s", models[0].source, reason)
    return fit


def _check_member(model: Model, earlier: Sequence[Model]) -> None:
    for other in earlier:
        if model.digest == other.digest:
            raise UserError(f"--ensemble: {model.source} is the same model as {other.source}; leave one of them out")
    for name, words in SHARED.items():
        if earlier and getattr(model, name) != getattr(earlier[0], name):
            raise UserError(
                f"--ensemble: {model.source} has another {words} ({getattr(model, name)}) than {earlier[0].source} "
                f"({getattr(earlier[0], name)}); the members of an ensemble must agree in it: leave it out"
            )
