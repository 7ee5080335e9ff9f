"""The original's mask of the completed real product: tiles, weights, inputs and stitching agree to its last stage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from jaxmask.infer import main
from jaxmask.infer_config import InferConfig
from jaxmask.maskfile import read_mask


def test_mask_is_the_originals(reference: Path, complete_product_tool: Path, tmp_path: Path) -> None:
    command = [sys.executable, complete_product_tool, tmp_path / "raw", "--seed", "0", "--labels", "cloud"]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))
    config = InferConfig(
        model=reference / "keras_model_A.h5",
        scenes=tmp_path / "raw",
        predictions=tmp_path / "masks",
        tiling="reference",
        workers=0,
        quiet=True,
    )
    assert main(config) == 0
    [path] = (tmp_path / "masks").glob("*.h5")
    mask, wanted = read_mask(path).probability, np.load(reference / "inference_A.npz")
    assert (1, *mask.shape, 1) == tuple(wanted["shape"])
    # Two float32 networks from inputs that agree to 2e-4; the original's own tolerance.
    close = {"rtol": 0, "atol": 1e-3}
    for (row, column), window in zip(wanted["windows_yx"], wanted["windows"], strict=True):
        np.testing.assert_allclose(mask[row : row + 48, column : column + 48], window, **close)
    np.testing.assert_allclose(mask.mean(axis=1), wanted["row_means"], **close)
    np.testing.assert_allclose(mask.mean(axis=0), wanted["column_means"], **close)
    np.testing.assert_allclose([mask.mean(), mask.std()], [wanted["mean"], wanted["std"]], **close)
