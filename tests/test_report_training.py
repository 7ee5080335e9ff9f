"""The charts of a training: what they mark and say, by hand; texts in the SVG are read back."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jaxmask.report_training import best_epoch, training_charts, training_table


def _epoch(number: int, test: float | None = None, validation: float | None = None, **more: Any) -> dict[str, Any]:
    def scores(loss: float | None) -> dict[str, Any] | None:
        return None if loss is None else {"loss": loss, "accuracy": 0.9 - loss / 10, "iou": 0.5 - loss / 10}

    parts = {"train": scores(1 / number), "validation": scores(validation), "test": scores(test)}
    speed = {"train_seconds": 2.0, "test_seconds": None, "patches_per_second": 10.0 * number, "wait_share": 0.25}
    return {"epoch": number} | parts | speed | more


def _texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


@pytest.mark.quick
def test_the_best_epoch_is_chosen_as_the_checkpoints_are() -> None:
    """By validation before test; of equal losses the later one."""
    tested = tuple(_epoch(i, test=loss) for i, loss in enumerate((0.5, 0.2, 0.2, 0.4), start=1))
    assert best_epoch(tested) == (3, "test loss")
    both = tuple(_epoch(i, test=loss, validation=1 - loss) for i, loss in enumerate((0.5, 0.2, 0.3), start=1))
    assert best_epoch(both) == (1, "validation loss")
    assert best_epoch((_epoch(1), _epoch(2))) is None, "nothing to choose by"
    nothing = {"loss": None, "accuracy": None, "iou": None}
    assert best_epoch((_epoch(1, test=0.3), _epoch(2) | {"test": nothing})) == (1, "test loss")


def test_all_parts_are_drawn_with_the_best_epoch_marked() -> None:
    history = tuple(_epoch(i, test=0.6 / i, validation=0.5 / i) for i in (1, 2, 3))
    loss, agreement, iou, speed = training_charts(history)
    texts = _texts(loss.svg)
    assert {"training part", "validation part", "test part", "best, epoch 3", "epoch", "loss, nats"} <= set(texts)
    assert "on the training part" not in loss.caption
    assert "training part from 1.000 nats to 0.333 nats" in loss.caption
    assert "test part from 0.600 nats to 0.200 nats" in loss.caption
    assert loss.caption.endswith("Marked: epoch 3, the lowest validation loss, kept as the best checkpoint.")
    assert "agreement, %" in _texts(agreement.svg)
    assert "training part from 80.0 % to 86.7 %" in agreement.caption  # 0.9 - 0.1, 0.9 - 1 / 30
    assert "test part from 44.0 % to 48.0 %" in iou.caption  # 0.5 - 0.06, 0.5 - 0.02
    assert {"patches/s", "waiting, %"} <= set(_texts(speed.svg))
    assert "10.0 patches/s in epoch 1, 30.0 patches/s in epoch 3; waiting 25.0 % in the last" in speed.caption
    assert "ccuracy" not in "".join(chart.caption + chart.svg for chart in (loss, agreement, iou, speed))


def test_one_epoch_alone_marks_nothing() -> None:
    loss, *_, speed = training_charts((_epoch(1, test=0.5),))
    assert loss.caption == "Loss of epoch 1: training part 1.000 nats; test part 0.500 nats."
    assert not any(text.startswith("best") for text in _texts(loss.svg))
    assert ": 10.0 patches/s; waiting 25.0 %." in speed.caption


def test_older_histories_lack_keys() -> None:
    """Neither IoU nor waiting nor a test part: what is there is drawn."""
    old = tuple(
        {"epoch": i, "train": {"loss": 0.5, "accuracy": 0.8}, "test": None, "train_seconds": 1.0, "test_seconds": None,
         "patches_per_second": 5.0}
        for i in (1, 2)
    )  # fmt: skip
    loss, agreement, speed = training_charts(old)
    assert "best" not in loss.caption
    assert agreement.caption.startswith("Agreement with Bayes by epoch, 1 to 2: training part from 80.0 %")
    assert "waiting, %" not in _texts(speed.svg)
    assert training_charts(()) == ()
    rows = training_table(old[-1]).rows
    assert [cell.text or cell.reason for cell in rows[0]] == ["training part", "0.500", "80.0", *["undefined"] * 4]
    assert [cell.reason for cell in rows[1][1:]] == ["no test part"] * 6


def test_an_epoch_without_a_number_is_a_gap() -> None:
    history = (_epoch(1, test=0.5), _epoch(2), _epoch(3, test=0.25))
    loss = training_charts(history)[0]
    assert "test part from 0.500 nats to 0.250 nats" in loss.caption
    assert "best, epoch 3" in _texts(loss.svg)
