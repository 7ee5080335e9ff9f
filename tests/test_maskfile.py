"""Mask files: what is written is read back exactly; the original's files are read; broken ones are named."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from jaxmask.maskfile import Mask, find_masks, product_info, read_attributes, read_mask, write_mask
from preprocess.errors import UserError


def example(height: int = 5, width: int = 7) -> Mask:
    rng = np.random.default_rng(1)
    probability = rng.random((height, width), np.float32)
    valid = rng.random((height, width)) > 0.3
    attributes = {"model": "ab12", "threshold": 0.25, "force": True, "rows": 5, "product": json.dumps({"day": False})}
    return Mask("NAME", probability, valid, attributes)


@pytest.mark.quick
def test_round_trip_is_exact(tmp_path: Path) -> None:
    mask = example()
    write_mask(tmp_path / "NAME.h5", mask)
    back = read_mask(tmp_path / "NAME.h5")
    np.testing.assert_array_equal(back.probability, mask.probability)
    np.testing.assert_array_equal(back.valid, mask.valid)
    assert back.name == "NAME"
    assert back.attributes == mask.attributes == read_attributes(tmp_path / "NAME.h5")
    assert back.threshold == 0.25
    assert product_info(back) == {"day": False}


def test_layout_is_the_originals(tmp_path: Path) -> None:
    write_mask(tmp_path / "NAME.h5", example())
    with h5py.File(tmp_path / "NAME.h5") as file:
        assert (file["mask"].shape, file["mask"].dtype) == ((1, 5, 7, 1), np.float32)
        assert (file["valid"].shape, file["valid"].dtype) == ((1, 5, 7, 1), np.uint8)
    assert [path.name for path in tmp_path.iterdir()] == ["NAME.h5"]


def test_original_file_is_valid_everywhere_but_where_it_is_nan(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float64).reshape(1, 3, 4, 1) / 11
    values[0, 1, 2, 0] = np.nan
    with h5py.File(tmp_path / "OLD.h5", "w") as file:
        file["mask"] = values
    mask = read_mask(tmp_path / "OLD.h5")
    assert mask.attributes == {}
    assert mask.threshold == 0.5
    assert mask.valid.sum() == 11
    assert mask.probability[1, 2] == 0.5
    assert mask.probability[2, 3] == 1.0


def test_nan_and_shapes_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    mask = example()
    broken = Mask("X", np.full_like(mask.probability, np.nan), mask.valid)
    with pytest.raises(ValueError, match="not finite"):
        write_mask(tmp_path / "X.h5", broken)
    with pytest.raises(ValueError, match=r"must be \(H, W\)"):
        write_mask(tmp_path / "X.h5", Mask("X", mask.probability, mask.valid[:2]))
    assert list(tmp_path.iterdir()) == []


def test_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "A.h5").write_bytes(b"\x89HDF\r\n\x1a\n cut short")
    with pytest.raises(UserError, match=r"A\.h5 is not a whole HDF5 file.*infer again"):
        read_mask(tmp_path / "A.h5")
    with pytest.raises(UserError, match="no such mask file"):
        read_mask(tmp_path / "B.h5")
    with h5py.File(tmp_path / "C.h5", "w") as file:
        file["other"] = np.zeros(3)
    with pytest.raises(UserError, match=r"C\.h5: expected a dataset 'mask'.*found \['other'\]"):
        read_mask(tmp_path / "C.h5")
    with h5py.File(tmp_path / "D.h5", "w") as file:
        file["mask"] = np.zeros((5, 7))
    with pytest.raises(UserError, match=r"D\.h5: 'mask' should be numbers of shape .* found float64 \(5, 7\)"):
        read_mask(tmp_path / "D.h5")


def test_find_masks_skips_the_table_of_predictions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        find_masks(tmp_path / "none")
    (tmp_path / "sst_predictions.h5").touch()
    (tmp_path / ".B.h5").touch()
    with pytest.raises(UserError, match="holds no masks"):
        find_masks(tmp_path)
    (tmp_path / "B.h5").touch()
    (tmp_path / "A.h5").touch()
    assert [path.name for path in find_masks(tmp_path)] == ["A.h5", "B.h5"]
