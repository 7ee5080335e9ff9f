"""Images in physical units: what can't be the nine channels is told by what it looks like."""

from __future__ import annotations

import re

import numpy as np
import pytest

from jaxmask.physical import check_shape, check_values, filled, has_thermal
from preprocess.errors import UserError
from tests.shards import make_scene, product_name

EVERYWHERE = np.ones((64, 96), bool)


def scene_image() -> np.ndarray:
    scene = make_scene(product_name(0))
    return np.concatenate([scene.refs, scene.bts], axis=-1)


def refusal(image: np.ndarray, valid: np.ndarray = EVERYWHERE) -> str:
    with pytest.raises(UserError) as caught:
        check_values(image, valid)
    return str(caught.value)


@pytest.mark.quick
def test_channels_in_their_units_pass() -> None:
    image = scene_image()
    check_values(image, EVERYWHERE)
    night = image.copy()
    night[..., :6] = np.nan
    check_values(night, EVERYWHERE)
    night[..., :6] = 0  # as in a shard
    check_values(night, EVERYWHERE)
    gaps = image.copy()
    gaps[:40, :, 6:] = 0  # the original's missing temperature
    gaps[40:, :, 6] = np.nan  # S7 saturates
    check_values(gaps, EVERYWHERE)
    glint = image.copy()
    glint[:5, :, :6] = 40  # a dark column under the original's wrong sun
    check_values(glint, EVERYWHERE)


def test_degrees_celsius() -> None:
    image = scene_image()
    image[..., 6:] -= 273.15
    assert re.match(r"image: expected S7 in K, from 160 to 345; its median is -?\d.*, like degrees C.*; add 273.15$",
                    refusal(image))  # fmt: skip


def test_per_cent_and_counts() -> None:
    image = scene_image()
    image[..., :6] *= 100
    assert "a tenth is above 8" in refusal(image)
    assert "like a percentage or a count; divide percent by 100, or apply scale and offset" in refusal(image)
    counts = scene_image()
    counts[..., 6:] = (counts[..., 6:] - 283.73) / 0.01  # S9_BT of a product
    assert "brightness temperatures hold -4" in refusal(counts)
    half = scene_image()
    half[..., 6:] *= 2
    assert "expected S7 in K" in refusal(half)
    assert refusal(half).endswith("; apply the scale and offset of its file")


def test_another_order() -> None:
    image = scene_image()
    assert re.match(r"image: S1 holds values about \d+.*, like temperatures; the order is the reflectances S1 to S6",
                    refusal(np.roll(image, 3, axis=-1)))  # fmt: skip
    image[..., [0, 8]] = image[..., [8, 0]]
    assert "S1 holds values about" in refusal(image)
    image = scene_image()
    image[..., 6] = image[..., 0]
    assert "expected S7 in K" in refusal(image)
    assert "like a reflectance or 0 degrees Celsius" in refusal(image)


@pytest.mark.parametrize("fill", [-999.0, -32768.0, 9.97e36, np.inf, -np.inf])
def test_fill_values(fill: float) -> None:
    for channel, name in ((2, "reflectances"), (7, "brightness temperatures")):
        image = scene_image()
        image[3, 4, channel] = fill
        assert refusal(image) == (
            f"image: its {name} hold {fill:g}, which is no measurement but a fill value; write missing values as NaN"
        )


def test_a_small_fill_value_among_temperatures_in_k() -> None:
    image = scene_image()
    image[3, 4, 7] = -1
    assert "temperatures hold -1, which is no measurement" in refusal(image)


def test_nothing_but_missing_values() -> None:
    assert "no pixel has both S8 and S9" in refusal(scene_image(), ~EVERYWHERE)


def test_shapes() -> None:
    for shape in ((4, 6, 9), (2, 4, 6, 9)):
        check_shape(np.zeros(shape, np.float32))
    check_shape(np.zeros((4, 6, 9), np.int16))
    order = r"the reflectances S1 to S6, then the brightness temperatures S7 to S9 in K"
    expected = rf"image: expected numbers of shape \(H, W, 9\) or \(B, H, W, 9\), {order}; found "
    for array, found in (
        (np.zeros((9, 4, 6)), r"float64 \(9, 4, 6\); if axis 0 holds the channels, give np.moveaxis\(image, 0, -1\)$"),
        (np.zeros((2, 9, 4, 6)), r"float64 \(2, 9, 4, 6\); if axis 1 holds .*np.moveaxis\(image, 1, -1\)$"),
        (np.zeros((4, 6, 3)), r"float64 \(4, 6, 3\)$"),
        (np.zeros((6, 9)), r"float64 \(6, 9\)$"),
        (np.zeros((0, 6, 9)), r"float64 \(0, 6, 9\)$"),
        (np.zeros((4, 6, 9), bool), r"bool \(4, 6, 9\)$"),
        (np.zeros((4, 6, 9), complex), r"complex128 \(4, 6, 9\)$"),
    ):
        with pytest.raises(UserError, match=expected + found):
            check_shape(array)


def test_missing_values_are_what_the_network_learnt() -> None:
    image = np.full((2, 3, 9), np.nan, np.float64)
    image[0, 0] = np.arange(9)
    image[0, 1, 7:] = 280
    np.testing.assert_array_equal(has_thermal(image), [[True, True, False], [False] * 3])
    native, original = filled(image, "native"), filled(image, "reference")
    np.testing.assert_array_equal(native[0, 0], np.arange(9))
    np.testing.assert_array_equal(native[0, 1], [0, 0, 0, 0, 0, 0, 270, 280, 280])
    np.testing.assert_array_equal(original[0, 1], [0, 0, 0, 0, 0, 0, 0, 280, 280])
    np.testing.assert_array_equal(native[1, 2], [0, 0, 0, 0, 0, 0, 270, 270, 270])
    assert native.dtype == np.float32
    assert np.isnan(image[1]).all()
