"""Maps of mask files: equal to the arrays written, whatever the layout; what is broken is named."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from jaxmask.mask_pixels import map_mask
from jaxmask.maskfile import Mask, write_mask
from preprocess.errors import UserError

HEIGHT, WIDTH = 30, 40


def example() -> Mask:
    rng = np.random.default_rng(1)
    shape = (HEIGHT, WIDTH)
    return Mask(
        "M",
        rng.random(shape, np.float32),
        rng.random(shape) > 0.3,
        {"threshold": 0.25, "convention": "native", "rows": 28, "columns": 40},
        latitude=rng.random(shape, np.float32),
        longitude=rng.random(shape, np.float32),
        flags=rng.integers(0, 2**16, shape).astype(np.uint16),
        measured=rng.integers(0, 2**9, shape).astype(np.uint16),
    )


@pytest.mark.quick
def test_a_map_holds_what_was_written(tmp_path: Path) -> None:
    mask = example()
    write_mask(tmp_path / "M.h5", mask)
    pixels = map_mask(tmp_path / "M.h5")
    np.testing.assert_array_equal(pixels.value, mask.probability)
    np.testing.assert_array_equal(pixels.valid, mask.valid)
    assert isinstance(pixels.value.base, np.memmap)
    for name in ("latitude", "longitude", "flags", "measured"):
        np.testing.assert_array_equal(pixels.fields[name], getattr(mask, name))
        assert isinstance(pixels.fields[name].base, np.memmap)
    assert (pixels.threshold, pixels.native, pixels.rows, pixels.columns) == (0.25, True, 28, 40)
    assert pixels.holds_positions


@pytest.mark.parametrize("options", [{}, {"chunks": True}, {"compression": "gzip"}, {"external": "values.raw"}])
def test_the_originals_files_and_other_layouts(tmp_path: Path, options: dict[str, object]) -> None:
    values = np.random.default_rng(2).random((1, HEIGHT, WIDTH, 1))
    with h5py.File(tmp_path / "M.h5", "w") as file:
        if "external" in options:
            options = {"external": str(tmp_path / "values.raw")}
        file.create_dataset("mask", data=values, **options)
    pixels = map_mask(tmp_path / "M.h5")
    np.testing.assert_array_equal(pixels.value, values[0, :, :, 0])
    assert (pixels.valid, dict(pixels.fields)) == (None, {})
    assert (pixels.threshold, pixels.native, pixels.rows, pixels.columns) == (0.5, False, HEIGHT, WIDTH)
    assert not pixels.holds_positions


def test_fields_of_another_shape_or_kind_are_named(tmp_path: Path) -> None:
    write_mask(tmp_path / "M.h5", example())
    with h5py.File(tmp_path / "M.h5", "a") as file:
        del file["flags"]
        file["flags"] = np.zeros((HEIGHT, 3), np.uint16)
    with pytest.raises(
        UserError, match=r"M\.h5: 'flags' should be numbers of shape \(30, 40\), found uint16 \(30, 3\)"
    ):
        map_mask(tmp_path / "M.h5")
    with h5py.File(tmp_path / "M.h5", "a") as file:
        del file["flags"]
        file.create_group("flags")
    with pytest.raises(UserError, match=r"'flags' should be numbers .* found a group; remove it and run jaxmask.infer"):
        map_mask(tmp_path / "M.h5")


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    write_mask(tmp_path / "M.h5", example())
    whole = (tmp_path / "M.h5").read_bytes()
    (tmp_path / "M.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"M\.h5 is not a whole HDF5 file.*run jaxmask.infer again"):
        map_mask(tmp_path / "M.h5")
