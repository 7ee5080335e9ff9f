"""The original's match-up statistics, from its table and the eight masks that its README gives by formula."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from jaxmask.matchup_table import read_table
from jaxmask.matchups import product_names
from jaxmask.sst import SstConfig, main

MASKS = 8


def write_formula_masks(table: Path, folder: Path) -> None:
    names, _ = product_names(read_table(table)["cems_path"])
    y, x = np.mgrid[:1200, :1500]
    for i, name in enumerate(names[:MASKS]):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["mask"] = (0.5 + 0.5 * np.sin(y / (37 + i)) * np.cos(x / (53 + 2 * i)))[None, :, :, None]


def test_numbers_are_the_originals(reference: Path, tmp_path: Path) -> None:
    table = reference / "sst_matchups_A.h5"
    write_formula_masks(table, tmp_path)
    assert main(SstConfig(matchups=table, predictions=tmp_path)) == 0
    found = json.loads((tmp_path / "sst.json").read_text())["reference"]
    expected = json.loads((reference / "sst_A.json").read_text())
    # Both work in float64 from the same file: 1e-6 K is far above rounding, far below the noise.
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert (found["bayes_count"], found["unet_count"], found["rows_with_mask"]) == (145, 83, 945)
