"""Edge: how far one mask of the benchmark's inference set agrees with its product's label."""

from __future__ import annotations

from pathlib import Path

from jaxmask.cloudmask_run import Agreement
from jaxmask.maskfile import read_mask
from jaxmask.scores import is_measured
from preprocess.errors import UserError
from preprocess.shard import read_info, read_window

NEEDED = ("bayes", "valid", "label_valid", "measured")


def agreement_of(mask: Path, shard: Path) -> Agreement:
    """Count where mask and label agree, of the pixels that are valid, labelled and measured: none if never labelled.

    Raises UserError if either can't be read, or they are of different sizes.
    """
    found, info = read_mask(mask), read_info(shard)
    window = read_window(shard, slice(None), slice(None), NEEDED)
    arrays = {name: array.reshape(array.shape[:2]) for name, array in window.items()}
    if found.probability.shape != arrays["bayes"].shape:
        raise UserError(
            f"{mask} is {found.probability.shape} pixels, its shard {shard} {arrays['bayes'].shape}: "
            "it is of another shard; remove it and run again"
        )
    labelled = (arrays["label_valid"] > 0) & info.labelled  # published shards don't say it pixel by pixel
    counted = labelled & (arrays["valid"] > 0) & is_measured(arrays["measured"]) & found.valid
    equal = (found.probability > found.threshold) == (arrays["bayes"] > 0)
    return Agreement(shard.stem, int(counted.sum()), int((counted & equal).sum()))
