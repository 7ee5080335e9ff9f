"""Charts and pictures: oracles are counts, sizes and pixels worked out by hand."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from jaxmask import colour, figures, panels

SVG = "{http://www.w3.org/2000/svg}"


def _curves() -> str:
    lines = [figures.Line("train", [0.5, 0.3]), figures.Line("test", [None, 0.4])]
    return figures.curves("loss", "Loss & accuracy", [1, 2], lines, "epoch", "loss, nats")


def _texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.quick
def test_a_chart_is_one_svg_in_the_colours_of_its_page() -> None:
    svg = _curves()
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert {"epoch", "loss, nats", "train", "test"} <= set(_texts(svg))
    assert "var(--series-1, #0072b2)" in svg
    assert not re.search("|".join(figures.THEME), svg), "no stand-in colour is left"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "Loss & accuracy", "escaped once"
    assert root.get("aria-labelledby") == title.get("id") == "loss-title"


def test_ids_of_two_charts_differ_and_all_references_resolve() -> None:
    first = _curves()
    second = figures.colour_bar("bar", "Bar", "q", 0.5)
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]
    for svg, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= known
        assert set(re.findall(r'href="#([^"]+)"', svg)) <= known


def test_a_chart_names_no_address_but_xml_namespaces() -> None:
    found = set(re.findall(r"https?://[^\"'\s]+", _curves()))
    assert found <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_same_input_gives_the_same_chart() -> None:
    assert _curves() == _curves()


def test_a_single_epoch_is_drawn() -> None:
    assert "0.5" in figures.curves("one", "One", [1], [figures.Line("train", [0.5])], "epoch", "loss")


def test_what_lies_beyond_the_histogram_is_counted() -> None:
    """24 values within 0.1 K and one at -20 K: the axis stays at its least, 1 K, and says that 1 is missing."""
    values = np.concatenate([np.tile([-0.1, 0.0, 0.1], 8), [-20.0]])
    assert figures.histogram_range_k([values]) == (-1.0, 1.0)
    svg = figures.difference_histogram("h", "H", [figures.Sample("Bayes", values)], "difference, K")
    assert "difference, K (1 beyond the axis)" in _texts(svg)
    two = [figures.Sample("Bayes", values), figures.Sample("U-Net", np.append(values, 20.0))]
    assert "K (1 and 2 beyond the axis)" in _texts(figures.difference_histogram("h", "H", two, "K")), (
        "not 3: many are in both"
    )


def test_histogram_range_is_six_robust_deviations_in_whole_bins() -> None:
    # median of abs is 0.3: 6 * 1.4826 * 0.3 = 2.669, up to 2.7
    assert figures.histogram_range_k([np.array([-0.3, 0.3, 0.3])]) == pytest.approx((-2.7, 2.7), abs=1e-12)
    assert figures.histogram_range_k([np.full(3, 9.0)]) == (-5.0, 5.0)
    assert figures.histogram_range_k([np.zeros(0)]) == (-1.0, 1.0)
    assert figures.histogram_range_k([]) == (-1.0, 1.0)


def test_an_empty_histogram_is_drawn() -> None:
    svg = figures.difference_histogram("h", "H", [figures.Sample("none", np.zeros(0))], "difference, K")
    assert "none" in _texts(svg)


def _decode(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_masks_survive_as_palettes_and_pictures_as_they_are() -> None:
    rng = np.random.default_rng(0)
    mask = colour.cloud_colour(rng.random((40, 50)) < 0.5, np.ones((40, 50), bool))
    content = panels.encode(mask)
    assert Image.open(io.BytesIO(content)).mode == "P"
    np.testing.assert_array_equal(_decode(content), mask)
    picture = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    np.testing.assert_array_equal(_decode(panels.encode(picture)), picture)
    assert panels.encode(picture, "jpeg")[:3] == b"\xff\xd8\xff"


def test_panels_show_label_output_and_difference() -> None:
    base = np.zeros((1, 3, 3), np.uint8)
    label = np.array([[True, False, True]])
    probability = np.array([[0.4, 0.6, 0.9]], np.float32)
    valid = np.array([[True, True, False]])
    shown = panels.scene_panels(base, label, np.ones_like(valid), probability, valid, 0.5)
    assert len(shown) == len(panels.PANEL_TITLES)
    assert [tuple(p) for p in shown[1][0].tolist()] == [colour.CLOUD, colour.CLEAR, colour.NO_DATA]
    assert [tuple(p) for p in shown[3][0].tolist()] == [colour.ONLY_LABEL, colour.ONLY_MASK, colour.NO_DATA]


@pytest.mark.parametrize("noisy", [False, True])
def test_the_wide_picture_keeps_width_size_and_key_colours(noisy: bool) -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (120, 150, 3)).astype(np.uint8) for _ in range(2)]
    label = rng.random((120, 150)) < 0.5
    base = pictures[0] if noisy else np.full((120, 150, 3), 90, np.uint8)
    shown = panels.scene_panels(base, label, label | True, rng.random((120, 150)), label | True, 0.5)
    content = panels.wide_picture([panels.ScenePictures("a_$b$", "remark", shown)] * 3)
    assert len(content) <= panels.WIDE_LIMIT_BYTES
    found = _decode(content)
    assert found.shape[1] == panels.WIDE_PIXELS
    colours = {tuple(c) for c in found[-panels.FOOT :].reshape(-1, 3).tolist()}
    assert {colour.ONLY_LABEL, colour.ONLY_MASK, colour.CLEAR} <= colours, "the key shows the maps' own colours"
