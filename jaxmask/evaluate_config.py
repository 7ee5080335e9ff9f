"""Edge: the flags of evaluate, with their bounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from preprocess.errors import UserError
from preprocess.flags import Parallel, check


@dataclass(frozen=True)
class EvaluateConfig(Parallel):
    """Judge masks against the labels of their shards, and against the truth where an archive is simulated."""

    shards: Positional[Annotated[Path, arg(metavar="SHARDS")]]
    """Folder of shards that hold the labels."""
    predictions: Positional[Annotated[Path, arg(metavar="PREDICTIONS")]]
    """Folder of masks; evaluation.json and evaluation.csv are written there."""
    model: Path | None = None
    """Model folder, whose split says which products were trained on."""
    truth: Path | None = None
    """Folder of a simulated archive's truth."""
    matchups: Path | None = None
    """Table of match-ups; with --truth, their statistics under a perfect mask are added."""
    part: Literal["test", "validation", "train", "all"] | None = None
    """Products to judge: by default the test part, of --model, or as the masks say themselves; all if neither knows of
    one, with the records of each part that is known beside those of all together."""
    threshold: float | None = None
    """A pixel is cloud where the mask exceeds this; by default the mask file's own."""
    cosmetic: bool = False
    """Count pixels of which S8 or S9 was not measured (copies of a neighbour) everywhere, not only by themselves."""
    calibrate: bool = False
    """Fit slope and intercept of P(cloud) to the labels of the validation part, and store them with --model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.threshold is None or 0 < self.threshold < 1, "threshold", "between 0 and 1", self.threshold)
        check(self.matchups is None or self.truth is not None, "matchups", "given with --truth", self.matchups)
        if self.calibrate and self.model is None:
            raise UserError("--calibrate needs the model that the fit is of: give its folder by --model")
        if self.calibrate and self.part not in (None, "validation", "all"):
            raise UserError(f"--calibrate fits to the validation part; --part {self.part} leaves it out: leave one out")
