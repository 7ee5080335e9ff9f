"""Checkpoints: the same state back on any mesh, the right ones kept, half-written ones never chosen, clear errors."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxmask import unet
from jaxmask.checkpoint import best_step, open_checkpoints, restore_params, whole_steps
from jaxmask.optimiser import keras_adam
from jaxmask.step import TrainState, init_state
from preprocess.errors import UserError


def _on(devices: int) -> NamedSharding:
    mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    return NamedSharding(mesh, PartitionSpec())


def _state(value: float, features: int = 2, devices: int = 8) -> TrainState:
    """A state whose every number tells leaves, elements and states apart."""
    shapes = jax.eval_shape(lambda: init_state(unet.create(features, seed=0)[1], keras_adam(0.001)))
    numbered = [
        (np.arange(leaf.size) + 1000 * index + value).reshape(leaf.shape).astype(leaf.dtype)
        for index, leaf in enumerate(jax.tree.leaves(shapes))
    ]
    return jax.device_put(jax.tree.unflatten(jax.tree.structure(shapes), numbered), _on(devices))


def _same(a: TrainState, b: TrainState) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


@pytest.mark.quick
def test_a_state_comes_back_whole_on_other_devices(tmp_path: Path) -> None:
    state, position = _state(1.0, devices=8), {"epoch": 3, "batch": 7, "seed": 42}
    with open_checkpoints(tmp_path / "deep" / "checkpoints") as checkpoints:
        assert checkpoints.latest_step() is None
        checkpoints.save(5, state, position)
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=_on(2)), jax.eval_shape(lambda: state)
    )
    with open_checkpoints(tmp_path / "deep" / "checkpoints") as checkpoints:
        restored, found = checkpoints.restore(like)
        assert checkpoints.latest_step() == 5
    assert _same(restored, state)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    assert {leaf.sharding for leaf in jax.tree.leaves(restored)} == {_on(2)}
    assert found == position


def test_latest_and_best_are_kept(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path) as checkpoints:
        for step, loss in enumerate([0.5, 0.3, 0.4, 0.6], start=1):
            checkpoints.save(step, _state(step), {"epoch": step}, {"loss": loss, "f1": None})
        checkpoints.save(5, _state(5), {"epoch": 5})  # untested
        checkpoints.wait()
        assert whole_steps(tmp_path) == [2, 5]
        assert best_step(tmp_path) == 2
        restored, position = checkpoints.restore(_state(0), step=2)
    assert _same(restored, _state(2))
    assert position == {"epoch": 2}
    shapes = unet.structure(2)[1]
    for which, step in (("latest", 5), ("best", 2)):
        params = restore_params(tmp_path, shapes, which)
        assert all(type(leaf) is np.ndarray and leaf.dtype == np.float32 for leaf in jax.tree.leaves(params))
        assert all(map(np.array_equal, *map(jax.tree.leaves, (params, _state(step).params))))


def test_of_equal_losses_the_latest_is_the_best(tmp_path: Path) -> None:
    """As orbax has it, which may be removing the earlier one just then."""
    with open_checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, _state(step), {}, {"loss": 0.5})
    assert whole_steps(tmp_path) == [2]
    shutil.copytree(tmp_path / "2", tmp_path / "1")
    assert best_step(tmp_path) == 2


def test_saves_within_an_epoch_neither_displace_the_best_nor_pile_up(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, _state(1), {}, {"loss": 0.5})
        for step in (2, 3, 4):
            checkpoints.save(step, _state(step), {})
            checkpoints.wait()
            assert whole_steps(tmp_path) == [1, step]
    assert best_step(tmp_path) == 1


def test_a_running_mean_is_kept_and_is_what_inference_takes(tmp_path: Path) -> None:
    state = _state(1.0)
    state = state._replace(ema=_state(7.0).params)
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, {})
        checkpoints.wait()
        restored, _ = checkpoints.restore(state)
        assert _same(restored, state)
    params = restore_params(tmp_path, unet.structure(2)[1])
    assert all(map(np.array_equal, *map(jax.tree.leaves, (params, state.ema))))
    (tmp_path / "1" / "ema" / "_METADATA").unlink()  # a copy cut short
    assert whole_steps(tmp_path) == []


def test_a_saved_state_may_be_donated_at_once(tmp_path: Path) -> None:
    """The write goes on while the next step overwrites the buffers: the file must hold the state as it was saved."""
    spoil = jax.jit(partial(jax.tree.map, lambda leaf: leaf * 0 - 1), donate_argnums=0)
    state = _state(1.0, features=8)
    expected = jax.tree.map(lambda leaf: np.array(leaf), state)
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, {})
        for _ in range(3):
            state = spoil(state)
        jax.block_until_ready(state)
        checkpoints.wait()
        restored, _ = checkpoints.restore(state)
    assert _same(restored, expected)


def test_half_written_checkpoints_are_never_chosen(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, _state(1), {"epoch": 1})
    shutil.copytree(tmp_path / "1", tmp_path / "2.orbax-checkpoint-tmp")  # as orbax names one under way
    shutil.copytree(tmp_path / "1", tmp_path / "3")
    (tmp_path / "3" / "_CHECKPOINT_METADATA").unlink()
    (tmp_path / "4").mkdir()
    assert whole_steps(tmp_path) == [1]
    assert restore_params(tmp_path, unet.structure(2)[1])["head"]["bias"].shape == (1,)
    with open_checkpoints(tmp_path) as checkpoints:
        _, position = checkpoints.restore(_state(0))
        assert position == {"epoch": 1}
        checkpoints.save(2, _state(2), {"epoch": 2})  # neither 3 nor 4 is in the way
    assert whole_steps(tmp_path) == [2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2"]


def test_what_was_saved_before_an_error_is_kept(tmp_path: Path) -> None:
    def interrupted() -> None:
        with open_checkpoints(tmp_path) as checkpoints:
            checkpoints.save(1, _state(1), {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert whole_steps(tmp_path) == [1]


def test_errors_name_folder_and_remedy(tmp_path: Path) -> None:
    shapes = unet.structure(2)[1]
    with pytest.raises(UserError, match=f"{tmp_path}: expected a checkpoint, found none; train first"):
        restore_params(tmp_path, shapes)
    with open_checkpoints(tmp_path) as checkpoints:
        with pytest.raises(UserError, match="expected a checkpoint, found none"):
            checkpoints.restore(_state(0))
        checkpoints.save(1, _state(1), {})
        with pytest.raises(ValueError, match="must be later than the latest, 1; found 1"):
            checkpoints.save(1, _state(1), {})
        checkpoints.wait()
        with pytest.raises(UserError, match="expected a checkpoint 9, found none"):
            checkpoints.restore(_state(0), step=9)
        with pytest.raises(UserError, match=r"bottom/first/bias of shape \(32,\), found \(16,\).* number of features"):
            checkpoints.restore(_state(0, features=4))
    with pytest.raises(UserError, match="no checkpoint has a validation or test loss"):
        restore_params(tmp_path, shapes, "best")


@pytest.mark.parametrize("spoilt", ["params/_METADATA", "position/metadata"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, spoilt: str) -> None:
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, _state(1), {})
    (tmp_path / "1" / spoilt).write_bytes(b"")
    with pytest.raises(UserError, match=f"{tmp_path / '1'}: the checkpoint is damaged.*remove it"):
        restore_params(tmp_path, unet.structure(2)[1])


RESTORE = """
import sys
from pathlib import Path
from jaxmask.checkpoint import restore_params
from jaxmask.unet import structure
from preprocess.errors import UserError

