"""Packed images: unpacked by a slow reader of the format, pixel after pixel, they are what was packed."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from jaxmask.packing import MOST_QUANTA, Packed, Predictor, pack, quanta

PREDICTORS: tuple[Predictor, ...] = ("none", "left", "mean", "plane")


def unpacked(packed: Packed, rows: int, columns: int) -> list[int | None]:
    """As the docstring of jaxmask.packing tells it, in Python's integers; None where nothing is known."""
    data = zlib.decompress(base64.b64decode(packed.data))
    size = rows * columns
    codes: dict[tuple[int, int], int] = {}
    for i in range(size):
        row, column = divmod(i, columns)
        folded = sum(data[plane * size + i] << (8 * plane) for plane in range(packed.planes))
        left, upper = codes.get((row, column - 1), 0), codes.get((row - 1, column), 0)
        between = codes.get((row - 1, column - 1), 0)
        before = {"none": 0, "left": left, "mean": (left + upper) // 2, "plane": left + upper - between}
        codes[row, column] = before[packed.predictor] + (-(folded + 1) // 2 if folded % 2 else folded // 2)
    return [code - 1 + packed.lowest if code else None for code in codes.values()]


@pytest.mark.quick
@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("quantum", [0.002, 0.2, 3.0])
def test_a_value_comes_back_within_half_a_quantum(predictor: Predictor, quantum: float) -> None:
    rng = np.random.default_rng(3)
    values = (280 + 15 * rng.standard_normal((9, 14))).astype(np.float32)
    known = rng.random(values.shape) < 0.8
    values[2, 3], known[2, 3] = np.nan, True
    whole, usable = quanta(values, known, quantum)
    assert (usable == (known & np.isfinite(values))).all()
    found = unpacked(pack(whole, usable, predictor), 9, 14)
    for value, there, number in zip(values.ravel(), usable.ravel(), found, strict=True):
        assert (number is not None) == there
        if number is not None:
            # and what float64 rounds of 300 quantum / quantum, some 1e-13
            assert abs(number * quantum - float(value)) <= quantum / 2 + 1e-12


def test_extremes_come_back_and_what_is_beyond_is_no_data() -> None:
    most = float(MOST_QUANTA - 1)
    values = np.array([[most, -most, most], [-most, most, -most], [MOST_QUANTA, -np.inf, 0]], np.float32)
    whole, usable = quanta(values, np.ones((3, 3), bool), 1.0)
    assert usable.tolist() == [[True] * 3, [True] * 3, [False, False, True]]
    for predictor in PREDICTORS:
        found = unpacked(pack(whole, usable, predictor), 3, 3)
        assert [number for number in found if number is not None] == whole[usable].tolist()


def test_an_image_of_nothing_is_packed() -> None:
    nothing = np.zeros((2, 3), bool)
    assert unpacked(pack(np.zeros((2, 3), np.int32), nothing, "mean"), 2, 3) == [None] * 6
