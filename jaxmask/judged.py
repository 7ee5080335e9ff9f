"""One product that was judged: its counts, and what its mask says of itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jaxmask.probability import LogitLine
from jaxmask.split import PARTS
from jaxmask.tally import Stratum, Tally


@dataclass(frozen=True)
class MaskNotes:
    """What a mask's file says of it. part: its product's, of the split of the model that made it; "none" if unknown."""

    model: str
    part: str
    threshold: float
    quantity: str  # "q", the network's output, or "P"
    buffer: int  # pixels
    flips: bool
    line: LogitLine | None  # from the logit of what it stores to that of P(cloud), by theory; None: unknown


@dataclass(frozen=True, eq=False)
class JudgedProduct:
    """One product's counts by stratum. part: of the split of --model, else as the mask says."""

    product: str
    part: str
    labelled: bool
    with_truth: bool
    notes: MaskNotes
    row: dict[str, Any]  # the product's line of evaluation.json
    tallies: dict[Stratum, Tally]

    def without_tallies(self) -> JudgedProduct:
        """The same without its counts, which take megabytes."""
        return replace(self, tallies={})

    @property
    def parts(self) -> set[str]:
        """The parts that it is of, by the model that is named and by the one that made the mask."""
        return {self.part, self.notes.part} - {"none"}

    @property
    def seen(self) -> str:
        """The part that tells most against it: "train" if either model says so."""
        return next((part for part in PARTS if part in self.parts), "none")
