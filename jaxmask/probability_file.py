"""Edge: a model's fits of probability, `probability.json` in its folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from jaxmask.probability import ProbabilityFit
from preprocess.errors import UserError
from preprocess.files import write_json

PROBABILITY_NAME = "probability.json"
FORMAT = "jaxmask probability, version 1"


def read_fits(folder: Path) -> tuple[ProbabilityFit, ...]:
    """Read the fits of a model folder, of whatever parameters; none if it has no such file.

    Raises UserError if the file is no such record.
    """
    path = folder / PROBABILITY_NAME
    if not path.exists():
        return ()
    try:
        record = json.loads(path.read_text())
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']!r}, not {FORMAT!r}")
        return tuple(_fit(each) for each in record["fits"])
    except (OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: expected the record that jaxmask.evaluate --calibrate writes, found another "
            f"({type(error).__name__}: {error}); remove it, and calibrate again"
        ) from error


def store_fit(folder: Path, fit: ProbabilityFit) -> Path:
    """Write `fit` beside the others of the folder, in place of an earlier one of the same parameters and averaging."""
    kept = [each for each in read_fits(folder) if (each.model, each.flips) != (fit.model, fit.flips)]
    write_json(
        folder / PROBABILITY_NAME, {"format": FORMAT, "fits": [dataclasses.asdict(each) for each in [*kept, fit]]}
    )
    return folder / PROBABILITY_NAME


def _fit(record: dict[str, Any]) -> ProbabilityFit:
    names = record["products"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("'products' must be a list of names")
    return ProbabilityFit(
        slope=float(record["slope"]),
        intercept=float(record["intercept"]),
        model=str(record["model"]),
        flips=bool(record["flips"]),
        products=tuple(names),
        pixels=int(record["pixels"]),
        cloud_pixels=int(record["cloud_pixels"]),
    )
