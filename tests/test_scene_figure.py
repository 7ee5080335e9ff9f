"""Scenes drawn for people: sizes and places worked out by hand."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from preprocess.map_lines import MapLines, map_lines
from preprocess.scene_figure import (
    GAP,
    HEAD,
    HEADING,
    LABEL_SIZE,
    STRIPES,
    Panel,
    draw_scene,
    label_place,
    map_key,
    picture_of,
    png,
    scale_of,
)
from tests.run_folder import make_scene


def test_scenes_are_shown_by_whole_numbers() -> None:
    for size, repeat, step, shown in (
        ((300, 380), 2, 1, (600, 760)),
        ((1200, 1500), 1, 2, (600, 750)),
        ((1201, 1501), 1, 2, (600, 750)),
        ((500, 700), 1, 1, (500, 700)),
        ((4000, 300), 1, 4, (1000, 75)),
    ):
        scale = scale_of(*size)
        assert (scale.repeat, scale.step, scale.shown) == (repeat, step, shown)
    assert scale_of(1201, 1501).extent == (-0.5, 1499.5, 1199.5, -0.5)


def test_every_pixel_lies_where_it_belongs() -> None:
    """Of 20 x 30 pixels each is 25 x 25 of the picture; the one that is red is there, and striped ones there."""
    scale = scale_of(20, 30)
    picture, known = np.full((20, 30, 3), 200, np.uint8), np.ones((20, 30), bool)
    picture[7, 11], known[3, 5] = (255, 0, 0), False
    figure, _ = draw_scene("title", [Panel(picture, "", known)], scale, MapLines(), [], [])
    pixels = np.asarray(Image.open(io.BytesIO(png(figure))).convert("RGB")).astype(int)
    red = np.argwhere((pixels[..., 0] > 250) & (pixels[..., 1] < 5))
    assert len(red) == 25 * 25
    assert red.min(0).tolist() == [HEAD + HEADING + 7 * 25, GAP + 11 * 25]
    striped = pixels[HEAD + HEADING + 3 * 25 :, GAP + 5 * 25 :][:25, :25]
    assert {tuple(rgb) for rgb in striped.reshape(-1, 3).tolist()} == set(STRIPES)


def test_a_label_stays_within_the_panel_and_off_others() -> None:
    scale = scale_of(100, 100)
    line = np.stack([np.arange(0, 100.0), np.full(100, 50.0)], 1)
    first = label_place(line, scale, [], True)
    assert first is not None
    assert first.tolist() == [5, 50], "4.5 of 100 columns are margin"
    second = label_place(line, scale, [first], True)
    assert second is not None
    assert second[0] == np.floor(5 + 100 * LABEL_SIZE[0]) + 1
    assert label_place(line[:3], scale, [], True) is None


def test_the_key_names_what_is_drawn_and_nothing_else() -> None:
    scene = make_scene(1, False)
    lines = map_lines(scene.latitude, scene.longitude, scene.flags)
    assert [entry.text for entry in map_key(lines, True)] == [
        "graticule: 0.5° of latitude, 1° of longitude",
        "striped: no data",
    ]
    assert map_key(MapLines(), False) == []
    nowhere = replace(scene, latitude=np.full_like(scene.latitude, np.nan))
    with Image.open(io.BytesIO(picture_of(nowhere))) as image:
        assert image.width == 800, "room for a name"
