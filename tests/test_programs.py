"""The compiled functions: what devices exchange, where arrays lie, what is compiled, and that every flag gets there."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxmask import programs as module
from jaxmask.checkpoint import open_checkpoints
from jaxmask.config import TrainConfig
from jaxmask.mesh import batch_sharding, make_mesh, replicated, to_global
from jaxmask.programs import Programs, make_optimiser, make_programs
from jaxmask.step import TrainState
from preprocess.errors import UserError

BATCH, PATCH = 32, 16
COLLECTIVES = re.compile(
    r"= (\S.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute|collective-broadcast)(?:-start)?\("
)


def _programs(**flags: Any) -> Programs:
    config = TrainConfig(**{"features": 1, "patch_size": PATCH, "clip_offset": 2} | flags)
    return make_programs(config, make_mesh(), global_batch=BATCH, steps_per_epoch=3)


def _batch(seed: int = 0) -> dict[str, jax.Array]:
    """A batch as training keeps it, over the 8 devices."""
    rng = np.random.default_rng(seed)
    flat = (BATCH, PATCH, PATCH, 1)
    image = rng.integers(-(2**13), 2**13, (*flat[:3], 9)).astype(np.int16)
    host = {
        "image": image,
        "label": (image[..., :1] > 0).astype(np.uint8),
        "weight": np.ones(flat, np.uint8),
        "turn": rng.integers(0, 8, BATCH).astype(np.uint8),
    }
    return to_global(make_mesh(), host)


def _collectives(function: Any, *arguments: Any) -> list[tuple[str, int]]:
    """Name and numbers exchanged of every collective of the compiled function."""
    text = function.lower(*arguments).compile().as_text()
    return [(name, _numbers(shapes)) for shapes, name in COLLECTIVES.findall(text)]


def _numbers(shapes: str) -> int:
    sizes = re.findall(r"[a-z]+\d*\[([\d,]*)\]", shapes)
    return sum(math.prod(int(length) for length in size.split(",") if length) for size in sizes)


def compilations(caplog: pytest.LogCaptureFixture) -> dict[str, int]:
    """How often each function was compiled under `jax.log_compiles`, those of jax.numpy itself left out."""
    found = [re.match(r"Compiling (?:jit\()?(\w+)\)? with global shapes", record.message) for record in caplog.records]
    return dict(Counter(match[1] for match in found if match))


def _leaves(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


@pytest.fixture(scope="module", autouse=True)
def _compile_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [getattr(jax.config, name) for name in names]
    for name, value in zip(names, (str(tmp_path_factory.mktemp("compiled")), 0.0), strict=True):
        jax.config.update(name, value)
    yield
    for name, value in zip(names, before, strict=True):
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def rich() -> Programs:
    """With all that a step can do."""
    return _programs(accumulate=2, ema=0.5, clip_norm=1.0, schedule="cosine", warmup_epochs=1.0)


@pytest.mark.quick
def test_devices_exchange_the_gradient_and_the_sums_and_nothing_else(rich: Programs) -> None:
    state = jax.eval_shape(rich.init)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    found = _collectives(rich.train, state, _batch())
    assert {name for name, _ in found} == {"all-reduce"}
    assert sum(size for _, size in found) == parameters + 6  # loss, weight and four counts
    assert len(found) == 2  # floats and counts: nothing of either is exchanged part by part


def test_a_collective_of_images_would_be_seen() -> None:
    whole = jax.jit(lambda image: image[::-1], out_shardings=replicated(make_mesh()))
    found = _collectives(whole, _batch()["image"])
    assert max(size for _, size in found) >= BATCH * PATCH * PATCH * 9 // 8


def test_the_state_is_handed_on_and_lies_whole_on_every_device(rich: Programs) -> None:
    batch, mesh, first = _batch(), make_mesh(), rich.init()
    assert {leaf.sharding for leaf in batch.values()} == {batch_sharding(mesh)}
    second, sums = rich.train(first, batch)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first))
    third, tested = rich.test(second, batch)
    assert third is second
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((second, batch)))
    assert {leaf.sharding for leaf in jax.tree.leaves((first, second, sums, tested))} == {replicated(mesh)}
    for leaf in jax.tree.leaves(second):
        for shard in leaf.addressable_shards:
            np.testing.assert_array_equal(shard.data, leaf)


def test_each_is_compiled_once_for_all_batches(rich: Programs, caplog: pytest.LogCaptureFixture) -> None:
    empty = _batch() | to_global(make_mesh(), {"weight": np.zeros((BATCH, PATCH, PATCH, 1), np.uint8)})
    with jax.log_compiles():
        programs = _programs(accumulate=2, ema=0.5, clip_norm=1.0, schedule="cosine", warmup_epochs=1.0)
        state = programs.init()
        for batch in (_batch(0), _batch(1), empty):
            for says in (0, 2):
                assert int(programs.vote(says)) == says
            state, _ = programs.train(state, batch)
            state, _ = programs.test(state, batch)
            assert bool(programs.finite(state))
    assert programs.train._cache_size() == 1  # type: ignore[attr-defined]
    assert compilations(caplog) == {"train_step": 1, "eval_step": 1, "_first_state": 1, "all_finite": 1}


def test_a_state_from_a_checkpoint_needs_no_other_program(tmp_path: Path) -> None:
    programs = _programs(accumulate=2, ema=0.5, clip_norm=1.0, schedule="cosine", warmup_epochs=1.0)
    state, _ = programs.train(programs.init(), _batch())
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, {})
        checkpoints.wait()
        restored, _ = checkpoints.restore(programs.init())
    straight, _ = programs.train(state, _batch(1))
    resumed, _ = programs.train(restored, _batch(1))
    assert programs.train._cache_size() == 1  # type: ignore[attr-defined]
    for left, right in zip(_leaves(straight), _leaves(resumed), strict=True):
        np.testing.assert_array_equal(left, right)


def test_testing_is_of_the_running_mean(rich: Programs) -> None:
    state, batch = rich.init(), _batch()
    for left, right in zip(_leaves(state.params), _leaves(state.ema), strict=True):
        np.testing.assert_array_equal(left, right)
    for seed in range(3):  # the first has a step size of 0
        state, _ = rich.train(state, _batch(seed))
    _, mean_sums = rich.test(state, batch)
    _, expected = rich.test(TrainState(state.ema, None, state.step), batch)
    _, raw_sums = rich.test(TrainState(state.params, None, state.step), batch)
    assert float(mean_sums.loss) == float(expected.loss) != float(raw_sums.loss)


def test_bfloat16_begins_with_the_same_float32_parameters() -> None:
    plain, coarse = (_programs(precision=precision).init() for precision in ("float32", "bfloat16"))
    assert plain.ema is None
    for left, right in zip(_leaves(plain), _leaves(coarse), strict=True):
        np.testing.assert_array_equal(left, right)
        assert left.dtype == right.dtype


def test_flags_reach_the_optimiser() -> None:
    gradient = {"w": np.array([3.0, 4.0], np.float32)}

    def first_moves(steps: int = 1, **flags: Any) -> list[float]:
        """Adam's first moves are of the step size's length."""
        optimiser = make_optimiser(TrainConfig(learning_rate=0.001, epochs=2, **flags), 64, steps_per_epoch=4)
        state, moves = optimiser.init(gradient), []
        for _ in range(steps):
            change, state = optimiser.update(gradient, state)
            moves.append(-float(change["w"][0]))
        return moves

    # 1e-4: Adam's epsilon and float32
    assert first_moves() == pytest.approx([0.001], rel=1e-4)
    assert first_moves(scale_learning_rate=True) == pytest.approx([0.002], rel=1e-4)  # 64 patches over 32
    assert first_moves(5, warmup_epochs=0.5) == pytest.approx([0, 0.0005, 0.001, 0.001, 0.001], rel=1e-4)
    falling = [0.0005 * (1 + math.cos(math.pi * count / 8)) for count in range(9)]  # 2 epochs of 4 steps
    assert first_moves(9, schedule="cosine") == pytest.approx(falling, rel=1e-4, abs=1e-9)
    # A gradient of length 5 cut to 1e-7: both moments as if it had been (0.6, 0.8) * 1e-7, where epsilon counts
    epsilon_share = math.sqrt(0.001) * 0.6e-7 / (math.sqrt(0.001) * 0.6e-7 + 1e-7)
    assert first_moves(clip_norm=1e-7) == pytest.approx([0.001 * epsilon_share], rel=1e-4)


def test_deterministic_asks_xla_for_it_and_a_cpu_does_not_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def jit(function: Any, **options: Any) -> Any:
        asked.append(options.get("compiler_options"))
        return real(function, **options)

    real = jax.jit
    monkeypatch.setattr(module.jax, "jit", jit)
    _programs()
    assert asked.count(None) == len(asked)
    asked.clear()
    fixed = _programs(deterministic=True)
    assert asked.count({"xla_gpu_deterministic_ops": True}) == 4  # init, train, test and finite; a vote adds nothing
    monkeypatch.undo()
    assert bool(fixed.finite(fixed.init()))


def test_a_step_of_more_pixels_than_can_be_counted_is_refused() -> None:
    config = TrainConfig(patch_size=1024, clip_offset=0)
    with pytest.raises(
        UserError, match=r"--global-batch-size must be at most 2047 patches of 1024 x 1024 .* found 2048"
    ):
        make_programs(config, make_mesh(), global_batch=2048, steps_per_epoch=1)
    make_programs(config, make_mesh(), global_batch=2040, steps_per_epoch=1)
