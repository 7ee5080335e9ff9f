"""What is warned of: impossible values, empty and constant channels, irradiances of another channel."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.channel_numbers import channel_numbers, flag_shares, packed_numbers
from preprocess.level1 import FlagField, Packed
from preprocess.plausible import (
    BT_RANGE_K,
    IRRADIANCES,
    REFLECTANCE_RANGE,
    channel_warnings,
    extent_warnings,
    irradiance_warnings,
    radiance_range,
)

EVERYWHERE = np.ones((20, 100), bool)


def temperatures(*odd: float) -> np.ndarray:
    """2000 pixels from 230 to 300 K but for the odd ones, which come first."""
    image = np.linspace(230, 300, 2000, dtype=np.float32)
    image[: len(odd)] = odd
    return image.reshape(20, 100)


def warnings_of(values: np.ndarray, name: str = "S8", day: float = 1.0) -> list[str]:
    known = np.isfinite(values)
    return channel_warnings({name: channel_numbers(values, known, known, "K", BT_RANGE_K)}, day)


@pytest.mark.quick
def test_more_than_one_value_in_a_thousand_must_be_impossible() -> None:
    """2 of 2000 is one in a thousand, and tolerated; 3 are told, with how far they go."""
    assert warnings_of(temperatures(100, 400)) == []
    assert warnings_of(temperatures(100, 400, 28000)) == [
        "S8: 0.15 % of its values are impossible, outside 160 to 345 K; they go from 100 to 2.8e+04"
    ]
    assert warnings_of(temperatures() - 273.15)[0].startswith("S8: 100 % of its values are impossible")


def test_channels_without_data_are_told_unless_it_is_night() -> None:
    nothing = np.full((20, 100), np.nan, np.float32)
    assert warnings_of(nothing) == ["S8: no data on any pixel"]
    assert warnings_of(nothing, day=0) == ["S8: no data on any pixel"]
    assert warnings_of(nothing, name="S1") == ["S1: no data on any pixel"]
    assert warnings_of(nothing, name="S1", day=0) == []


def test_a_constant_channel_is_told() -> None:
    assert warnings_of(np.full((20, 100), 283.73, np.float32)) == ["S8: every value is 283.73 K"]


def test_the_greatest_radiance_is_that_of_a_bright_cloud_under_an_overhead_sun() -> None:
    """1.6 * 1837 / pi by hand."""
    assert radiance_range(1837.0) == pytest.approx((-29.24, 935.6), rel=1e-3)
    assert REFLECTANCE_RANGE == (-0.05, 1.6)


def test_irradiances_are_those_of_their_own_channel() -> None:
    assert irradiance_warnings([value * 1.034 for value in IRRADIANCES]) == []
    assert irradiance_warnings([]) == []
    swapped = list(IRRADIANCES)
    swapped[4], swapped[5] = swapped[5], None
    assert irradiance_warnings(swapped) == [
        "S5: its solar irradiance is 78.33 mW m-2 nm-1; expected 248.33 within 10 %",
        "S6: its solar irradiance is nan mW m-2 nm-1; expected 78.33 within 10 %",
    ]


def test_angles_off_the_globe_are_told() -> None:
    assert extent_warnings("latitude", [-90, 90], -90, 90) == []
    assert extent_warnings("latitude", [None, None], -90, 90) == []
    assert extent_warnings("latitude", [-89, 5e6], -90, 90) == [
        "latitude: goes from -89 to 5e+06; it must lie within -90 and 90 degrees"
    ]


@pytest.mark.parametrize("fill", [-32768.0, None])
def test_packed_channels_are_counted_as_if_unpacked(fill: float | None) -> None:
    """Oracle: the unpacked values, averaged in float64."""
    counts = np.random.default_rng(0).integers(-32768, 32768, (30, 40)).astype(np.int16)
    counts[0, :3] = -32768
    packed = Packed(counts, 0.01, 283.73, fill)
    values = packed.values("f8")
    known = np.isfinite(values)
    found = packed_numbers(packed, known, "K", BT_RANGE_K)
    held = values[known]
    assert (found["min"], found["max"]) == (held.min(), held.max())
    assert found["mean"] == pytest.approx(held.mean(), rel=1e-12)
    assert found["share"] == known.mean()
    assert found["outside_share"] == pytest.approx(((held < 160) | (held > 345)).mean(), rel=1e-12)


def test_flag_shares_are_counted_by_name() -> None:
    """Bits of one name are one flag: 1 of 4 pixels has the first bit, 2 of 4 one of the two called spare."""
    values = np.array([[1, 2], [4, 0]], np.uint8)
    field = FlagField(values, (1, 2, 4, 8), ("first", "spare", "spare", "last"))
    assert flag_shares(field) == {"first": 0.25, "spare": 0.5, "last": 0.0}
    wide = FlagField(values.astype(np.int32), field.masks, field.meanings)
    assert flag_shares(wide) == flag_shares(field)
