"""Edge: which shards of a folder can be trained on, and whether they go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py

from jaxmask.split import Split
from preprocess.command import Failure, log
from preprocess.errors import UserError
from preprocess.pool import map_items
from preprocess.scene import SceneInfo
from preprocess.shard import find_shards, read_info

NAMED_AT_MOST = 5
MUST_AGREE = ("convention", "calibration", "regridding", "label_rule")


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

    @property
    def info(self) -> SceneInfo:
        """The attributes of the first shard; those in MUST_AGREE are all shards'."""
        return self.shards[0].info

    @property
    def names(self) -> tuple[str, ...]:
        """The products' names, sorted."""
        return tuple(shard.name for shard in self.shards)

    def part(self, names: Sequence[str]) -> tuple[TrainShard, ...]:
        """The shards of the products `names`, sorted."""
        wanted = set(names)
        return tuple(shard for shard in self.shards if shard.name in wanted)

    def parts(self, split: Split) -> tuple[tuple[TrainShard, ...], tuple[TrainShard, ...]]:
        """The shards to train on and those to test on."""
        return self.part(split.train), self.part(split.test)


def open_training_set(folder: Path, patch_size: int, *, quiet: bool = False) -> TrainingSet:
    """Return the shards of `folder` that can be trained on.

    Unlabelled products are left out with a notice, unreadable files with a warning that names them: they are the
    result's `failures`. Raises UserError if nothing labelled remains, if two shards differ in a MUST_AGREE attribute or
    share a product's name, or if one is smaller than a patch.
    """
    readable: list[TrainShard] = []
    failures: list[Failure] = []
    for outcome in map_items(_open, find_shards(folder), workers=0, label="shards", quiet=quiet):
        if outcome.value is None:
            failures.append(Failure(str(outcome.item), outcome.error or "unknown"))
        else:
            readable.append(outcome.value)
    for failure in failures:
        log.warning("left out: %s: %s", failure.item, failure.error)
    unlabelled = sorted(shard.name for shard in readable if not shard.info.labelled)
    labelled = sorted((shard for shard in readable if shard.info.labelled), key=lambda shard: shard.name)
    if unlabelled:
        log.info("left out, never labelled: %d products: %s", len(unlabelled), _some(unlabelled))
    if not labelled:
        raise UserError(_none_labelled(folder, unlabelled, failures))
    _check_agreement(labelled)
    _check_names(labelled)
    _check_sizes(labelled, patch_size)
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


def _check_agreement(shards: Sequence[TrainShard]) -> None:
    first = shards[0]
    for name in MUST_AGREE:
        for shard in shards:
            expected, found = getattr(first.info, name), getattr(shard.info, name)
            if found != expected:
                raise UserError(
                    f"{shard.path} has {name.replace('_', ' ')} {found}, but {first.path} has {expected}: "
                    "a model learns one kind of input; convert all products alike or keep them in separate folders"
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
