"""Which mask belongs to a product that is named: its own, or one of the same granule that was processed otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxmask.split import granule_of


class Stand(NamedTuple):
    """The mask that stands in for a product of which there is none, and how many were of its granule."""

    product: str
    mask: str
    candidates: int


def assign_masks(products: Sequence[str], masks: Iterable[str]) -> tuple[list[str | None], list[Stand]]:
    """For each product's name that of its mask, None where there is none; and those that stand in for another.

    A product without a mask of its own gets that of its granule (same platform and sensing start), of several the one
    with the last name: names of one granule end in the times and versions of processing, so that is the latest.
    """
    own = sorted(masks)
    of_granule: dict[str, list[str]] = {}
    for mask in own:
        of_granule.setdefault(granule_of(mask), []).append(mask)
    assigned: list[str | None] = []
    stands = []
    for product in products:
        candidates = of_granule.get(granule_of(product), [])
        chosen = product if product in candidates else max(candidates, default=None)
        assigned.append(chosen)
        if chosen is not None and chosen != product:
            stands.append(Stand(product, chosen, len(candidates)))
    return assigned, stands
