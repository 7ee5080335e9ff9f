"""Label rules on products of 4 x 4 pixels by hand, fill that is never a label, and surfaces of one label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preprocess.compose import make_scene
from preprocess.errors import UserError
from preprocess.labels import (
    SURFACE_CLASSES,
    ClassCounts,
    add_counts,
    cloudy_pixels,
    constant_classes,
    constant_warnings,
    count_classes,
    is_labelled,
    labelled_pixels,
    parse_label_rule,
)
from preprocess.level1 import CONFIDENCE_BITS, Product
from tests.products import DAY, SUMMARY, UNFILLED, make_product

RULES = ("any", "single_low", "single_moderate", "dual_low", "dual_moderate", "summary", "probability:0.5")


def labelled_product() -> Product:
    """Row 0: bits 0 1 2 3, row 1: 4 8 255 0, the last pixel unfilled; P(cloud) 0, 0.5, 0.9, 1, NaN and beyond 0..1."""
    product = make_product()
    bayes, confidence = product.flags["bayes"].values, product.flags["confidence"].values
    bayes[:2] = [[0, 1, 2, 3], [4, 8, 255, 0]]
    confidence[0, 1] |= SUMMARY
    confidence[1, 3] |= UNFILLED
    probability = np.zeros((4, 4), np.float32)
    probability[:2] = [[0, 0.5, 0.9, 1], [np.nan, 2, -1, 0.9]]
    return replace(product, probability_single=probability)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("rule", "cloud", "known"),
    [
        ("any", [[0, 1, 1, 1], [1, 1, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]]),
        ("single_low", [[0, 1, 0, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]]),
        ("single_moderate", [[0, 0, 1, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]]),
        ("dual_low", [[0, 0, 0, 0], [1, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]]),
        ("dual_moderate", [[0, 0, 0, 0], [0, 1, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]]),
        ("summary", [[0, 1, 0, 0], [0, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 1, 0]]),
        ("probability:0.5", [[0, 1, 1, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [0, 0, 0, 0]]),
        ("probability:0.9", [[0, 0, 1, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [0, 0, 0, 0]]),
        ("probability:0.91", [[0, 0, 0, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [0, 0, 0, 0]]),
    ],
)
def test_each_rule_by_hand(rule: str, cloud: list[list[int]], known: list[list[int]]) -> None:
    """The float32 of P 0.9 is below the float64 0.9: compared as they are stored, 0.9 is cloud at T 0.9."""
    product = labelled_product()
    labelled = labelled_pixels(product, rule)
    np.testing.assert_array_equal(labelled[:2], known)
    np.testing.assert_array_equal((cloudy_pixels(product, rule) & labelled)[:2], cloud)
    scene = make_scene(product, label_rule=rule)
    np.testing.assert_array_equal(scene.bayes[:2, :, 0], 255 * np.array(cloud))
    np.testing.assert_array_equal(scene.label_valid[:2, :, 0], known)
    assert (scene.info.label_rule, scene.info.labelled) == (rule, True)


@pytest.mark.parametrize("rule", RULES)
def test_fill_is_never_a_label(rule: str) -> None:
    """A product whose pixels are all 255, NaN or unfilled is unlabelled, and 255 for readers that know no better."""
    product = labelled_product()
    product.flags["bayes"].values[:] = 255
    product.flags["confidence"].values[:] |= UNFILLED
    empty = replace(product, probability_single=np.full((4, 4), np.nan, np.float32))
    for unlabelled in (empty, replace(empty, probability_single=None)):
        assert not is_labelled(unlabelled, rule)
        assert cloudy_pixels(unlabelled, rule).all() or rule == "summary"
        scene = make_scene(unlabelled, label_rule=rule)
        assert not scene.info.labelled
        assert not scene.label_valid.any()
        assert (scene.bayes == 255).all()


def test_collections_without_probability_are_unlabelled_by_it_and_labelled_otherwise() -> None:
    product = make_product()
    assert product.probability_single is None
    assert not labelled_pixels(product, "probability:0.9").any()
    assert labelled_pixels(product, "summary").all()
    assert labelled_pixels(product).all()


def test_a_product_that_the_oblique_view_does_not_see_has_no_dual_label() -> None:
    product = make_product()
    far = replace(product, grid_1km=replace(product.grid_1km, track_offset=998))  # columns 0..3 are 995 km away
    assert is_labelled(far, "single_low")
    assert not make_scene(far, label_rule="dual_low").info.labelled


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *((rule, rule) for rule in RULES),
        ("probability:.5", "probability:0.5"),
        ("probability:0.50", "probability:0.5"),
        ("probability:5e-1", "probability:0.5"),
        ("probability:0.9", "probability:0.9"),
    ],
)
def test_rules_are_spelt_alike(text: str, rule: str) -> None:
    assert parse_label_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    ["", "bayes", "Summary", "probability", "probability:", "probability:0", "probability:1", "probability:1.5",
     "probability:-0.5", "probability:nan", "probability:50%", "probability:0.5 ", "probability:1e-400"],
)  # fmt: skip
def test_other_rules_are_refused(text: str) -> None:
    expected = (
        "any, single_low, single_moderate, dual_low, dual_moderate, summary, probability:T with T between 0 and 1"
    )
    with pytest.raises(UserError, match=f"--label must be one of {expected}; found {text}"):
        parse_label_rule(text)


def test_labelled_pixels_are_counted_by_surface() -> None:
    ocean, land, coast, snow = (CONFIDENCE_BITS[name] for name in ("ocean", "land", "coastline", "snow"))
    flags = np.array([[ocean, ocean | coast, land], [land | snow, land | DAY, ocean]], np.uint16)
    cloud = np.array([[1, 0, 1], [0, 0, 1]], bool)
    known = np.array([[1, 1, 1], [1, 1, 0]], bool)
    counts = count_classes(flags, cloud, known)
    by_name = dict(zip(SURFACE_CLASSES, zip(*counts, strict=True), strict=True))
    assert by_name == {
        "ocean": (2, 1), "land": (3, 1), "coastline": (1, 0), "inland_water": (0, 0), "tidal": (0, 0), "snow": (1, 0)
    }  # fmt: skip
    doubled = add_counts([counts, ClassCounts((), ()), counts])
    assert doubled == ClassCounts(tuple(2 * n for n in counts.pixels), tuple(2 * n for n in counts.cloud))
    assert add_counts([]) == ClassCounts((0,) * 6, (0,) * 6)


@pytest.mark.quick
def test_a_label_constant_over_a_surface_is_told() -> None:
    """Of 10,000 pixels and more, and where 1 in 1000 or fewer are otherwise."""
    counts = ClassCounts((500_000, 20_000, 9_999, 10_000, 10_000, 0), (200_000, 0, 0, 9_990, 11, 0))
    assert constant_classes(counts) == {"land": "clear", "inland_water": "cloud"}
    first, second = constant_warnings(counts)
    assert first.startswith("land: all of its 20,000 labelled pixels (but 1 in 1000 at most) are clear, and a model")
    assert second.startswith("inland water: all of its 10,000 labelled pixels (but 1 in 1000 at most) are cloud")
    assert "coastline" in constant_classes(counts, least=9_999)


def test_a_scene_carries_the_counts_of_its_surfaces() -> None:
    product = make_product()
    product.flags["confidence"].values[:2] |= CONFIDENCE_BITS["land"]
    product.flags["bayes"].values[:] = [[0, 255, 0, 1], [0, 0, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0]]
    info = make_scene(product).info
    assert info.class_pixels[SURFACE_CLASSES.index("land")] == 7
    assert info.class_cloud[SURFACE_CLASSES.index("land")] == 1
    whole = make_scene(product, convention="reference").info  # 375 x 300 pixels for one, edges blended
    assert abs(whole.class_pixels[SURFACE_CLASSES.index("land")] - 7 * 112_500) < 112_500 / 2
