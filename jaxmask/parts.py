"""Which part of a model's split a product belongs to, so that what was trained on is not judged as if it were new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from jaxmask.split import granule_of

Part = Literal["train", "test", "none"]


def part_finder(train: Sequence[str], test: Sequence[str]) -> Callable[[str], Part]:
    """A function from a product's name to its part.

    A copy of a granule (same platform and sensing start) that was trained on counts as trained on; a product of
    neither part, or of a model that doesn't say what it learnt from, as "none".
    """
    parts: dict[str, Part] = {granule_of(name): "test" for name in test}
    parts |= {granule_of(name): "train" for name in train}
    return lambda name: parts.get(granule_of(name), "none")
