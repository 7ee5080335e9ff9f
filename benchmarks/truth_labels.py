"""What the truth test puts beside the label: the label smoothed, and a label that is a fixed function of the channels.

Truth becomes a label here too, for the ceiling: in the benchmark's own copies of shards, which nothing else reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from jaxmask.truth import read_truth
from preprocess.files import writable_folder
from preprocess.scene import Scene
from preprocess.shard import find_shards, read_shard, write_shard

CLOUD = 255
# The control's tests, round numbers fixed before any score was seen: cold; white in S1 and not dark in S5, as snow is;
# by night, S7 below S8, as over water droplets.
COLD_K = 265.0
BRIGHT_S1, BRIGHT_S5 = 0.25, 0.15
S7_BELOW_S8_K = 1.0
S1, S5, S7, S8 = 0, 4, 0, 1

Target = Callable[[Scene], np.ndarray]  # a shard to where it is cloud, (H, W) bool


def control(refs: np.ndarray, bts: np.ndarray) -> np.ndarray:
    """The negative control's label, (H, W) bool, of reflectances (H, W, 6) and temperatures (H, W, 3), K.

    Nothing that a network of the nine channels could not know: it has no errors that more pixels would average away.
    """
    cold = bts[..., S8] < COLD_K
    bright = (refs[..., S1] > BRIGHT_S1) & (refs[..., S5] > BRIGHT_S5)
    droplets = bts[..., S7] < bts[..., S8] - S7_BELOW_S8_K
    return cold | bright | droplets


def cloud_share(cloud: np.ndarray, known: np.ndarray, size: int) -> np.ndarray:
    """Share of cloud among the known pixels of each pixel's square of `size` x `size`, (H, W) float64; 0 without any.

    cloud, known: (H, W) bool; beyond the border nothing is known. Sums are of whole numbers, so they are exact.
    """
    found, of = (_square_sums(part, size) for part in (cloud & known, known))
    return np.divide(found, of, out=np.zeros(cloud.shape), where=of > 0)


def _square_sums(pixels: np.ndarray, size: int) -> np.ndarray:
    ones = np.ones(size)
    rows = ndimage.correlate1d(pixels.astype(np.float64), ones, 0, mode="constant")
    return np.asarray(ndimage.correlate1d(rows, ones, 1, mode="constant"))


def majority(share: np.ndarray, cloud: np.ndarray) -> np.ndarray:
    """Cloud where more than half of a square is, and where just half is, as it was: the label smoothed, bool."""
    return np.where(share == 0.5, cloud, share > 0.5)


def relabel(shards: Path, output: Path, rule: str, target: Target) -> int:
    """Write the labelled shards of a folder into another, cloud where `target` says; the shards written.

    Where the label was computed stays as it is, so that all networks learn from the same pixels. Those there already
    are kept.
    """
    written = 0
    for path in find_shards(shards):
        copy = writable_folder(output / path.parent.name) / path.name
        if copy.exists():
            continue
        scene = read_shard(path)
        if scene.info.labelled:
            bayes = np.where(target(scene), CLOUD, 0).astype(np.uint8)[..., None]
            info = replace(scene.info, label_rule=rule, class_pixels=(), class_cloud=())
            write_shard(copy, replace(scene, bayes=bayes, info=info))
            written += 1
    return written


def truth_target(folder: Path) -> Target:
    """Cloud where the truth has it; ValueError for a product without truth or of another size."""

    def target(scene: Scene) -> np.ndarray:
        truth = read_truth(folder, scene.info.product)
        if truth is None or truth.cloud.shape != scene.bts.shape[:2]:
            raise ValueError(f"{folder}: no truth of {scene.info.product} and its size")
        return truth.cloud

    return target


def control_target(scene: Scene) -> np.ndarray:
    """Cloud where the negative control's tests say so."""
    return control(scene.refs, scene.bts)
