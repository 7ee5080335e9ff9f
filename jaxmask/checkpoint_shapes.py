"""Edge: whether the parameters of a checkpoint on disk are those of the network that shall have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from jaxmask.unet import Params
from preprocess.errors import UserError


def check_shapes(item: Path, params: Params) -> None:
    """Raise UserError unless the parameters on disk have the shapes of `params`: orbax itself would not mind."""
    metadata = ocp.Checkpointer(ocp.StandardCheckpointHandler()).metadata(item).item_metadata
    if metadata is None:
        raise ValueError("its description can't be read")
    found = {_name(path): tuple(leaf.shape) for path, leaf in jax.tree.leaves_with_path(metadata.tree)}
    expected = {_name(path): tuple(leaf.shape) for path, leaf in jax.tree.leaves_with_path(params)}
    for name in sorted(found | expected):
        if found.get(name) != expected.get(name):
            raise UserError(
                f"{item.parent}: expected parameters {name} of shape {expected.get(name)}, found {found.get(name)}: "
                "it holds a network with another number of features or channels"
            )


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
