"""Which part of a model's split a product belongs to, so that what was trained on is not judged as if it were new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jaxmask.split import Split, granule_of

Part = Literal["train", "validation", "test", "none"]


def part_finder(split: Split) -> Callable[[str], Part]:
    """A function from a product's name to its part.

    A copy of a granule (same platform and sensing start) counts as trained on if any was, else as seen in validation
    if any was; a product of no part, or of a model that doesn't say what it learnt from, as "none".
    """
    parts: dict[str, Part] = {granule_of(name): "test" for name in split.test}
    parts |= {granule_of(name): "validation" for name in split.validation}
    parts |= {granule_of(name): "train" for name in split.train}
    return lambda name: parts.get(granule_of(name), "none")
