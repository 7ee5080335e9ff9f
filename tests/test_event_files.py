"""TensorBoard's event files, read back by tensorboardX's own messages, hold each point once whatever the resumes."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from jaxmask.event_files import EventFiles, epoch_values, flags_table
from jaxmask.observers import Passing, Stepped
from tests.observations import BEGINNING, line


def events(folder: Path) -> Iterator[Any]:
    """The events of a folder in TensorBoard's order: file by file by their names; checksums are compared."""
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            record = content[12 : 12 + length]
            assert struct.unpack("<I", content[8:12])[0] == masked_crc32c(content[:8])
            assert struct.unpack("<I", content[12 + length : 16 + length])[0] == masked_crc32c(record)
            yield Event.FromString(record)
            content = content[16 + length :]


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of the scalars by name, as TensorBoard keeps them: a new session purges what it begins with."""
    kept: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        if event.session_log.status == SessionLog.START:
            kept = {tag: [point for point in series if point[0] < event.step] for tag, series in kept.items()}
        for value in event.summary.value:
            if value.HasField("simple_value"):
                kept.setdefault(value.tag, []).append((event.step, value.simple_value))
    return kept


def texts(folder: Path) -> list[str]:
    return [value.tensor.string_val[0].decode() for event in events(folder) for value in event.summary.value
            if value.HasField("tensor")]  # fmt: skip


def train(folder: Path, epochs: range, **begin: Any) -> None:
    """Three steps an epoch, and a test."""
    files = EventFiles(folder)
    files.load()
    files.begin(BEGINNING._replace(**begin))
    for epoch in epochs:
        files.passing(Passing(epoch, "train", 0))
        for step in range(3 * epoch - 2, 3 * epoch + 1):
            files.step(Stepped(step, epoch, 1 / step, 8))
        files.epoch(line(epoch))
    files.end("success")


@pytest.mark.quick
def test_scores_speed_and_steps_are_read_back(tmp_path: Path) -> None:
    train(tmp_path, range(1, 3))
    trained = points(tmp_path / "train")
    assert trained["loss"] == [(1, 1.0), (2, 0.5)]
    assert trained["patches_per_second"] == [(1, 100.0), (2, 200.0)]
    assert trained["wait_share"] == [(1, 0.25), (2, 0.25)]
    tested = points(tmp_path / "test")
    assert tested["loss"] == [(1, 3.0), (2, 1.5)]
    # float32 in the file
    assert tested["f1"] == [(1, pytest.approx(0.6, rel=1e-7)), (2, pytest.approx(0.6, rel=1e-7))]
    assert set(tested) == {"loss", "accuracy", "recall", "f1", "iou"}  # precision is None
    assert points(tmp_path / "steps")["step_loss"] == [
        (step, pytest.approx(1 / step, rel=1e-7)) for step in range(1, 7)
    ]
    assert not (tmp_path / "validation").exists()
    (text,) = texts(tmp_path / "train")
    assert "| learning_rate | 0.001 |\n" in text
    assert "| device_kind | NVIDIA H100 |" in text


def test_what_a_resumed_run_repeats_is_there_once(tmp_path: Path) -> None:
    killed = EventFiles(tmp_path)
    killed.begin(BEGINNING)
    killed.passing(Passing(1, "train", 0))
    for step in range(1, 4):
        killed.step(Stepped(step, 1, 1.0, 8))
    killed.epoch(line(1))
    for step in range(4, 6):
        killed.step(Stepped(step, 2, 1.0, 8))
    killed.end("aborted")  # had it been saved after step 4, in the second epoch
    resumed = EventFiles(tmp_path)
    resumed.begin(BEGINNING._replace(epochs_done=1, steps_done=4))
    resumed.passing(Passing(2, "train", 1))
    for step in range(5, 7):
        resumed.step(Stepped(step, 2, 2.0, 8))
    resumed.epoch(line(2))
    resumed.end("success")
    assert points(tmp_path / "train")["loss"] == [(1, 1.0), (2, 0.5)]
    assert points(tmp_path / "steps")["step_loss"] == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 2.0), (6, 2.0)]
    assert len(list((tmp_path / "steps").iterdir())) == 2


def test_what_was_never_saved_is_forgotten(tmp_path: Path) -> None:
    train(tmp_path, range(1, 2))
    train(tmp_path, range(1, 3))
    assert points(tmp_path / "train")["loss"] == [(1, 1.0), (2, 0.5)]
    assert [number for number, _ in points(tmp_path / "steps")["step_loss"]] == list(range(1, 7))


def test_long_epochs_have_a_hundred_points(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    files.begin(BEGINNING._replace(steps_per_epoch=250))
    files.passing(Passing(1, "train", 0))
    for step in range(1, 7):
        files.step(Stepped(step, 1, math.nan if step == 2 else 1.0, 8))
    files.end("success")
    assert points(tmp_path / "steps")["step_loss"] == [(4, 1.0), (6, 1.0)]


def test_what_was_written_can_be_seen_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = EventFiles(tmp_path)
    files.begin(BEGINNING)
    files.passing(Passing(1, "train", 0))
    monkeypatch.setattr("jaxmask.event_files.FLUSH_SECONDS", 0.0)
    files.step(Stepped(1, 1, 1.0, 8))
    assert points(tmp_path / "steps")["step_loss"] == [(1, 1.0)]
    files.epoch(line(1))
    assert points(tmp_path / "train")["loss"] == [(1, 1.0)]
    files.end("success")


def test_a_training_that_is_over_leaves_no_files(tmp_path: Path) -> None:
    files = EventFiles(tmp_path / "tensorboard")
    files.begin(BEGINNING)
    files.end("success")
    assert not (tmp_path / "tensorboard").exists()


def test_values_of_a_part() -> None:
    assert epoch_values(line(1), "validation") == {}
    assert epoch_values({"patches_per_second": 1.0, "wait_share": 0.0}, "train") == {
        "patches_per_second": 1.0, "wait_share": 0.0,
    }  # fmt: skip
    assert flags_table(BEGINNING).startswith("| name | value |\n|---|---|\n| ")
