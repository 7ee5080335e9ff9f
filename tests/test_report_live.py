"""A training followed by its page: what is said when, when it ends, and that what has not changed is not read again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import jaxmask.report_inputs as inputs
from jaxmask.report import ReportConfig, main, places
from jaxmask.report_live import follow, has_ended
from jaxmask.run_record import Places
from preprocess.command import Terminated, run
from preprocess.errors import EXIT_USAGE
from tests.run_folder import write_model
from tests.undrawn import leave_charts_empty

UNDER_WAY = "Training is under way: epoch {} of 5 is done, written "


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_charts_empty(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder as a finished training leaves it, set aside, and a run that has not begun."""
    write_model(tmp_path / "finished", ["a", "b"], ["c"])
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def _places(folder: Path) -> Places:
    return places(ReportConfig(folder))


def _follow(folder: Path, *events: Callable[[], object]) -> list[str]:
    """The page as it was at each look, each after one of the events; the last event ends the following."""
    pages: list[str] = []
    todo = iter(events)

    def sleep(seconds: float) -> None:
        assert seconds == 7
        pages.append((folder / "report.html").read_text())
        next(todo)()

    follow(_places(folder), 0, ReportConfig(folder, workers=0), 7, sleep)
    return [*pages, (folder / "report.html").read_text()]


def _grow(folder: Path, epochs: int) -> Callable[[], None]:
    """A training that has done so many epochs."""

    def grow() -> None:
        finished, model = folder.parent / "finished", folder / "model"
        model.mkdir(exist_ok=True)
        (model / "config.json").write_bytes((finished / "config.json").read_bytes())
        lines = (finished / "history.jsonl").read_text().splitlines(keepends=True)
        if epochs:
            (model / "history.jsonl").write_text("".join(lines[:epochs]))

    return grow


def _end(folder: Path) -> None:
    (folder / "model" / "results.csv").write_bytes((folder.parent / "finished" / "results.csv").read_bytes())


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.quick
def test_the_page_follows_a_training_from_before_its_first_epoch_to_its_end(folder: Path) -> None:
    grow = [_grow(folder, epochs) for epochs in (0, 1, 5)]
    pages = _follow(folder, *grow, lambda: None, lambda: _end(folder))
    notices = ["Training has not begun: there is no epoch yet.", "Training has begun: there is no epoch yet.",
               UNDER_WAY.format(1), UNDER_WAY.format(5), UNDER_WAY.format(5)]  # fmt: skip
    for page, notice in zip(pages, notices, strict=False):
        assert notice in page
        assert '<noscript><meta http-equiv="refresh" content="7"></noscript>' in page
        assert 'data-seconds="7"' in page
    assert pages[3] == pages[4], "nothing changed, so nothing was written"
    last = pages[-1]
    assert "refresh" not in last.partition("<body>")[0].partition("<script>")[0]
    assert 'id="live"' not in last
    assert "Trained on" in last


def test_ctrl_c_leaves_a_page_that_stands_still_and_says_so(folder: Path) -> None:
    *_, last = _follow(folder, _grow(folder, 2), _interrupt)
    assert "No longer followed before the training ended: epoch 2 of 5 is done, written " in last
    assert 'data-seconds="0"' in last
    assert "live-pause" not in last.partition("<script>")[0]
    assert "<noscript>" not in last


def test_sigterm_leaves_that_page_too(folder: Path) -> None:
    def terminate() -> None:
        raise Terminated

    with pytest.raises(Terminated):
        _follow(folder, terminate)
    last = (folder / "report.html").read_text()
    assert "No longer followed before the training ended: there was no epoch yet." in last


def test_a_training_that_has_ended_is_not_followed(folder: Path) -> None:
    _grow(folder, 5)()
    _end(folder)
    (page,) = _follow(folder)
    assert 'id="live"' not in page


def test_a_training_has_ended_when_its_results_are_newer_than_its_last_epoch(folder: Path) -> None:
    model = folder / "model"
    assert not has_ended(model)
    _grow(folder, 5)()
    assert not has_ended(model)
    _end(folder)
    assert has_ended(model)
    for name in ("history.jsonl", "config.json"):
        os.utime(model / name, ns=(0, 2**62))
        assert not has_ended(model), f"{name}: one that goes on with more epochs"
        os.utime(model / name, ns=(0, 0))


def test_only_what_has_changed_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    for name in ("_read_config", "_read_history"):
        function = getattr(inputs, name)

        def noting(path: Path, function: Callable[[Path], object] = function) -> object:
            read.append(path.name)
            return function(path)

        monkeypatch.setattr(inputs, name, noting)
    _follow(folder, *(_grow_history(folder, epochs) for epochs in (1, 2, 3)), _interrupt)
    assert read == ["config.json", "history.jsonl", "history.jsonl", "history.jsonl"]


def _grow_history(folder: Path, epochs: int) -> Callable[[], None]:
    def grow() -> None:
        if epochs == 1:
            _grow(folder, 1)()
        lines = (folder.parent / "finished" / "history.jsonl").read_text().splitlines(keepends=True)
        (folder / "model" / "history.jsonl").write_text("".join(lines[:epochs]))

    return grow


def test_a_damaged_history_is_told_and_following_goes_on(folder: Path) -> None:
    def damage() -> None:
        (folder / "model" / "history.jsonl").write_text("{damaged\n")

    pages = _follow(folder, _grow(folder, 1), damage, _grow(folder, 3), _interrupt)
    assert "line 1: expected the JSON object of epoch 1" in pages[2]
    assert UNDER_WAY.format(3) in pages[3]
    assert "expected the JSON object" not in pages[3]


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("none", ["--live", "5"], "no such folder; expected a run's"),
        ("", ["--live", "0"], "--live must be 1 or more; found 0"),
        ("", ["--scenes", "-1"], "--scenes must be 0 or more, or all; found -1"),
    ],
)
def test_what_can_not_be_followed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, flags: list[str], expected: str
) -> None:
    assert run("jaxmask.report", ReportConfig, main, [str(tmp_path / name), *flags]) == EXIT_USAGE
    assert expected in capsys.readouterr().err
