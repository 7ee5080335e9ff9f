"""Edge: which shards of a folder can be trained on, and whether they go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py

from jaxmask.split import Split
from preprocess.calibration import nadir_calibration
from preprocess.command import Failure, log
from preprocess.errors import UserError
from preprocess.labels import add_counts, constant_warnings, recorded_counts
from preprocess.pool import map_items
from preprocess.scene import SceneInfo
from preprocess.shard import find_shards, read_info

NAMED_AT_MOST = 5
MUST_AGREE = ("convention", "calibration", "regridding")
# What differs in labels is refused unless --mix says so: attribute, its word there, and its words in a message.
MAY_MIX = (("label_rule", "labels", "label rule"), ("collection", "baselines", "baseline collection"))


@dataclass(frozen=True)
class TrainShard:
    """One labelled shard: where it is, what it says of itself, and its size in pixels."""

    path: Path
    info: SceneInfo
    height: int
    width: int

    @property
    def name(self) -> str:
        """The product's name, by which it is split."""
        return self.info.product


@dataclass(frozen=True)
class TrainingSet:
    """The labelled shards, sorted by name and of one kind, with what was left out and why."""

    shards: tuple[TrainShard, ...]
    unlabelled: tuple[str, ...]
    failures: tuple[Failure, ...]

    def kind(self, attribute: str) -> str:
        """What all shards are in this attribute of SceneInfo; where they may differ, each of their kinds, sorted."""
        return ", ".join(sorted({_kind(shard, attribute) for shard in self.shards}))

    @property
    def names(self) -> tuple[str, ...]:
        """The products' names, sorted."""
        return tuple(shard.name for shard in self.shards)

    def part(self, names: Sequence[str]) -> tuple[TrainShard, ...]:
        """The shards of the products `names`, sorted."""
        wanted = set(names)
        return tuple(shard for shard in self.shards if shard.name in wanted)

    def parts(self, split: Split) -> tuple[tuple[TrainShard, ...], tuple[TrainShard, ...], tuple[TrainShard, ...]]:
        """The shards to train on, those of validation and those to test on."""
        return self.part(split.train), self.part(split.validation), self.part(split.test)


def open_training_set(folder: Path, patch_size: int, mix: str = "none", *, quiet: bool = False) -> TrainingSet:
    """Return the shards of `folder` that can be trained on.

    Unlabelled products are left out with a notice, unreadable files with a warning that names them: they are the
    result's `failures`. A label that never changes over a kind of surface is warned of. Raises UserError if nothing
    labelled remains, if two shards differ in a MUST_AGREE attribute, or in a MAY_MIX one that `mix` (TrainConfig.mix)
    leaves out, or share a product's name, or if one is smaller than a patch.
    """
    readable: list[TrainShard] = []
    failures: list[Failure] = []
    for outcome in map_items(_open, find_shards(folder), workers=0, label="look at", unit="shards", quiet=quiet):
        if outcome.value is None:
            failures.append(Failure(str(outcome.item), outcome.error or "unknown"))
        else:
            readable.append(outcome.value)
    for failure in failures:
        log.warning("left out: %s: %s", failure.item, failure.error)
    unlabelled = sorted(shard.name for shard in readable if not shard.info.labelled)
    labelled = sorted((shard for shard in readable if shard.info.labelled), key=lambda shard: shard.name)
    if unlabelled:
        log.info("left out, never labelled (%d): %s", len(unlabelled), _some(unlabelled))
    if not labelled:
        raise UserError(_none_labelled(folder, unlabelled, failures))
    _check_agreement(labelled)
    _check_mix(labelled, mix)
    _check_names(labelled)
    _check_sizes(labelled, patch_size)
    for warning in constant_warnings(add_counts(recorded_counts(shard.info) for shard in labelled)):
        log.warning("%s", warning)
    return TrainingSet(tuple(labelled), tuple(unlabelled), tuple(failures))


def _open(path: Path) -> TrainShard:
    info = read_info(path)
    with h5py.File(path, "r") as file:
        height, width = file["bts"].shape[:2]
    return TrainShard(path, info, height, width)


def _none_labelled(folder: Path, unlabelled: Sequence[str], failures: Sequence[Failure]) -> str:
    found = [f"{len(unlabelled)} never labelled ({_some(unlabelled)})"] if unlabelled else []
    found += [f"{len(failures)} unreadable ({failures[0].item}: {failures[0].error})"] if failures else []
    return (
        f"{folder}: training needs products with a Bayesian label; found {' and '.join(found)}: "
        "convert products whose bayes_in was computed"
    )


def _kind(shard: TrainShard, attribute: str) -> str:
    found = str(getattr(shard.info, attribute)) or "unknown"
    return nadir_calibration(found) if attribute == "calibration" else found  # networks see the nadir view alone


def _odd_one(shards: Sequence[TrainShard], attribute: str) -> tuple[TrainShard, str, str] | None:
    """The first shard that differs from shards[0] in `attribute`, what it is, and what the other is."""
    expected = _kind(shards[0], attribute)
    kinds = ((shard, _kind(shard, attribute)) for shard in shards)
    return next(((shard, found, expected) for shard, found in kinds if found != expected), None)


def _check_agreement(shards: Sequence[TrainShard]) -> None:
    for attribute in MUST_AGREE:
        if (odd := _odd_one(shards, attribute)) is not None:
            shard, found, expected = odd
            raise UserError(
                f"{shard.path} has {attribute} {found}, but {shards[0].path} has {expected}: "
                "a model learns one kind of input; convert all products alike or keep them in separate folders"
            )


def _check_mix(shards: Sequence[TrainShard], mix: str) -> None:
    for attribute, word, told in MAY_MIX:
        odd = _odd_one(shards, attribute)
        if odd is not None and mix not in (word, "all"):
            shard, found, expected = odd
            raise UserError(
                f"{shard.path} has {told} {found}, but {shards[0].path} has {expected}: labels of several kinds are "
                f"learnt as one; convert all products alike, keep them in separate folders, or mix them by "
                f"--mix {word if mix == 'none' else 'all'}"
            )


def _check_names(shards: Sequence[TrainShard]) -> None:
    for one, other in pairwise(shards):
        if one.name == other.name:
            raise UserError(f"{one.path} and {other.path} are both product {one.name}: remove one of them")


def _check_sizes(shards: Sequence[TrainShard], patch_size: int) -> None:
    for shard in shards:
        if min(shard.height, shard.width) < patch_size:
            raise UserError(
                f"{shard.path} has {shard.height} x {shard.width} pixels, too few for a patch of {patch_size}: "
                f"choose --patch-size {min(shard.height, shard.width) // 8 * 8} or less"
            )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more
