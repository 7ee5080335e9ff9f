"""Edge: warnings of how masks were found for match-ups: what a user should know before believing the statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxmask.granules import Stand
from jaxmask.place_offset import is_displaced, offset_lines
from preprocess.command import log

MADE = ("model", "quantity", "threshold", "part")
Made = tuple[str, str, float, str]  # of a mask, these attributes
COMMON = MADE[:3]  # what all masks should have in common
SEEN = "train"


def warn_of_pixels(outside: int, offset: dict[str, Any], made: list[Made]) -> None:
    """Warn of masks of several runs, of rows outside their mask, and of displaced ones."""
    differing = [name for name, values in zip(COMMON, zip(*made, strict=True), strict=False) if len(set(values)) > 1]
    if differing:
        log.warning("warning: these masks are of more than one %s; statistics mix them", " and ".join(differing))
    if outside:
        log.warning("warning: %d match-ups lie beyond their mask's pixels; excluded", outside)
    if is_displaced(offset):
        told = "".join(offset_lines(offset)).replace("  ", " ")
        log.warning("warning: %s; --locate says which of the two counts", told)


def warn_of_seen(made: Sequence[Mapping[str, Any]]) -> None:
    """Warn of masks of products that their model was trained on; made: `part` and how many `masks` are so."""
    seen = sum(record["masks"] for record in made if record["part"] == SEEN)
    if seen:
        log.warning(
            "warning: the model was trained on the products of %d of these %d masks, which may flatter it; for "
            "the others alone give a folder of their masks",
            seen,
            sum(record["masks"] for record in made),
        )


def warn_of_stands(stands: Sequence[Stand]) -> None:
    """Warn of masks that stand in for others of their granule."""
    if not stands:
        return
    first = stands[0]
    log.warning(
        "warning: %d products without a mask are judged by one of the same sensing start that was processed otherwise, "
        "such as %s by %s",
        len(stands),
        first.product,
        first.mask,
    )
    several = [stand for stand in stands if stand.candidates > 1]
    if several:
        log.warning(
            "warning: for %d of them there are several such masks; the last by name is taken, for %s of %d",
            len(several),
            several[0].product,
            several[0].candidates,
        )
