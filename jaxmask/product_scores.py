"""Edge: one product's mask held against its label and, in a simulated archive, against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxmask.maskfile import Mask, product_info, read_mask
from jaxmask.scores import Counts, confusion, countable, strata
from jaxmask.truth import fit_truth, read_truth
from preprocess.errors import UserError
from preprocess.scene import SceneInfo
from preprocess.shard import read_info, read_window

NEEDED = ("bayes", "valid", "label_valid", "measured", "flags")

Key = tuple[str, str, str]  # mask, against, stratum


@dataclass(frozen=True)
class Job:
    """One product to judge. threshold: instead of the mask's own; part: of the model's split."""

    mask: Path
    shard: Path
    truth: Path | None
    threshold: float | None
    part: str


@dataclass(frozen=True)
class ProductScore:
    """One product's counts by (mask, against, stratum)."""

    product: str
    part: str
    day: bool
    labelled: bool
    model: str
    counts: dict[Key, Counts]

    def row(self) -> dict[str, Any]:
        """The product's line of evaluation.json."""
        counts = self.counts["unet", "label", "all"]
        total = counts.total

        def share(pixels: int) -> float | None:
            return pixels / total if total else None

        return {
            "product": self.product,
            "part": self.part,
            "day": self.day,
            "count": total,
            "label_cloud_share": share(counts.true_positive + counts.false_negative),
            "mask_cloud_share": share(counts.true_positive + counts.false_positive),
            "disagreement": share(counts.false_positive + counts.false_negative),
        }


def score_product(job: Job) -> ProductScore:
    """Count one product's pixels where mask, label and (if there) truth can be compared.

    Counted are pixels that are valid, labelled, measured in S8 and S9, and valid in the mask: none of a product that
    was never labelled. Raises UserError if mask, shard and truth are not of one grid.
    """
    mask, info = read_mask(job.mask), read_info(job.shard)
    shard = read_window(job.shard, slice(None), slice(None), NEEDED)
    height, width = _common_size(job, mask, info, shard["flags"].shape)
    window = {name: array[:height, :width].reshape(height, width) for name, array in shard.items()}
    counted = countable(window["valid"], window["label_valid"], window["measured"]) & mask.valid[:height, :width]
    counted &= info.labelled  # the original's shards don't say it pixel by pixel
    threshold = mask.threshold if job.threshold is None else job.threshold
    cloud, label = mask.probability[:height, :width] > threshold, window["bayes"] > 0
    pairs = {("unet", "label"): (cloud, label)}
    truth = _truth(job, info, height, width)
    if truth is not None:
        pairs |= {("unet", "truth"): (cloud, truth), ("bayes", "truth"): (label, truth)}
    counts = {
        (*pair, stratum): confusion(said, target, counted & where)
        for stratum, where in strata(window["flags"]).items()
        for pair, (said, target) in pairs.items()
    }
    model = str(mask.attributes.get("model", "unknown"))
    return ProductScore(info.product, job.part, info.day, info.labelled, model, counts)


def _common_size(job: Job, mask: Mask, info: SceneInfo, shard_size: tuple[int, ...]) -> tuple[int, int]:
    """Native grids of any size share their top left corner; those of the reference convention must be equal."""
    size = mask.probability.shape
    convention = product_info(mask).get("convention", "reference" if size == shard_size else "unknown")
    if info.convention == "native" and convention in ("native", "unknown"):
        return min(size[0], shard_size[0]), min(size[1], shard_size[1])
    if size != shard_size or (convention != info.convention and "product" in mask.attributes):
        raise UserError(
            f"{job.mask} ({convention}, {size[0]} x {size[1]}) is not on the grid of {job.shard} "
            f"({info.convention}, {shard_size[0]} x {shard_size[1]}); predict from that shard"
        )
    return size


def _truth(job: Job, info: SceneInfo, height: int, width: int) -> np.ndarray | None:
    truth = read_truth(job.truth, info.product) if job.truth else None
    if truth is None:
        return None
    if info.convention != "native" and truth.cloud.shape != (height, width):
        raise UserError(
            f"{job.shard}: its images are stretched to {height} x {width}, the truth is {truth.cloud.shape[0]} x "
            f"{truth.cloud.shape[1]}; judge against truth in the native convention"
        )
    return fit_truth(truth.cloud, height, width)
