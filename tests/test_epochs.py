"""The epochs of a training: where they halt, and that one that is gone on with ends as one that never halted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmask.audience import Audience
from jaxmask.config import TrainConfig
from jaxmask.data import Feed, open_feed
from jaxmask.epochs import Company, Halt, Plan, run_epochs
from jaxmask.history import Epoch
from jaxmask.mesh import batch_sharding, make_mesh, replicated
from jaxmask.observers import Beginning, Passing, Stepped
from jaxmask.patience import Patience
from jaxmask.position import Position, from_json, number_of, to_json
from jaxmask.programs import Programs, make_programs
from jaxmask.progress import Progress
from jaxmask.step import TrainState, all_finite
from jaxmask.stopping import GO_ON, SAVE, SAVE_AND_STOP
from jaxmask.training_set import open_training_set
from preprocess.errors import UserError
from tests.shards import make_shards

BATCH = 8  # over the 8 simulated devices
CONFIG = TrainConfig(features=2, patch_size=32, clip_offset=4, learning_rate=0.01)


class Diary:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.steps: list[Stepped] = []

    def load(self) -> None: ...

    def begin(self, beginning: Beginning) -> None: ...

    def passing(self, passing: Passing) -> None: ...

    def step(self, stepped: Stepped) -> None:
        self.steps.append(stepped)

    def epoch(self, line: Epoch) -> None: ...

    def end(self, status: str) -> None: ...


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Feed]:
    """Three products of six patches: 18 to train on in three steps, two products to validate, one to test on."""
    folder = make_shards(tmp_path_factory.mktemp("hdf"), 3)
    shards, mesh = open_training_set(folder, 32, quiet=True).shards, make_mesh()

    def feed(products: int, seed: int | None) -> Feed:
        return open_feed(
            shards[:products], patch_size=32, cache="host", mesh=mesh, global_batch=BATCH, seed=seed, augment=False,
            quiet=True,
        )  # fmt: skip

    return {"train": feed(3, 0), "validation": feed(2, None), "test": feed(1, None)}


@pytest.fixture(scope="module")
def programs() -> Programs:
    return make_programs(CONFIG, make_mesh(), global_batch=BATCH, steps_per_epoch=3)


def company(plan: Plan, wish: Callable[[], int] = lambda: GO_ON, diary: Diary | None = None) -> Company:
    return Company(wish, Audience([diary] if diary else []), Progress(plan.steps, plan.epochs, visible=False))


def copied(state: TrainState) -> TrainState:
    return jax.tree.map(jnp.copy, state)


def run(
    plan: Plan, programs: Programs, wish: Callable[[], int], diary: Diary | None = None
) -> list[tuple[TrainState, Halt]]:
    epochs = run_epochs(plan, programs, company(plan, wish, diary), programs.init(), Position())
    return [(copied(state), halt) for state, halt in epochs]


def untimed(line: Epoch) -> Epoch:
    return {name: value for name, value in line.items() if "second" not in name and name != "wait_share"}


def lines(halts: list[tuple[TrainState, Halt]]) -> list[Epoch]:
    return [untimed(halt.line) for _, halt in halts if halt.line is not None]


def assert_same(one: TrainState, other: TrainState) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.quick
def test_it_halts_where_asked_and_goes_on_from_there_bit_for_bit(feeds: dict[Any, Feed], programs: Programs) -> None:
    plan = Plan(2, BATCH, feeds)
    straight = run(plan, programs, lambda: GO_ON)
    assert [(halt.position.epochs, halt.position.step, halt.stop) for _, halt in straight] == [
        (1, 0, False),
        (2, 0, False),
    ]
    halts = run(plan, programs, lambda: SAVE)
    assert lines(halts) == lines(straight)
    assert_same(halts[-1][0], straight[-1][0])
    # A vote is heard after the step that follows it: from 3 + 2 + 1 steps an epoch there are halts after 2 and 3 of
    # training (where validation begins), 2 of validation (where the test begins), 1 of the test (the epoch's end).
    where = [(halt.position.epochs, halt.position.part, halt.position.step) for _, halt in halts]
    assert where[:4] == [(0, "train", 2), (0, "validation", 0), (0, "test", 0), (1, "train", 0)]
    numbers = [number_of(halt.position, plan.steps) for _, halt in halts]
    assert numbers == [2, 3, 5, 6, 8, 9, 11, 12]
    for state, halt in halts[:-1]:
        position = from_json(to_json(halt.position))
        assert position == halt.position
        rest = list(run_epochs(plan, programs, company(plan), copied(state), position))
        assert_same(rest[-1][0], straight[-1][0])
        assert lines(rest) == lines(straight)[position.epochs :]


def test_seconds_add_up_over_the_runs_of_an_epoch(feeds: dict[Any, Feed], programs: Programs) -> None:
    plan = Plan(1, BATCH, feeds)
    state, halt = next(run_epochs(plan, programs, company(plan, lambda: SAVE), programs.init(), Position()))
    given = halt.position.passes["train"]
    earlier = replace(halt.position, passes={"train": replace(given, seconds=1000.0, waited_seconds=10.0)})
    (_, end) = next(run_epochs(plan, programs, company(plan), state, earlier))
    assert end.line is not None
    assert 1000 < end.line["train_seconds"] < 2000
    assert 0.005 < end.line["wait_share"] < 0.5
    assert end.line["patches_per_second"] == 18 / end.line["train_seconds"]


def test_a_wish_to_stop_is_granted_where_an_epoch_is_one_step(feeds: dict[Any, Feed], programs: Programs) -> None:
    # The sums of a pass's last step, and the vote with them, are fetched when its epoch is over.
    plan = Plan(3, BATCH, {"train": feeds["test"]})
    wishes = iter([GO_ON, SAVE_AND_STOP])
    epochs = run_epochs(plan, programs, company(plan, lambda: next(wishes)), programs.init(), Position())
    assert [next(epochs)[1].stop for _ in range(2)] == [False, True]


def test_a_wish_is_heard_in_validation_and_test(feeds: dict[Any, Feed], programs: Programs) -> None:
    for step, part in ((4, "test"), (6, "train")):
        plan, cast = Plan(2, BATCH, feeds), iter(range(1, 100))

        def wish(cast: Iterator[int] = cast, step: int = step) -> int:
            return SAVE_AND_STOP if next(cast) == step else GO_ON

        halts = [halt for _, halt in run(plan, programs, wish) if halt.stop]
        assert [halt.position.part for halt in halts] == [part]


def test_observers_hear_of_every_training_step(feeds: dict[Any, Feed], programs: Programs) -> None:
    diary = Diary()
    halts = run(Plan(2, BATCH, feeds), programs, lambda: GO_ON, diary)
    assert [(step.step, step.epoch, step.patches) for step in diary.steps] == [
        (1, 1, 8), (2, 1, 8), (3, 1, 2), (4, 2, 8), (5, 2, 8), (6, 2, 2),
    ]  # fmt: skip
    # All pixels weigh 1 or 0.5 alike in this loss's mean, so that the epoch's is the mean of its steps' by pixels.
    means = [sum(step.loss * step.patches for step in diary.steps[first : first + 3]) / 18 for first in (0, 3)]
    assert means == pytest.approx([line["train"]["loss"] for line in lines(halts)], rel=1e-6)


def test_early_stopping_ends_after_epochs_without_a_lower_validation_loss(
    feeds: dict[Any, Feed], programs: Programs
) -> None:
    still = replace(programs, train=lambda state, batch: (state, programs.test(state, batch)[1]))  # never learns
    plan = Plan(9, BATCH, feeds, early_stopping=2)
    halts = run(plan, still, lambda: GO_ON)
    assert len(lines(halts)) == 3  # the first is the lowest, two are not lower
    position = halts[-1][1].position
    assert position.patience == Patience(halts[0][1].line["validation"]["loss"], 2)  # type: ignore[index]
    assert plan.is_over(position)
    assert not list(run_epochs(plan, still, company(plan), programs.init(), position))
    assert not replace(plan, early_stopping=3).is_over(position)


def test_parameters_that_overflow_end_the_run_before_they_are_saved(feeds: dict[Any, Feed], programs: Programs) -> None:
    overflown = replace(programs, finite=lambda state: all_finite({"weights": jnp.array([1.0, jnp.inf]), "step": 3}))
    with pytest.raises(UserError, match="epoch 1: a parameter, or a moment of the optimiser, is not finite"):
        run(Plan(2, BATCH, feeds), overflown, lambda: GO_ON)
    assert bool(programs.finite(programs.init()))


def test_a_loss_that_is_not_finite_names_step_and_products(feeds: dict[Any, Feed], programs: Programs) -> None:
    def broken(state: TrainState, batch: Any) -> Any:
        state, sums = programs.train(state, batch)
        return state, sums._replace(loss=jnp.where(state.step == 5, jnp.nan, sums.loss))

    with pytest.raises(UserError) as raised:
        run(Plan(2, BATCH, feeds), replace(programs, train=broken), lambda: GO_ON)
    products = feeds["train"].products(2, 1)
    assert str(raised.value).startswith("epoch 2/2, training, step 2: the loss, or a parameter after that step, is not")
    assert f"its batch is of {', '.join(products)}. What was saved" in str(raised.value)


def test_validation_without_a_pixel_is_refused_where_it_decides(feeds: dict[Any, Feed], programs: Programs) -> None:
    blank = replace(
        feeds["validation"], place=lambda batch: feeds["test"].place(batch | {"weight": np.zeros_like(batch["weight"])})
    )
    plan = Plan(1, BATCH, feeds | {"validation": blank})
    assert lines(run(plan, programs, lambda: GO_ON))[0]["validation"]["loss"] is None
    with pytest.raises(UserError, match="no pixel of the validating patches is valid"):
        run(replace(plan, early_stopping=1), programs, lambda: GO_ON)


def test_each_function_is_compiled_once_and_arrays_lie_where_they_should(feeds: dict[Any, Feed]) -> None:
    mesh = make_mesh()
    programs = make_programs(CONFIG, mesh, global_batch=BATCH, steps_per_epoch=3)
    for state, _ in run(Plan(2, BATCH, feeds), programs, lambda: SAVE):
        assert {leaf.sharding for leaf in jax.tree.leaves(state)} == {replicated(mesh)}
    assert programs.train._cache_size() == 1  # type: ignore[attr-defined]
    batch = feeds["train"].place({"image": np.zeros((BATCH, 32, 32, 9), np.int16)})
    assert batch["image"].sharding == batch_sharding(mesh)
    assert len({shard.device for shard in batch["image"].addressable_shards}) == 8
