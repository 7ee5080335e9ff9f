"""Where each patch lies: the centred grids over the shards, numbered through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jaxmask.tiles import patch_origins


class Sized(Protocol):
    """What of a shard is needed to lay patches over it."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def name(self) -> str:
        """Its product."""

    @property
    def height(self) -> int:
        """In pixels."""

    @property
    def width(self) -> int:
        """In pixels."""


@dataclass(frozen=True)
class PatchIndex:
    """Products in the order given, each product's patches row by row."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    shard: NDArray[np.int32]  # of each patch, into paths and names
    row: NDArray[np.int32]  # of each patch's first pixel
    column: NDArray[np.int32]
    patch_size: int

    def __len__(self) -> int:
        return len(self.shard)


def index_patches(shards: Sequence[Sized], patch_size: int) -> PatchIndex:
    """Lay the centred grid of patches over every shard."""
    origins = [patch_origins(shard.height, shard.width, patch_size) for shard in shards]
    numbers = np.repeat(np.arange(len(shards), dtype=np.int32), [len(grid) for grid in origins])
    corners = np.concatenate([np.zeros((0, 2), np.int64), *origins]).astype(np.int32)
    paths, names = tuple(shard.path for shard in shards), tuple(shard.name for shard in shards)
    return PatchIndex(paths, names, numbers, corners[:, 0], corners[:, 1], patch_size)
