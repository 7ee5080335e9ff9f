"""Every native rule on a hand-made 4 x 4 product, and what the reference convention keeps of the original's faults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from preprocess.compose import make_scene
from preprocess.errors import UserError
from preprocess.level1 import CONFIDENCE_BITS, FlagField, Grid, Packed
from preprocess.scene import MISSING, Scene, fit
from preprocess.shard_fields import FIELDS
from tests.products import (
    COSMETIC,
    DAY,
    SATURATION,
    START_OFFSET,
    SUMMARY,
    TIE_TRACK,
    TIES,
    UNFILLED,
    UNFILLED_PIXEL,
    flag_fields,
    make_product,
)

ALL_CHANNELS, SOLAR, THERMAL = 0b111111111, 0b000111111, 0b111000000


def confidence(**bits: int) -> dict[str, FlagField]:
    """Flags of a 4 x 4 product by day with some bits set at named pixels: confidence(p12=COSMETIC) sets (1, 2)."""
    field = np.full((4, 4), DAY, np.uint16)
    for where, mask in bits.items():
        field[int(where[1]), int(where[2])] |= mask
    return flag_fields(field, np.zeros((4, 4), np.uint8))


@pytest.mark.quick
def test_a_plain_product_by_hand() -> None:
    # pi * 100 / (200 pi * cos 60 degrees) = 1
    scene = make_scene(make_product(), rads=True)
    np.testing.assert_allclose(scene.refs, np.ones((4, 4, 6)), rtol=3e-7)
    np.testing.assert_array_equal(scene.bts, np.full((4, 4, 3), 280))
    np.testing.assert_array_equal(scene.rads, np.full((4, 4, 6), 100))
    np.testing.assert_array_equal(scene.measured, np.full((4, 4), ALL_CHANNELS))
    for name, value in (("bayes", 0), ("summary", 0), ("valid", 1), ("label_valid", 1)):
        np.testing.assert_array_equal(getattr(scene, name), np.full((4, 4, 1), value))
    floats = ("refs", "bts", "rads", "latitude", "longitude")
    assert [getattr(scene, name).dtype for name in floats] == [np.float32] * 5
    assert [getattr(scene, name).dtype for name in ("bayes", "summary", "valid", "label_valid")] == [np.uint8] * 4
    assert [getattr(scene, name).dtype for name in ("measured", "flags")] == [np.uint16] * 2
    info = scene.info
    assert (info.rows, info.columns, info.track_offset, info.start_offset) == (4, 4, 2, 4081)
    assert (info.convention, info.regridding, info.calibration, info.label_rule) == ("native", "mean", "none", "any")
    assert (info.labelled, info.day, info.rows_cropped, info.sun_distance_au) == (True, True, 0, 1.0)
    np.testing.assert_allclose(info.irradiances, [200 * np.pi] * 6)


def test_radiances_are_left_out_unless_asked_for() -> None:
    assert make_scene(make_product()).rads is None


def test_fill_is_left_out_of_the_mean_and_missing_pixels_hold_the_missing_values() -> None:
    product = make_product()
    product.radiances[1].counts[0, 0] = np.nan  # one of four: the mean is of the other three
    product.radiances[1].counts[0, 1] = 400
    product.radiances[2].counts[2:4, 2:4] = np.nan  # all four of pixel (1, 1)
    product.bt[0, 3, 3] = np.nan
    scene = make_scene(product, rads=True)
    np.testing.assert_allclose(scene.refs[0, 0, 1], 2.0, rtol=3e-7)  # mean(400, 100, 100) = 200
    assert scene.refs[1, 1, 2] == 0
    assert scene.rads is not None
    assert scene.rads[1, 1, 2] == 0
    assert scene.bts[3, 3, 0] == 270
    assert scene.measured[0, 0] == ALL_CHANNELS
    assert scene.measured[1, 1] == ALL_CHANNELS & ~0b100
    assert scene.measured[3, 3] == ALL_CHANNELS & ~(1 << 6)
    assert scene.valid.all()  # S7 alone is missing


def test_a_product_of_fill_alone_holds_no_nan_and_measures_nothing() -> None:
    product = make_product(radiances=(Packed(np.full((8, 8), np.nan, "f4")),) * 6, bt=np.full((3, 4, 4), np.nan, "f4"))
    scene = make_scene(product)
    np.testing.assert_array_equal(scene.refs, np.zeros((4, 4, 6)))
    np.testing.assert_array_equal(scene.bts, np.full((4, 4, 3), 270))
    assert not scene.valid.any()
    assert not scene.measured.any()


def test_valid_means_that_both_s8_and_s9_hold_data() -> None:
    product = make_product()
    product.bt[1, 0, 1] = product.bt[2, 2, 3] = product.bt[0, 3, 0] = np.nan
    expected = np.ones((4, 4, 1))
    expected[0, 1] = expected[2, 3] = 0
    np.testing.assert_array_equal(make_scene(product).valid, expected)


def test_the_sun_of_each_row_is_its_own_whatever_the_start_offset() -> None:
    zenith = np.array([60.0, 0.0, 88.5, 95.0])[:, None] + np.zeros((4, TIES))
    product = make_product(solar_zenith=zenith, grid_tie=Grid(16000, 1000, TIE_TRACK, 99999))
    scene = make_scene(product)
    # 100 pi / (200 pi mu0), mu0 = 1/2, 1, cos 88 degrees, none
    np.testing.assert_allclose(scene.refs[:, 0, 0], [1.0, 0.5, 0.5 / 0.03489949670250097, 0.0], rtol=3e-7)
    np.testing.assert_array_equal(scene.measured[:, 0], [ALL_CHANNELS, ALL_CHANNELS, ALL_CHANNELS, THERMAL])


def test_where_the_sun_is_unknown_nothing_solar_is_measured() -> None:
    zenith = np.full((4, TIES), 60.0)
    zenith[:, TIE_TRACK + 1 :] = np.nan  # the track's own column is the last valid one: pixels beyond it have no angle
    scene = make_scene(make_product(solar_zenith=zenith))
    np.testing.assert_allclose(scene.refs[0, :, 0], [1, 1, 1, 0], rtol=3e-7)
    np.testing.assert_array_equal(scene.measured[0], [ALL_CHANNELS] * 3 + [THERMAL])


def test_labels_count_where_they_were_computed_for_a_pixel_that_was_filled() -> None:
    bayes = np.array([[0, 1, 2, 4], [8, 15, 255, 255], [0, 0, 0, 0], [255, 2, 2, 0]], np.uint8)
    field = np.full((4, 4), DAY, np.uint16)
    field[2, 0] |= UNFILLED
    field[3, 1] |= UNFILLED
    scene = make_scene(make_product(flags=flag_fields(field, bayes)))
    np.testing.assert_array_equal(
        scene.bayes[..., 0], [[0, 255, 255, 255], [255, 255, 0, 0], [0, 0, 0, 0], [0, 0, 255, 0]]
    )
    np.testing.assert_array_equal(scene.label_valid[..., 0], [[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 1, 1]])
    assert scene.info.labelled


@pytest.mark.parametrize(
    ("rule", "cloud"),
    [
        ("any", [[0, 1, 1, 1], [1, 1, 0, 0]]),
        ("single_low", [[0, 1, 0, 0], [0, 1, 0, 0]]),
        ("single_moderate", [[0, 0, 1, 0], [0, 1, 0, 0]]),
        ("dual_low", [[0, 0, 0, 1], [0, 1, 0, 0]]),
        ("dual_moderate", [[0, 0, 0, 0], [1, 1, 0, 0]]),
    ],
)
def test_a_label_rule_takes_its_bit(rule: str, cloud: list[list[int]]) -> None:
    bayes = np.array([[0, 1, 2, 4], [8, 15, 255, 255], [0, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
    product = make_product(flags=flag_fields(np.full((4, 4), DAY, np.uint16), bayes))
    scene = make_scene(product, label_rule=rule)
    np.testing.assert_array_equal(scene.bayes[:2, :, 0], 255 * np.array(cloud))
    assert scene.info.label_rule == rule


def test_labels_of_unfilled_pixels_alone_are_no_labels() -> None:
    bayes, field = np.full((4, 4), 255, np.uint8), np.full((4, 4), DAY, np.uint16)
    bayes[0, 0], field[0, 0] = 0, DAY | UNFILLED
    scene = make_scene(make_product(flags=flag_fields(field, bayes)))
    assert not scene.info.labelled
    assert not scene.label_valid.any()


@pytest.mark.parametrize(
    ("rule", "known"), [("any", [1, 1, 1, 1]), ("single_low", [1, 1, 1, 1]), ("dual_low", [0, 0, 1, 1])]
)
def test_a_dual_label_is_known_where_the_oblique_view_looks_alone(rule: str, known: list[int]) -> None:
    """Columns 0..3 lie 452..449 km left of the track, where the oblique view begins 450 left of it; or right of it."""
    ties: dict[str, Any] = {"grid_tie": Grid(16000, 1000, 64, START_OFFSET), "solar_zenith": np.full((4, 130), 60.0)}
    for track, expected in ((452, known), (-448, known[::-1])):
        product = make_product(grid_1km=Grid(1000, 1000, track, START_OFFSET), **ties)
        np.testing.assert_array_equal(make_scene(product, label_rule=rule).label_valid[..., 0], [expected] * 4)


def test_bayes_of_255_everywhere_is_no_label_and_stays_255_for_other_readers() -> None:
    scene = make_scene(make_product(flags=flag_fields(np.full((4, 4), DAY, "u2"), np.full((4, 4), 255, "u1"))))
    assert not scene.info.labelled
    assert not scene.label_valid.any()
    assert (fit(scene, 6, 5).bayes == 255).all()


def test_measured_leaves_out_cosmetic_pixels_and_every_exception_but_saturation() -> None:
    product = make_product(flags=confidence(p01=COSMETIC))
    product.radiance_exception[0, 0:2, 0:2] = UNFILLED_PIXEL  # all four 500 m pixels of (0, 0)
    product.radiance_exception[0, 2:4, 0:2] = SATURATION
    product.radiance_exception[0, 4, 0:2] = product.radiance_exception[0, 5, 0] = 2  # three of four of (2, 0)
    product.bt_exception[1, 0, 2] = 2
    product.bt_exception[1, 1, 2] = SATURATION
    product.bt_exception[1, 2, 2] = SATURATION | 2
    expected = np.full((4, 4), ALL_CHANNELS)
    expected[0, 1] = 0
    expected[0, 0] = ALL_CHANNELS & ~1
    expected[0, 2] = expected[2, 2] = ALL_CHANNELS & ~(1 << 7)
    scene = make_scene(product)
    np.testing.assert_array_equal(scene.measured, expected)
    np.testing.assert_allclose(scene.refs[0, 1], 1.0, rtol=3e-7)  # a cosmetic pixel stays in the image


def test_summary_and_day_come_from_the_bits_that_the_product_names() -> None:
    scene = make_scene(make_product(flags=confidence(p12=SUMMARY)))
    expected = np.zeros((4, 4, 1))
    expected[1, 2] = 255
    np.testing.assert_array_equal(scene.summary, expected)
    assert scene.flags[1, 2] == DAY | SUMMARY
    twilight = confidence()
    twilight["confidence"].values[0, 0] = CONFIDENCE_BITS["twilight"]
    assert not make_scene(make_product(flags=twilight)).info.day


def test_flags_are_stored_in_the_usual_bits_even_if_a_processor_moved_them() -> None:
    flags = confidence()
    masks = (1, 2, 4, 8)
    values = np.array([[1, 2, 4, 8]] * 4, np.uint16)
    flags["confidence"] = FlagField(values, masks, ("day", "cosmetic", "unfilled", "summary_cloud"))
    scene = make_scene(make_product(flags=flags))
    np.testing.assert_array_equal(scene.flags[0], [DAY, COSMETIC, UNFILLED, SUMMARY])


def test_calibration_factors_multiply_radiance_and_reflectance() -> None:
    factors = [0.97, 0.98, 0.98, 1.0, 1.11, 1.13]
    scene = make_scene(make_product(), calibration="notice", rads=True)
    np.testing.assert_allclose(scene.refs[0, 0], factors, rtol=3e-7)
    assert scene.rads is not None
    np.testing.assert_allclose(scene.rads[0, 0], np.multiply(100, factors), rtol=3e-7)
    assert (scene.info.calibration, scene.info.calibration_factors) == ("notice", tuple(factors))
    newer = make_scene(make_product(collection="005"), calibration="notice")
    np.testing.assert_allclose(newer.refs[0, 0], np.ones(6), rtol=3e-7)
    assert newer.info.calibration_factors == (1.0,) * 6


def test_a_users_factors_multiply_whatever_the_collection() -> None:
    words = "nadir 0.5 1.0 1.5 2.0 2.5 3.0"
    for collection in ("002", "005"):
        scene = make_scene(make_product(collection=collection), calibration=words)
        np.testing.assert_allclose(scene.refs[0, 0], [0.5, 1, 1.5, 2, 2.5, 3], rtol=3e-7)
        assert (scene.info.calibration, scene.info.calibration_factors) == (words, (0.5, 1.0, 1.5, 2.0, 2.5, 3.0))


@pytest.mark.parametrize("convention", ["native", "reference"])
def test_the_distance_of_the_sun_is_recorded_and_not_applied(convention: str) -> None:
    """The irradiances of a product are those of its day: the distance is in them already."""
    near, far = (
        make_scene(make_product(sun_distance_au=distance), convention=convention, rads=True)
        for distance in (0.983, 1.017)
    )
    assert (near.info.sun_distance_au, far.info.sun_distance_au) == (0.983, 1.017)
    np.testing.assert_array_equal(near.refs, far.refs)
    np.testing.assert_array_equal(near.rads, far.rads)


def test_irradiance_is_the_mean_of_the_detectors_and_the_first_ones_for_reference() -> None:
    irradiance = np.tile([100 * np.pi, 300 * np.pi, np.nan, np.nan], (6, 1))
    product = make_product(irradiance=irradiance)
    np.testing.assert_allclose(make_scene(product).info.irradiances, 200 * np.pi)
    np.testing.assert_allclose(make_scene(product, convention="reference").info.irradiances, 100 * np.pi)


def test_an_unknown_first_detector_is_missed_by_reference_alone() -> None:
    irradiance = np.full((6, 4), 200 * np.pi)
    irradiance[4, 0] = np.nan
    product = make_product(irradiance=irradiance)
    np.testing.assert_allclose(make_scene(product).refs, 1.0, rtol=3e-7)
    with pytest.raises(UserError, match=r"the irradiance of the first detector of S5 is unknown.*--convention native"):
        make_scene(product, convention="reference")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"convention": "other"}, "--convention must be one of native, reference; found other"),
        ({"calibration": "other"}, "--calibration must be none, notice or a file of factors; found 'other'"),
        ({"label_rule": "other"}, "--label must be one of any, single_low, .*, summary, probability:T .*; found other"),
        ({"regrid": "resize"}, "--regrid must be one of mean, neighbours; found resize"),
        ({"views": ("oblique",)}, "--views must be nadir or nadir,oblique; found oblique"),
        ({"texture": True}, "--texture needs --regrid neighbours; found --regrid mean"),
        (
            {"convention": "reference", "regrid": "neighbours"},
            "--convention reference makes the original's arrays alone",
        ),
        ({"convention": "reference", "views": ("nadir", "oblique")}, "leave out --regrid, --texture and --views"),
    ],
)
def test_unknown_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_scene(make_product(), **setting)


def numbered_scene() -> Scene:
    product = make_product(rows=3, columns=4)
    product.bt[1] = np.arange(12).reshape(3, 4) + 250
    return make_scene(product, rads=True)


@pytest.mark.quick
def test_fit_pads_at_the_bottom_and_right_and_moves_no_pixel() -> None:
    scene = numbered_scene()
    fitted = fit(scene, 5, 6)
    assert fitted.refs.shape == (5, 6, 6)
    np.testing.assert_array_equal(fitted.bts[:3, :4], scene.bts)
    outside = np.ones((5, 6), bool)
    outside[:3, :4] = False
    for name, value in {"refs": 0, "bts": 270, "rads": 0, "valid": 0, "label_valid": 0, "measured": 0}.items():
        assert (getattr(fitted, name)[outside] == value).all(), name
    assert np.isnan(fitted.latitude[outside]).all()
    assert (fitted.info.rows, fitted.info.rows_cropped) == (3, 0)


def test_fit_crops_at_the_bottom_and_right_and_says_how_many_rows_are_lost() -> None:
    scene = numbered_scene()
    fitted = fit(scene, 2, 3)
    np.testing.assert_array_equal(fitted.bts, scene.bts[:2, :3])
    assert (fitted.info.rows, fitted.info.rows_cropped) == (3, 1)
    assert (fitted.info.columns, fitted.info.columns_cropped) == (4, 1)


def test_fit_that_cuts_off_every_label_leaves_an_unlabelled_scene() -> None:
    product = make_product()
    product.flags["bayes"].values[:3] = 255
    scene = make_scene(product)
    assert scene.info.labelled
    assert fit(scene, 4, 3).info.labelled
    fitted = fit(scene, 3, 5)
    assert not fitted.info.labelled
    assert (fitted.bayes == 255).all()


def test_fit_takes_every_array_that_a_scene_holds_along() -> None:
    """Optional ones too: each keeps its pixels, and holds outside them what its own missing value is."""
    draws = np.random.default_rng(0)
    scene = numbered_scene()
    extra = {
        field.name: draws.integers(1, 200, field.shape(3, 4)).astype(field.dtype) for field in FIELDS if field.optional
    }
    fitted = fit(replace(scene, **extra), 5, 3)
    outside = {"oblique_bts": 270}
    assert {"texture", "oblique_refs", "oblique_bts", "oblique_valid", "oblique_measured"} < set(extra)
    for name, array in extra.items():
        found = getattr(fitted, name)
        assert found.dtype == array.dtype, name
        np.testing.assert_array_equal(found[:3], array[:, :3], name)
        assert (found[3:] == outside.get(name, 0)).all(), name
        assert found.shape[:2] == (5, 3), name
    assert set(MISSING) == {field.name for field in FIELDS}
    assert (fitted.info.rows_cropped, fitted.info.columns_cropped) == (0, 1)
    plain = fit(replace(scene, rads=None), 5, 3)
    assert all(getattr(plain, name) is None for name in extra)


def test_fit_to_the_same_size_changes_nothing() -> None:
    scene = numbered_scene()
    assert fit(scene, 3, 4) is scene


@pytest.fixture(scope="module")
def reference_scene() -> Scene:
    """A 4 x 5 product with a fill corner and one cloudy pixel, in the reference convention."""
    product = make_product(rows=4, columns=5)
    for packed in product.radiances:
        packed.counts[:2, :2] = np.nan
    product.bt[:, 0, 0] = np.nan
    product.flags["bayes"].values[3, 4] = 255
    product.flags["bayes"].values[3, 3] = 2
    product.latitude[3, 4] = 51
    return make_scene(product, convention="reference")


def test_reference_is_1200_by_1500_with_fill_as_zero(reference_scene: Scene) -> None:
    scene = reference_scene
    assert scene.refs.shape == (1200, 1500, 6)
    # Each 1 km pixel spans 300 x 300, the first one's centre lies at 149.5; from there to the next one's centre 0 K is
    # blended into 280 K: the fault that the convention keeps. The rows mix in less than 1 / 300.
    columns = np.arange(150, 450)
    np.testing.assert_allclose(scene.bts[150, columns, 1], 280 * (columns - 149.5) / 300, atol=1)
    # Each 500 m pixel spans 150 x 150: between the centres of the four that are fill lie zeros alone.
    assert (scene.refs[75:224, 75:224] == 0).all()
    np.testing.assert_allclose(scene.bts[600, 750], 280, rtol=1e-6)
    np.testing.assert_allclose(scene.refs[900, 1000], 1.0, rtol=1e-6)
    assert scene.info.regridding == "resize"


def test_reference_makes_a_label_never_computed_a_cloud_but_says_that_it_was_not(reference_scene: Scene) -> None:
    bayes, label_valid = reference_scene.bayes[..., 0], reference_scene.label_valid[..., 0]
    assert (bayes[1050, 1050:1350] >= 254).all()  # between the centres of (3, 3), cloud, and (3, 4), never computed
    assert (label_valid[900:, 1200:] == 0).all()
    assert (label_valid[900:, :1200] == 1).all()
    assert set(np.unique(bayes)) > {0, 128, 255}  # greys between, as the original writes them


def test_reference_stretches_what_the_original_lacks_by_nearest_neighbour(reference_scene: Scene) -> None:
    scene = reference_scene
    assert (scene.valid[:300, :300] == 0).all()
    assert scene.valid[300:, :].all()
    assert scene.valid[:, 300:].all()
    np.testing.assert_array_equal(scene.measured[:300, :300], 0)
    assert set(np.unique(scene.latitude)) == {50, 51}
    assert (scene.latitude[900:, 1200:] == 51).all()
    assert (scene.flags == DAY).all()


def test_a_reference_scene_keeps_its_size(reference_scene: Scene) -> None:
    with pytest.raises(UserError, match="a reference scene is always 1200 x 1500; asked for 4 x 5"):
        fit(reference_scene, 4, 5)
