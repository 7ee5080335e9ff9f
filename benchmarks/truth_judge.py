"""Edge: every mask of the truth test held against the truth of the held-out archive, and against its buoys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import truth_bootstrap
import truth_scores
import truth_sst
from truth_labels import majority
from truth_pixels import SQUARES, HeldOut, count, read_held_out
from truth_stages import BY_PIXEL, CONTROL, TRUTH, Run, Study, runs

from jaxmask.maskfile import DEFAULT_THRESHOLD, read_mask
from jaxmask.matchup_table import read_table
from jaxmask.matchups import REQUIRED_COLUMNS, Table

SEED = 0  # of the bootstrap, and of the lots that order ties
LABEL, UNET, PIXELWISE, CEILING = "label", "U-Net", "pixelwise", "U-Net on truth"
AS_CLOUDY = ", as cloudy as the label"
CONTROL_LABEL, CONTROL_UNET = "control label", "U-Net on the control label"
NO_MASK, BEST = "no mask", "truth"
SMOOTHED = {side: f"label, {side} x {side}" for side in SQUARES}
BY_STRATUM = ((UNET + AS_CLOUDY, LABEL), (UNET + AS_CLOUDY, PIXELWISE + AS_CLOUDY))
OVERALL = (
    *((UNET, other) for other in (LABEL, *SMOOTHED.values(), PIXELWISE, CEILING)),
    *((other, LABEL) for other in (PIXELWISE, PIXELWISE + AS_CLOUDY, *SMOOTHED.values())),
)


@dataclass(frozen=True)
class RunScore:
    """One run: counts (scenes, strata, 4), the same with as much cloud as its label has; outputs at match-ups (N,); the
    share of pixels where it says what the control label says.
    """

    counts: np.ndarray
    as_cloudy: np.ndarray | None
    at_matchups: np.ndarray
    as_control: float


def judge(study: Study) -> dict[str, Any]:
    """Everything against truth, with intervals: the report but for what it was made with."""
    scenes = read_held_out({rule: study.held_out_shards(rule) for rule in study.labels}, study.held_out / "truth")
    weights = truth_bootstrap.draws(len(scenes), SEED)
    table = read_table(study.held_out / "sst_matchups.h5", REQUIRED_COLUMNS)
    places = truth_sst.find_places(table, [scene.product for scene in scenes])
    scores = {run: score_run(study, run, scenes, places) for run in runs(study)}
    return {
        "scenes": len(scenes),
        "pixels": int(sum(scene.counted.sum() for scene in scenes)),
        "replicates": len(weights) - 1,
        "labels": {rule: against_label(study, rule, scenes, scores, weights) for rule in study.labels},
        "control": against_control(study, scenes, scores, weights),
        "sst": against_buoys(study, scenes, scores, table, places, weights),
    }


def score_run(study: Study, run: Run, scenes: Sequence[HeldOut], places: truth_sst.Places) -> RunScore:
    """Read a run's masks and count; ValueError if one is not of its scene's size."""
    values = []
    for scene in scenes:
        path = run.masks(study) / f"{scene.product}.h5"
        mask = read_mask(path)
        if mask.probability.shape != scene.truth.shape or not mask.valid[scene.counted].all():
            raise ValueError(f"{path}: expected {scene.truth.shape} pixels, valid where judged; predict again")
        values.append(mask.probability)
    clouds = [value > DEFAULT_THRESHOLD for value in values]
    same = [(cloud == scene.control)[scene.counted] for cloud, scene in zip(clouds, scenes, strict=True)]
    as_cloudy = None
    if run.target in study.labels:
        cloudy = sum(int(scene.labels[run.target].cloud[scene.counted].sum()) for scene in scenes)
        judged = np.concatenate([value[scene.counted] for value, scene in zip(values, scenes, strict=True)])
        threshold = truth_scores.threshold_as_cloudy(judged, cloudy)
        as_cloudy = count_all(scenes, [value > threshold for value in values])
    counts = count_all(scenes, clouds)
    return RunScore(counts, as_cloudy, places.sample(values), round(float(np.concatenate(same).mean()), 6))


def count_all(scenes: Sequence[HeldOut], clouds: Sequence[np.ndarray]) -> np.ndarray:
    """Counts (scenes, strata, 4) of one mask over all scenes."""
    return np.stack([count(scene, cloud) for scene, cloud in zip(scenes, clouds, strict=True)])


def against_label(
    study: Study, rule: str, scenes: Sequence[HeldOut], scores: dict[Run, RunScore], weights: np.ndarray
) -> dict[str, Any]:
    """Shares of the masks that have to do with one label, and their differences."""
    labels = [scene.labels[rule] for scene in scenes]
    counts = {LABEL: [count_all(scenes, [label.cloud for label in labels])]}
    for side, name in SMOOTHED.items():
        counts[name] = [count_all(scenes, [majority(label.shares[side], label.cloud) for label in labels])]
    for name, network in ((PIXELWISE, BY_PIXEL), (UNET, "unet")):
        own = [scores[Run(network, rule, seed)] for seed in study.seeds]
        counts[name] = [score.counts for score in own]
        counts[name + AS_CLOUDY] = [score.as_cloudy for score in own if score.as_cloudy is not None]
    counts[CEILING] = [scores[Run("unet", TRUTH, seed)].counts for seed in study.seeds]
    return {
        "masks": truth_scores.table(counts, weights),
        "differences": truth_scores.differences(counts, BY_STRATUM, weights)
        | truth_scores.differences(counts, OVERALL, weights, ("all",)),
    }


def against_control(
    study: Study, scenes: Sequence[HeldOut], scores: dict[Run, RunScore], weights: np.ndarray
) -> dict[str, Any]:
    """The negative control: its label and the U-Net that learnt it, and how often the two agree."""
    counts = {
        CONTROL_LABEL: [count_all(scenes, [scene.control for scene in scenes])],
        CONTROL_UNET: [scores[Run("unet", CONTROL, seed)].counts for seed in study.seeds],
    }
    return {
        "masks": truth_scores.table(counts, weights),
        "differences": truth_scores.differences(counts, [(CONTROL_UNET, CONTROL_LABEL)], weights, ("all",)),
        "agreement": [scores[Run("unet", CONTROL, seed)].as_control for seed in study.seeds],
    }


def against_buoys(
    study: Study,
    scenes: Sequence[HeldOut],
    scores: dict[Run, RunScore],
    table: Table,
    places: truth_sst.Places,
    weights: np.ndarray,
) -> dict[str, Any]:
    """Cold tails at equal coverage."""
    judged = places.sample([scene.counted for scene in scenes]) == 1
    rows = truth_sst.eligible(table, places, judged)
    masks: dict[str, truth_sst.Scores] = {
        NO_MASK: [np.zeros(judged.size)],
        truth_sst.NADIR_ONLY: [np.asarray(table["pcloudn"], np.float64)],
    }
    for rule in study.labels:
        for side in SQUARES:
            shares = places.sample([scene.labels[rule].shares[side] for scene in scenes])
            masks[f"{rule}: {SMOOTHED[side]}"] = [shares]
        for name, network in ((PIXELWISE, BY_PIXEL), (UNET, "unet")):
            masks[f"{rule}: {name}"] = [scores[Run(network, rule, seed)].at_matchups for seed in study.seeds]
    masks[CEILING] = [scores[Run("unet", TRUTH, seed)].at_matchups for seed in study.seeds]
    masks[BEST] = [places.sample([scene.change_k for scene in scenes])]
    return truth_sst.judge(table, rows, masks, weights, SEED)
