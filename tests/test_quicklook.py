"""The quicklook's file: whole or not at all, with both halves, by day, at night and where nothing is valid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxmask.quicklook import BAR_MARGIN, save_quicklook
from preprocess.errors import UserError
from preprocess.scene_figure import GAP
from tests.run_folder import make_mask, make_scene


@pytest.mark.quick
@pytest.mark.parametrize("day", [True, False])
def test_a_quicklook_shows_scene_and_mask(tmp_path: Path, day: bool) -> None:
    scene = make_scene(1, day)
    mask = make_mask(scene)
    path = tmp_path / "look.png"
    save_quicklook(path, scene, mask.probability, mask.valid, quantity="P")
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[1] == 2 * (10 * 72 + GAP) + GAP + BAR_MARGIN, "72 columns, each shown ten times"
    left, right = pixels[:, : pixels.shape[1] // 2], pixels[:, pixels.shape[1] // 2 :]
    yellow = (right[..., 0] > 200) & (right[..., 1] > 180) & (right[..., 2] < 100)
    assert yellow.mean() > 0.05, "cloud is the yellow end of cividis, on the right"
    blue = (left[..., 2] > 150) & (left[..., 1] < 60)
    assert blue.mean() < 0.01 if day else blue.mean() > 0.1, "by night clear sea is violet: warm, S8 below S7"
    assert list(tmp_path.iterdir()) == [path]


def test_a_mask_without_any_valid_pixel_or_crossing_is_drawn(tmp_path: Path) -> None:
    scene = make_scene(2, False)
    flat = np.full(scene.refs.shape[:2], 0.2, np.float32)
    save_quicklook(tmp_path / "flat.png", scene, flat, np.ones(flat.shape, bool))
    save_quicklook(tmp_path / "none.png", scene, flat, np.zeros(flat.shape, bool))
    assert len(list(tmp_path.iterdir())) == 2


def test_sizes_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    scene = make_scene(1, True)
    mask = make_mask(scene)
    with pytest.raises(UserError, match=r"look.png: .*one size; found a scene of \(48, 72\), a mask of \(47, 72\)"):
        save_quicklook(tmp_path / "look.png", scene, mask.probability[1:], mask.valid)
    assert not list(tmp_path.iterdir())


def test_a_failed_drawing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "look.png"
    path.write_bytes(b"old")
    scene = make_scene(1, True)
    mask = make_mask(scene)
    monkeypatch.setattr(Path, "write_bytes", lambda self, content: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save_quicklook(path, scene, mask.probability, mask.valid)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
