"""Positions: where the next step is, that checkpoints' numbers grow with every step, that JSON keeps every bit."""

from __future__ import annotations

import json

import pytest

from jaxmask.metrics import Sums
from jaxmask.patience import Patience
from jaxmask.position import Part, Pass, Position, after_epoch, from_json, is_epoch_over, number_of, to_json, went_on

STEPS: dict[Part, int] = {"train": 3, "validation": 2, "test": 1}
GIVEN = Pass(Sums(0.1 + 0.2, 1e17 + 16, 2**40, 0, 3, 1), 17, 1 / 3, 1e-9)


def walk(steps: dict[Part, int], epochs: int) -> list[Position]:
    """Every position of a training, one step apart, as the loop goes through them."""
    position = Position()
    seen = [position]
    while position.epochs < epochs:
        position = went_on(position, position.step + 1, GIVEN, steps)
        seen.append(position)
        if is_epoch_over(position, steps):
            position = after_epoch(position, None)
    return seen


@pytest.mark.quick
@pytest.mark.parametrize("parts", [("train",), ("train", "test"), ("train", "validation"), tuple(STEPS)])
def test_numbers_grow_by_one_with_every_step_of_any_part(parts: tuple[Part, ...]) -> None:
    steps = {part: STEPS[part] for part in parts}
    seen = walk(steps, 3)
    assert [number_of(position, steps) for position in seen] == list(range(3 * sum(steps.values()) + 1))


def test_parts_follow_each_other() -> None:
    parts = [(position.part, position.step) for position in walk(STEPS, 1)]
    assert parts == [
        ("train", 0), ("train", 1), ("train", 2), ("validation", 0), ("validation", 1), ("test", 0), ("test", 1),
    ]  # fmt: skip
    assert [set(position.passes) for position in walk(STEPS, 1)[3:5]] == [{"train"}, {"train", "validation"}]


def test_json_keeps_every_bit() -> None:
    position = Position(7, "test", 1, {"train": GIVEN, "test": GIVEN}, Patience(0.1 + 0.2, 4))
    assert from_json(json.loads(json.dumps(to_json(position)))) == position
    assert from_json(json.loads(json.dumps(to_json(Position())))) == Position()


def test_positions_of_the_first_versions_are_read() -> None:
    assert from_json({"epoch": 3, "batch": 0}) == Position(epochs=3)


@pytest.mark.parametrize("change", [{"part": "tst"}, {"passes": {"tst": {}}}, {"step": None}, {"passes": {"test": {}}}])
def test_other_json_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_json(to_json(Position(passes={"train": GIVEN})) | change)
    with pytest.raises(KeyError):
        from_json({"epoch": 3})


def test_patience_counts_epochs_since_the_lowest_loss() -> None:
    patience, counts = Patience(), []
    for loss in (0.5, 0.4, 0.4, None, 0.6, 0.39, float("nan")):
        patience = patience.after(loss)
        counts.append(patience.epochs_since)
    assert counts == [0, 0, 1, 2, 3, 0, 1]
    assert patience.lowest == 0.39
    assert [patience.is_over(epochs) for epochs in (1, 2, None)] == [True, False, False]
