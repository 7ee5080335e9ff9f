"""Edge: checkpoints of training through orbax, written in the background; the latest and the best are kept."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers

from jaxmask.checkpoint_shapes import check_shapes
from jaxmask.processes import tells_of_loss
from jaxmask.step import TrainState
from jaxmask.unet import Params
from preprocess.errors import UserError

# The items of one checkpoint. Parameters lie apart, so that inference reads nothing else; EMA is there if one is kept.
PARAMS, EMA, PROGRESS, POSITION, METRICS = "params", "ema", "progress", "position", "metrics"
MARKS = ("_CHECKPOINT_METADATA", f"{PARAMS}/_METADATA", f"{PROGRESS}/_METADATA", f"{POSITION}/metadata")
BEST_BY = "loss"  # the metric of which the lowest is the best

Which = Literal["latest", "best"]


@dataclass(frozen=True)
class Checkpoints:
    """A folder of checkpoints, open for one training; made by `open_checkpoints`, alike on every process."""

    folder: Path
    manager: ocp.CheckpointManager

    def save(
        self, step: int, state: TrainState, position: dict[str, Any], metrics: dict[str, float | None] | None = None
    ) -> None:
        """Start saving in the background; `state` may be donated as soon as this returns.

        step: the checkpoint's number, above that of the one before; position: what is needed to go on with the data, as
        JSON; metrics: with "loss", of the part that chooses the best; only an epoch's end has them.
        Raises UserError if the save before this one could not be written, ValueError unless `step` is later than that.
        """
        trees = {name: ocp.args.StandardSave(tree) for name, tree in _trees(state).items()}
        items = ocp.args.Composite(**trees, **{POSITION: ocp.args.JsonSave(position)})
        scored = metrics if metrics and metrics.get(BEST_BY) is not None else None
        latest = self.manager.latest_step()
        if latest is not None and step <= latest:
            raise ValueError(f"{self.folder}: a checkpoint must be later than the latest, {latest}; found {step}")
        with _write_errors(self.folder):
            self.manager.check_for_errors()
            self.manager.save(step, args=items, metrics=scored, force=True)

    def wait(self) -> None:
        """Return when all that was saved is on disk; raise UserError if it could not be written."""
        with _write_errors(self.folder):
            self.manager.wait_until_finished()

    def latest_step(self) -> int | None:
        """Return the step of the latest whole checkpoint; None if there is none."""
        return max(whole_steps(self.folder), default=None)

    def restore(self, like: TrainState, step: int | None = None) -> tuple[TrainState, dict[str, Any]]:
        """Read the state and position saved at `step` (default: the latest).

        like: arrays or `jax.ShapeDtypeStruct`s with shardings, where and how the arrays shall lie: any mesh, whatever
        the one they were saved from.
        Raises UserError if there is no such checkpoint, it is damaged, or of other shapes.
        """
        found = self.latest_step() if step is None else step
        if found is None or found not in whole_steps(self.folder):
            raise UserError(f"{self.folder}: expected a checkpoint{'' if step is None else f' {step}'}, found none")
        items = _read(self.folder / str(found), jax.tree.map(_as_abstract, _trees(like)))
        progress = items[PROGRESS]
        state = TrainState(items[PARAMS], progress["opt_state"], progress["step"], items.get(EMA))
        return state, items[POSITION]


@contextlib.contextmanager
def open_checkpoints(folder: Path) -> Iterator[Checkpoints]:
    """Open `folder` (made if missing) for saving and restoring; half-written checkpoints of killed runs are removed.

    On leaving, what was saved is waited for; raises UserError if it could not be written.
    """
    _quieten()
    folder = folder.absolute()
    _clear_half_written(folder)
    best_step(folder)  # says which checkpoint's scores are damaged, where orbax would only say that some are
    with _write_errors(folder):
        manager = ocp.CheckpointManager(folder, options=_options())
    try:
        yield Checkpoints(folder, manager)
    except BaseException:
        with contextlib.suppress(Exception):  # the error under way says more than one of closing
            manager.close()
        raise
    with _write_errors(folder):
        manager.wait_until_finished()
        manager.close()


def restore_params(folder: Path, like: Params, which: Which = "latest") -> Params:
    """Read only the parameters of the latest or best checkpoint: numpy arrays, on any machine and number of devices.

    Where a running mean of them is kept (--ema), that mean. like: the same tree of arrays or `jax.ShapeDtypeStruct`s.
    Raises UserError if there is no such checkpoint, it is damaged, or of other shapes.
    """
    _quieten()
    folder = folder.absolute()
    steps = whole_steps(folder)
    if not steps:
        raise UserError(f"{folder}: expected a checkpoint, found none; train first, or wait for the first epoch to end")
    step = steps[-1] if which == "latest" else best_step(folder)
    if step is None:
        raise UserError(f"{folder}: no checkpoint has a validation or test loss, so none is the best; use the latest")
    kept = EMA if (folder / str(step) / EMA).is_dir() else PARAMS
    targets = {kept: jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), like)}
    return _read(folder / str(step), targets)[kept]


def whole_steps(folder: Path) -> list[int]:
    """Steps, ascending, of the checkpoints in `folder` that were written to their end."""
    numbered = (path for path in folder.glob("*") if path.name.isdecimal())
    return sorted(int(path.name) for path in numbered if _is_whole(path))


def best_step(folder: Path) -> int | None:
    """Step of the whole checkpoint with the lowest loss; None if none has one; UserError if one is damaged.

    Of equal ones the latest, which is the one that orbax keeps.
    """
    losses = {step: _loss(folder / str(step)) for step in reversed(whole_steps(folder))}
    scored = {step: loss for step, loss in losses.items() if loss is not None}
    return min(scored, key=scored.__getitem__, default=None)


def _options() -> ocp.CheckpointManagerOptions:
    keep = [
        checkpoint_managers.LatestN(1),
        checkpoint_managers.BestN(get_metric_fn=_metric, reverse=True, n=1, keep_checkpoints_without_metrics=False),
    ]
    return ocp.CheckpointManagerOptions(
        best_fn=_metric,
        best_mode="min",
        preservation_policy=checkpoint_managers.AnyPreservationPolicy(keep),
        cleanup_tmp_directories=True,
    )


def _metric(metrics: dict[str, float]) -> float:
    return metrics[BEST_BY]


def _loss(checkpoint: Path) -> float | None:
    scores = checkpoint / METRICS / METRICS
    if not scores.is_file():
        return None
    try:
        return float(json.loads(scores.read_text())[BEST_BY])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{scores}: expected the scores of a checkpoint as JSON, found otherwise ({error}): the checkpoint is "
            f"damaged; remove {checkpoint} to use the others"
        ) from error


def _is_whole(checkpoint: Path) -> bool:
    # Orbax renames a folder when it is complete; a copy cut short, or a file system without renames, is seen by these.
    marks = (*MARKS, f"{EMA}/_METADATA") if (checkpoint / EMA).is_dir() else MARKS
    return all((checkpoint / mark).is_file() for mark in marks)


def _clear_half_written(folder: Path) -> None:
    if jax.process_index() == 0:
        for path in folder.glob("*"):
            if path.name.isdecimal() and path.is_dir() and not _is_whole(path):
                shutil.rmtree(path, ignore_errors=True)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("half-written checkpoints removed")


def _read(checkpoint: Path, targets: dict[str, Any]) -> dict[str, Any]:
    """Restore the items of `targets`, and the position, of one checkpoint."""
    reader = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
    items = {name: ocp.args.StandardRestore(target) for name, target in targets.items()}
    try:
        for name in targets.keys() & {PARAMS, EMA}:
            check_shapes(checkpoint / name, targets[name])
        restored = reader.restore(checkpoint, args=ocp.args.Composite(**items, **{POSITION: ocp.args.JsonRestore()}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if tells_of_loss(error):
            raise
        raise UserError(
            f"{checkpoint}: the checkpoint is damaged, or of another version of jaxmask ({_first_line(error)}); "
            "remove it to use the one before it"
        ) from error
    finally:
        reader.close()
    return {name: restored[name] for name in (*targets, POSITION)}


def _trees(state: TrainState) -> dict[str, Any]:
    """The items that hold arrays."""
    trees = {PARAMS: state.params, PROGRESS: {"opt_state": state.opt_state, "step": state.step}}
    return trees if state.ema is None else trees | {EMA: state.ema}


def _as_abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


@contextlib.contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # tensorstore reports a full disk as ValueError
        raise UserError(
            f"{folder}: the checkpoint could not be written ({_first_line(error)}); "
            "the one before it is whole: make room or mend the permissions, and run again"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(" [tensorstore_spec=")[0]


def _quieten() -> None:
    # What matters is raised again and reported once, in one sentence.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
