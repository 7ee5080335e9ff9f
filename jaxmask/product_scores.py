"""Edge: one product's mask held against its label and, in a simulated archive, against the truth: counts by stratum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import cos, radians
from pathlib import Path
from typing import Any

import numpy as np

from jaxmask import strata
from jaxmask.judged import JudgedProduct, MaskNotes
from jaxmask.maskfile import Mask, product_info, read_mask
from jaxmask.probability import shown_line
from jaxmask.score_bins import bin_index
from jaxmask.scores import is_measured, share
from jaxmask.strata import ALL, Classes, flag_words, tally_classes, tally_words
from jaxmask.sun import cos_sun_zenith
from jaxmask.tally import UNKNOWN, Pixels, Tally, empty
from jaxmask.truth import fit_truth, read_sky, read_truth
from preprocess.errors import UserError
from preprocess.scene import SceneInfo
from preprocess.shard import read_info, read_window

NEEDED = ("bayes", "valid", "label_valid", "measured", "flags", "latitude", "longitude")


@dataclass(frozen=True)
class Job:
    """One product to judge. threshold: instead of the mask's own; part: of the model's split; cosmetic: count pixels
    that are not measured, too.
    """

    mask: Path
    shard: Path
    truth: Path | None
    threshold: float | None
    part: str
    cosmetic: bool = False


def score_product(job: Job) -> JudgedProduct:
    """Count one product's pixels where mask, label and (if there) truth can be compared.

    Counted are pixels that are valid, labelled, and valid in the mask: none of a product that was never labelled; those
    not measured in S8 and S9 (cosmetic) only in a stratum of their own, unless the job says otherwise. Raises UserError
    if mask, shard and truth are not of one grid.
    """
    mask, info = read_mask(job.mask), read_info(job.shard)
    shard = read_window(job.shard, slice(None), slice(None), NEEDED)
    height, width = _common_size(job, mask, info, shard["flags"].shape)
    window = {name: array[:height, :width].reshape(height, width) for name, array in shard.items()}
    counted = (window["valid"] > 0) & (window["label_valid"] > 0) & mask.valid[:height, :width]
    counted &= info.labelled  # the original's shards don't say it pixel by pixel
    truth = _truth(job, info, height, width)
    pixels = _pixels(mask.probability[:height, :width], window["bayes"] > 0, truth, counted, _threshold(job, mask))
    measured = is_measured(window["measured"])[counted]
    cosine = _cos_sun_zenith(info, window)
    near = np.zeros_like(measured) if cosine is None else cosine[counted] > cos(radians(strata.TWILIGHT_UNTIL_DEG))
    words = flag_words(window["flags"][counted], measured, near)
    tallies = tally_words(pixels, words, cosmetic=job.cosmetic)
    kept = measured | job.cosmetic
    for classes in _classes(job, info, window, counted, truth, cosine):
        tallies |= tally_classes(pixels, classes, counted, kept)
    return JudgedProduct(
        product=info.product,
        part=job.part,
        labelled=info.labelled,
        with_truth=truth is not None,
        notes=_notes(job, mask),
        row=_row(job, info, tallies.get(ALL, empty()), truth is not None),
        tallies=tallies,
    )


def _row(job: Job, info: SceneInfo, tally: Tally, with_truth: bool) -> dict[str, Any]:
    counts = tally.counts("unet", "label")
    total = counts.total
    row = {
        "product": info.product,
        "part": job.part,
        "day": info.day,
        "count": total,
        "label_cloud_share": share(counts.true_positive + counts.false_negative, total),
        "mask_cloud_share": share(counts.true_positive + counts.false_positive, total),
        "disagreement": share(counts.false_positive + counts.false_negative, total),
    }
    if with_truth:
        for mask, name in (("unet", "accuracy"), ("bayes", "label_accuracy")):
            against = tally.counts(mask, "truth")
            row[name] = share(against.true_positive + against.true_negative, against.total)
    return row


def _pixels(
    values: np.ndarray, label: np.ndarray, truth: np.ndarray | None, counted: np.ndarray, threshold: float
) -> Pixels:
    chosen = values[counted]
    return Pixels(
        truth=np.full(chosen.shape, UNKNOWN, np.uint8) if truth is None else truth[counted].view(np.uint8),
        label=label[counted].view(np.uint8),
        cloud=(chosen > threshold).view(np.uint8),
        bin=bin_index(chosen),
    )


def _classes(
    job: Job,
    info: SceneInfo,
    window: dict[str, np.ndarray],
    counted: np.ndarray,
    truth: np.ndarray | None,
    cosine: np.ndarray | None,
) -> Iterator[Classes]:
    """All dimensions but the flags', as far as something is known of them; one at a time in memory."""
    height, width = counted.shape
    if cosine is not None:
        yield strata.sun_classes(cosine)
    yield strata.latitude_classes(window["latitude"])
    yield strata.edge_classes(strata.LABEL_EDGE, window["bayes"] > 0, counted)
    if truth is None or job.truth is None:
        return
    yield strata.edge_classes(strata.TRUTH_EDGE, truth, window["valid"] > 0)
    sky = read_sky(job.truth, info.product)
    if sky is not None:
        yield strata.kind_classes(fit_truth(sky.kind, height, width), sky.kinds)
        yield strata.depth_classes(fit_truth(sky.amount, height, width))


def _cos_sun_zenith(info: SceneInfo, window: dict[str, np.ndarray]) -> np.ndarray | None:
    """(H, W) float32, NaN where the position is; None if the product's time is unknown."""
    try:
        time = datetime.fromisoformat(info.start_time.replace("Z", "+00:00"))
    except ValueError:
        return None
    start_s = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return cos_sun_zenith(start_s, window["latitude"], window["longitude"])


def _threshold(job: Job, mask: Mask) -> float:
    return mask.threshold if job.threshold is None else job.threshold


def _notes(job: Job, mask: Mask) -> MaskNotes:
    found = mask.attributes
    try:
        line = shown_line(found, None)
    except KeyError:
        line = None
    return MaskNotes(
        model=str(found.get("model", "unknown")),
        part=str(found.get("part", "none")),
        threshold=_threshold(job, mask),
        quantity=str(found.get("quantity", "q")),
        buffer=int(found.get("buffer", 0)),
        flips=bool(found.get("flips", False)),
        line=line,
    )


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
