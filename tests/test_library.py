"""The library: its example, and arrays, scenes and xarray against what infer writes."""

from __future__ import annotations

import doctest
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import xarray
from scipy.special import expit, logit

import jaxmask
from jaxmask import CloudModel, image_of, library, load_model, load_scene, predict_scene, unet
from jaxmask.infer import main
from jaxmask.infer_config import InferConfig
from jaxmask.maskfile import read_mask
from jaxmask.probability import ProbabilityFit
from jaxmask.probability_file import store_fit
from preprocess.command import run
from preprocess.errors import UserError
from preprocess.shard import write_shard
from tests.shards import make_scene, make_shard, product_name
from tests.small_models import write_model

NAMES = [f"S{number}" for number in range(1, 10)]
SAME = {"rtol": 0, "atol": 1e-6}  # one network, batched in another way


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder and a shard, under the names of the documentation's example."""
    made = tmp_path_factory.mktemp("library")
    write_model(made / "model")
    make_shard(made / "scene.hdf")
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> CloudModel:
    return load_model(folder / "model")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    scene = make_scene(product_name(0))
    return np.concatenate([scene.refs, scene.bts], axis=-1)


@pytest.mark.quick
@pytest.mark.parametrize("module", [jaxmask, library])
def test_the_examples_of_the_documentation(module: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = doctest.testmod(module)
    assert found.attempted >= 3
    assert found.failed == 0


def test_scenes_are_predicted_as_by_infer(model: CloudModel, folder: Path, tmp_path: Path) -> None:
    scene = make_scene(product_name(1), 61, 90)  # no multiples of 8
    scene.valid[5:9, 7:20], scene.bts[5:9, 7:20] = 0, 270
    write_shard(tmp_path / f"{product_name(1)}.hdf", scene)
    words = [str(folder / "model"), str(tmp_path / f"{product_name(1)}.hdf"), str(tmp_path / "out"), "--workers", "0"]
    assert run("jaxmask.infer", InferConfig, main, [*words, "--quiet", "--buffer", "2", "--threshold", "0.6"]) == 0
    mask = read_mask(tmp_path / "out" / f"{product_name(1)}.h5")
    found = predict_scene(model, load_scene(tmp_path / f"{product_name(1)}.hdf", model), threshold=0.6, buffer=2)
    np.testing.assert_array_equal(found.valid, mask.valid)
    assert not found.valid[5:9, 7:20].any()
    np.testing.assert_array_equal(found.mask, (mask.probability > 0.6) & mask.valid)
    assert 0.05 < found.mask.mean() < 0.95
    plain = predict_scene(model, scene)
    assert np.isnan(plain.output[~plain.valid]).all()
    np.testing.assert_array_less(plain.output[plain.valid], mask.probability[mask.valid] + 1e-6)
    array = predict_scene(model, image_of(scene))  # NaN says the same as `valid`
    np.testing.assert_allclose(array.output, plain.output, **SAME)
    np.testing.assert_array_equal(array.valid, plain.valid)


def test_output_probability_and_mask(model: CloudModel, image: np.ndarray) -> None:
    clouds = predict_scene(model, image)
    q = expit(np.asarray(model.network.logits(normalised(image)[None]))[0].astype(np.float64))
    np.testing.assert_allclose(clouds.output, q, rtol=0, atol=1e-6)
    np.testing.assert_allclose(clouds.probability, q / (q + 0.5 * (1 - q)), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(clouds.mask, clouds.output > 0.5)
    np.testing.assert_array_equal(
        predict_scene(model, image, threshold=0.7, probability=True).mask, clouds.probability > 0.7
    )
    assert [array.dtype for array in vars(clouds).values()] == [np.float32, np.float32, bool, bool]


def normalised(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image[..., :6] - 0.5, (image[..., 6:] - 270) / 22], axis=-1).astype(np.float32)


def test_a_batch_is_its_images(model: CloudModel, image: np.ndarray) -> None:
    batch = np.stack([image, image[::-1], np.roll(image, 40, axis=1)] * 3)  # 9, over 8 devices
    batch[1, 3, 4, 8] = np.nan
    found = predict_scene(model, batch)
    assert found.output.shape == (9, 64, 96)
    for number in (0, 1, 2, 8):
        alone = predict_scene(model, batch[number])
        np.testing.assert_allclose(found.output[number], alone.output, **SAME)
        np.testing.assert_array_equal(found.mask[number], alone.mask)
    assert (~found.valid).sum() == 1
    assert not found.valid[1, 3, 4]


def test_missing_values(model: CloudModel, image: np.ndarray) -> None:
    gaps = image.copy()
    gaps[10:20, 30:40, :6] = np.nan  # as at night: the pixel is there
    gaps[40:45, 50:60, 6:] = np.nan
    found = predict_scene(model, gaps)
    assert found.valid[10:20, 30:40].all()
    assert (~found.valid).sum() == 50
    assert not found.mask[~found.valid].any()
    assert np.isfinite(found.probability[found.valid]).all()
    learnt = image.copy()
    learnt[10:20, 30:40, :6], learnt[40:45, 50:60, 6:] = 0, 270
    np.testing.assert_array_equal(found.output[found.valid], predict_scene(model, learnt).output[found.valid])


def test_a_loop_over_scenes_compiles_and_moves_once(
    folder: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced, moved = [], []
    apply, put = unet.apply, jax.device_put
    monkeypatch.setattr(unet, "apply", lambda *given: traced.append(0) or apply(*given))
    monkeypatch.setattr(jax, "device_put", lambda tree, *to: moved.append(tree) or put(tree, *to))
    model = load_model(str(folder / "model"))
    for height in (57, 64, 60):
        predict_scene(model, image[:height])
    assert len(traced) == 1
    assert sum(isinstance(tree, dict) for tree in moved) == 1


def test_a_calibration_is_used_and_flips_have_their_own(
    model: CloudModel, folder: Path, image: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    assert (model.is_calibrated, model.convention) == (False, "native")
    fit = ProbabilityFit(0.5, -1.0, model=model.digest, flips=False, products=("a",), pixels=2, cloud_pixels=1)
    path = store_fit(folder / "model", fit)
    try:
        fitted = load_model(folder / "model")
        with caplog.at_level(logging.WARNING):
            flipped = load_model(folder / "model", flips=True)
    finally:
        path.unlink()
    assert (fitted.is_calibrated, fitted.line, flipped.is_calibrated) == (True, fit, False)
    assert "fitted with no mirror images averaged" in caplog.text
    clouds = predict_scene(replace(model, line=fitted.line), image)
    expected = expit(0.5 * logit(clouds.output.astype(np.float64)) - 1)
    np.testing.assert_allclose(clouds.probability, expected, rtol=0, atol=1e-4)  # near 1 a float32 q tells little


def test_a_shard_as_xarray_opens_it(model: CloudModel, folder: Path, tmp_path: Path) -> None:
    scene = make_scene(product_name(0), 64, 90)
    scene.valid[3, 4], scene.latitude[...] = 0, np.linspace(0, 1, 90)
    write_shard(tmp_path / "scene.hdf", scene)
    with xarray.open_dataset(tmp_path / "scene.hdf", engine="netcdf4") as shard:
        found = predict_scene(model, shard)
        other = shard.assign_attrs(convention="reference")
        with pytest.raises(UserError, match=r"^the Dataset: made with --convention reference .* the model learnt"):
            predict_scene(model, other)
    expected = predict_scene(model, scene)
    assert dict(found.sizes) == {"y": 64, "x": 90}
    for name, array in vars(expected).items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].attrs["units"] == "1"
        assert found[name].attrs["long_name"]
    np.testing.assert_array_equal(found.latitude, scene.latitude)
    assert found.attrs["model"] == model.digest
    assert (found.attrs["threshold"], found.attrs["probability_slope"]) == (0.5, 1.0)
    found.to_netcdf(tmp_path / "clouds.nc")
    with xarray.open_dataset(tmp_path / "clouds.nc") as again:
        np.testing.assert_array_equal(again["mask"], expected.mask)


def test_data_arrays_keep_their_dimensions_and_coordinates(model: CloudModel, image: np.ndarray) -> None:
    expected = predict_scene(model, image)
    order = np.random.default_rng(0).permutation(9)
    data = xarray.DataArray(
        image[..., order].transpose(2, 0, 1),
        dims=("band", "y", "x"),
        coords={
            "band": [f"{NAMES[i]}_BT_in" for i in order],
            "y": np.arange(64) * 1000.0,
            "lon": (("y", "x"), image[..., 0]),
        },
    )
    found = predict_scene(model, data)
    np.testing.assert_array_equal(found["output"], expected.output)
    assert found["output"].dims == ("y", "x")
    assert set(found.coords) == {"y", "lon"}
    timed = predict_scene(model, xarray.concat([data, data], "time").assign_coords(time=[1, 2]).transpose("x", ...))
    assert timed["mask"].dims == ("time", "y", "x")
    np.testing.assert_allclose(timed["output"].sel(time=2), expected.output, **SAME)
    by_name = xarray.Dataset({name: (("line", "pixel"), image[..., i]) for i, name in enumerate(NAMES)})
    assert predict_scene(model, by_name)["mask"].dims == ("line", "pixel")
    np.testing.assert_array_equal(predict_scene(model, by_name)["output"], expected.output)


def test_refusals(model: CloudModel, image: np.ndarray, folder: Path) -> None:
    with pytest.raises(UserError, match=r"add 273\.15$"):
        predict_scene(model, image - np.array([0] * 6 + [273.15] * 3))
    with pytest.raises(UserError, match=r"^image 1 of the batch: expected reflectances"):
        predict_scene(model, np.stack([image, image * np.array([100] * 6 + [1] * 3)]))
    predict_scene(model, image * np.array([100] * 6 + [1] * 3), check_units=False)
    with pytest.raises(UserError, match=r"expected numbers of shape .*np.moveaxis\(image, 0, -1\)"):
        predict_scene(model, np.moveaxis(image, -1, 0))
    with pytest.raises(UserError, match=r"threshold.*between 0 and 1"):
        predict_scene(model, image, threshold=50)
    with pytest.raises(UserError, match=r"buffer.*from 0 to 100 pixels"):
        predict_scene(model, image, buffer=-1)
    with pytest.raises(UserError, match=r"max.pixels.*65536 or more"):
        load_model(folder / "model", max_pixels=100)
    with pytest.raises(UserError, match=r"expected variables refs and bts, as in a shard, or S1 to S9; found a$"):
        predict_scene(model, xarray.Dataset({"a": 1}))
    with pytest.raises(UserError, match=r"expected one dimension 'channel' of length 9, S1 to S9; found {'y': 2, 'x'"):
        predict_scene(model, xarray.DataArray(np.zeros((2, 3)), dims=("y", "x")))
    with pytest.raises(UserError, match=r"expected the channels S1, S2, .*; found S1, S1, "):
        predict_scene(model, xarray.DataArray(image, dims=("y", "x", "band"), coords={"band": ["S1"] * 9}))
    with pytest.raises(UserError, match=r"expected rows, columns, 'channel', or a batch of those; found \('a', 'b', "):
        predict_scene(model, xarray.DataArray(image[None, None], dims=("a", "b", "y", "x", "channel")))
    with pytest.raises(UserError, match=r"expected refs \(y, x, 6\) and bts \(y, x, 3\); found "):
        predict_scene(model, xarray.Dataset({"refs": (("y", "x"), image[..., 0]), "bts": (("y", "x"), image[..., 0])}))


def test_importing_it_imports_nothing_heavy() -> None:
    program = (
        "import sys, jaxmask, jaxmask.scene_source\n"
        "assert not {'jax', 'xarray', 'flax', 'openvino', 'pandas'} & set(sys.modules), sorted(sys.modules)\n"
        "assert 'load_model' in dir(jaxmask)\n"
        "jaxmask.UserError\n"
        "assert 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_its_names() -> None:
    assert all(getattr(jaxmask, name) for name in jaxmask.__all__)
    with pytest.raises(AttributeError, match="module 'jaxmask' has no attribute 'nothing'"):
        _ = jaxmask.nothing
    assert (Path(jaxmask.__file__).parent / "py.typed").exists()
