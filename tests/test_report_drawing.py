"""Every product drawn once: what is up to date is left, what can't be read fails alone, nothing partial is left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import jaxmask.report_drawing as drawing
from jaxmask.report import ReportConfig, main, places
from jaxmask.report_drawing import draw_products, full_scenes
from jaxmask.report_inputs import read_run
from jaxmask.seen_scene import read_seen_scene
from preprocess.errors import EXIT_SOME_FAILED, UserError
from tests.run_folder import product_name, write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", products=3)


def _draw(folder: Path, scenes: int | None = 1) -> drawing.Drawings:
    config = ReportConfig(folder, workers=0)
    return draw_products(read_run(places(config)), scenes, config)


@pytest.mark.quick
def test_products_are_drawn_once_and_again_only_when_they_change(folder: Path) -> None:
    names = {product_name(number) for number in range(3)}
    first = _draw(folder)
    assert (set(first.products), first.drawn_now, first.failures) == (names, 3, ())
    assert {path.stem for path in (folder / "scenes").glob("*.html")} == first.full
    assert len(first.full) == 1
    again = _draw(folder)
    assert again.drawn_now == 0
    assert again.products == first.products
    mask = folder / "predictions" / f"{product_name(1)}.h5"
    os.utime(mask, (0, 0))
    assert _draw(folder).drawn_now == 1, "an older mask is another one, too"
    assert _draw(folder, None).drawn_now == 2, "those whose full scene was not asked for before"
    assert _draw(folder, 0).full == names, "what is there and up to date is linked"


def test_what_another_version_drew_is_drawn_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _draw(folder)
    record = folder / "scenes" / f"{product_name(0)}.json"
    record.write_text("{damaged")
    assert _draw(folder).drawn_now == 1
    whole = json.loads(record.read_text())
    for damaged in ({"key": whole["key"]}, whole | {"thumbnail": 5}, whole | {"thumbnail": "#a"}):
        record.write_text(json.dumps(damaged))
        assert _draw(folder).drawn_now == 1, damaged
    monkeypatch.setattr(drawing, "FORM", drawing.FORM + 1)
    assert _draw(folder).drawn_now == 3


def test_a_full_scene_that_was_removed_is_not_linked_until_it_is_drawn_again(folder: Path) -> None:
    full = _draw(folder, None).full
    name = product_name(2)
    (folder / "scenes" / f"{name}.html").unlink()
    assert _draw(folder, 0).full == full - {name}
    assert (_draw(folder, None).full, (folder / "scenes" / f"{name}.html").exists()) == (full, True)


def test_a_product_that_cannot_be_read_fails_alone_and_its_old_drawing_is_not_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _draw(folder, None)
    name = product_name(1)
    mask = folder / "predictions" / f"{name}.h5"
    os.utime(mask, (0, 0))

    def read(shard: Path, path: Path) -> object:
        if path == mask:
            raise UserError(f"{path}: cut short; run jaxmask.infer again")
        return read_seen_scene(shard, path)

    monkeypatch.setattr(drawing, "read_seen_scene", read)
    assert main(ReportConfig(folder, workers=0)) == EXIT_SOME_FAILED
    assert name in {Path(failure["item"]).name for failure in json.loads((folder / "failures.json").read_text())}
    page = (folder / "report.html").read_text()
    assert page.count('<img src="data:image/webp') == 2
    assert f'data-v="report: {mask}: cut short; run jaxmask.infer again"' in page
    assert f'href="scenes/{name}.html"' not in page
    assert not (folder / "scenes" / f"{name}.html").exists(), "it showed another mask"


def test_a_kill_while_drawing_leaves_no_line_and_no_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    _draw(folder, None)
    name = product_name(2)
    os.utime(folder / "predictions" / f"{name}.h5", (0, 0))
    monkeypatch.setattr(drawing, "write_scene_page", killed)
    with pytest.raises(KeyboardInterrupt):
        _draw(folder, None)
    left = sorted(path.name for path in (folder / "scenes").iterdir() if name in path.name)
    assert left == [f"{name}.json"], "the page of the earlier mask is gone, so its line is out of date"
    monkeypatch.undo()
    assert _draw(folder, None).drawn_now == 1


def test_worker_processes_draw_the_same(folder: Path) -> None:
    here = _draw(folder).products
    config = ReportConfig(folder, workers=1)
    for path in (folder / "scenes").iterdir():
        path.unlink()
    assert draw_products(read_run(places(config)), 1, config).products == here


def test_the_scenes_worth_most_are_held_out_and_disagree_most() -> None:
    evaluated = [
        {"product": "a", "part": "train", "disagreement": 0.9},
        {"product": "b", "part": "test", "disagreement": 0.1},
        {"product": "c", "part": "test", "disagreement": 0.2},
        {"product": "d", "part": "test", "disagreement": None},
    ]
    names = ["a", "b", "c", "d", "e"]
    assert full_scenes(names, evaluated, 2) == {"c", "b"}
    assert full_scenes(names, evaluated, 4) == {"c", "b", "d", "a"}
    assert full_scenes(names, evaluated, None) == set(names)
    assert full_scenes(names, (), 2) == {"a", "b"}
    assert full_scenes(names, evaluated, 0) == frozenset()


def test_a_mask_without_pixels_is_named(folder: Path) -> None:
    name = product_name(1)
    mask = folder / "predictions" / f"{name}.h5"
    with h5py.File(mask, "w") as file:
        file["mask"] = np.zeros((1, 0, 0, 1), np.float32)
    (failure,) = _draw(folder).failures
    assert failure.item == name
    assert f"{mask}: expected a mask of the shard's pixels; found sizes (48, 72)" in failure.reason
