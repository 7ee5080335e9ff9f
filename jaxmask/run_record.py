"""What the stages of one run left, gathered in one value for its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.scene import SceneInfo

Record = Mapping[str, Any]
FOLDERS = ("archive", "extracted", "hdf", "model", "predictions")


@dataclass(frozen=True)
class Places:
    """Where the parts of a run lie."""

    run: Path
    archive: Path
    extracted: Path
    hdf: Path
    model: Path
    predictions: Path


@dataclass(frozen=True)
class StageFailure:
    """One item that a stage could not do, and why; or a file that the report could not read."""

    stage: str
    item: str
    reason: str


@dataclass(frozen=True)
class Run:
    """What the stages left; None or empty where a stage has not run."""

    places: Places
    archived: int | None  # zips
    extracted: int | None  # .SEN3 folders
    shards: Mapping[str, Path]  # by product
    infos: Mapping[str, SceneInfo]  # by product
    masks: Mapping[str, Path]  # by product
    mask_attributes: Record  # of the first mask: quantity, threshold, model; empty without one
    config: Record | None
    history: tuple[Record, ...]  # an epoch each
    results: Record | None
    sst: Record | None
    evaluation: Record | None
    matchups: Mapping[str, np.ndarray] | None  # columns (N,) of the rows with a mask
    failures: tuple[StageFailure, ...]  # of the stages
    unread: tuple[StageFailure, ...]  # of the reading
    inference: tuple[Record, ...] = ()  # what each process of the last inference took
    products: frozenset[str] = frozenset()  # names of what lies in archive and extracted