try:
    restore_params(Path(sys.argv[1]), structure(2)[1])
except UserError as error:
    print(error)
"""


def test_damaged_parameters_are_named(tmp_path: Path) -> None:
    # In a process of its own: the reads that orbax still has under way find their event loop closed, now or later.
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, _state(1), {})
    (tmp_path / "1" / "params" / "manifest.ocdbt").write_bytes(b"")
    command = [sys.executable, "-c", RESTORE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert re.match(f"{tmp_path / '1'}: the checkpoint is damaged.*remove it", done.stdout)


def test_damaged_scores_are_named(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, _state(1), {}, {"loss": 0.5})
    scores = tmp_path / "1" / "metrics" / "metrics"
    scores.write_text("{")
    with pytest.raises(UserError, match=f"{scores}: expected the scores.*remove {tmp_path / '1'} to use the others"):
        restore_params(tmp_path, unet.structure(2)[1], "best")
    with pytest.raises(UserError, match=f"{scores}: expected the scores"), open_checkpoints(tmp_path):
        pass


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import jax, numpy
from jaxmask.checkpoint import open_checkpoints
from jaxmask.optimiser import keras_adam
from jaxmask.step import init_state
from jaxmask.unet import structure
from preprocess.errors import UserError

params = jax.tree.map(lambda leaf: numpy.zeros(leaf.shape, leaf.dtype), structure(8)[1])
state = init_state(params, keras_adam(0.001))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with open_checkpoints(Path(sys.argv[1])) as checkpoints:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # as good as a full disk
        checkpoints.save(1, state, {})
        checkpoints.wait()
except UserError as error:
    print(error)
"""


def test_a_failed_write_is_reported(tmp_path: Path) -> None:
    # In a process of its own: orbax's writer threads leave coroutines behind when they fail.
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert re.search(f"^{tmp_path}: the checkpoint could not be written .*File too large.*make room", done.stdout)
    assert whole_steps(tmp_path) == []
