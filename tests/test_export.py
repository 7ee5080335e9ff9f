"""Exports: a stranger rebuilds the network from them, jax alone runs the program, and nothing else is overwritten."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy
from onnx.reference import ReferenceEvaluator

from jaxmask import exported, unet
from jaxmask.export import NAMES, ExportConfig, main, make_record
from jaxmask.keras_weights import read_keras_model, write_keras_model
from jaxmask.model import Model, load_model
from jaxmask.network import open_network
from jaxmask.pixels import image
from jaxmask.predict import scene_logits
from jaxmask.probability import ProbabilityFit, to_output, to_probability
from preprocess.command import run

FEATURES = 2
TOLERANCE = 1e-5  # of outputs from 0 to 1: float32 through 15 convolutions, fused otherwise (4e-6 was seen)
# Run by jax alone: the sizes that are asked for, from raw pixels.
LOADER = """
import sys
import jax, numpy as np
from jax import export
program = export.deserialize(open(sys.argv[1], "rb").read())
images = np.load(sys.argv[2])
np.savez(sys.argv[3], **{name: jax.jit(program.call)(images[name]) for name in images.files})
ours = [name for name in sys.modules if name.split(".")[0] in ("jaxmask", "preprocess", "flax")]
print(program.platforms, ours)
"""


def random_params() -> unet.Params:
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), unet.structure(FEATURES)[1])


def random_pixels(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Reflectances and temperatures (..., 9) float32."""
    return np.concatenate([rng.random((*shape, 6)), rng.uniform(220, 300, (*shape, 3))], axis=-1).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "trained.h5"
    write_keras_model(path, FEATURES, random_params())
    return path


@pytest.fixture(scope="module")
def export_folder(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "exported"
    assert export(model, folder) == 0
    return folder


def export(model: Path, out: Path, *flags: str) -> int:
    return run("jaxmask.export", ExportConfig, main, [str(model), str(out), *flags])


def predicted(model: Model, pixels: np.ndarray) -> np.ndarray:
    return outputs_of(model, image(pixels[..., :6], pixels[..., 6:]))


def outputs_of(model: Model, images: np.ndarray) -> np.ndarray:
    """The output q of normalised images, by the network that infer takes."""
    return to_output(np.asarray(scene_logits(open_network(model).logits, images)))


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The sum over shifted images, in float64: zero outside, not flipped."""
    reach = kernel.shape[0] // 2
    padded = np.pad(x, [(reach, reach), (reach, reach), (0, 0)])
    shifts = np.ndindex(kernel.shape[:2])
    return bias + sum(padded[i : i + x.shape[0], j : j + x.shape[1]] @ kernel[i, j] for i, j in shifts)


def rebuild(record: dict[str, Any], arrays: dict[str, np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """What a stranger makes of config.json and model.safetensors: the output (H, W) of pixels (H, W, 9), in float64."""
    channels = record["input"]["channels"]
    offset, scale = (np.array([channel[name] for channel in channels]) for name in ("offset", "scale"))
    values = {"image": (pixels.astype(np.float64) - offset) / scale}

    def value(text: str) -> np.ndarray:
        operation, _, name = text.rstrip(")").rpartition("(")
        x = values[name]
        if operation == "halve":
            return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max(axis=(1, 3))
        return x.repeat(2, axis=0).repeat(2, axis=1) if operation == "double" else x

    for layer in record["network"]["layers"]:
        joined = np.concatenate([value(text) for text in layer["inputs"]], axis=-1)
        x = convolve(joined, arrays[layer["kernel"]].astype(np.float64), arrays[layer["bias"]].astype(np.float64))
        values[layer["name"]] = np.maximum(x, 0) if layer["activation"] == "relu" else 1 / (1 + np.exp(-x))
    return values["head"][..., 0]


@pytest.mark.quick
def test_a_stranger_rebuilds_the_network_from_record_and_arrays(model: Path) -> None:
    loaded = load_model(model)
    pixels = random_pixels(np.random.default_rng(0), 24, 40)
    record = json.loads(json.dumps(make_record(loaded, 0.5)))
    rebuilt = rebuild(record, exported.named_arrays(loaded.params), pixels)
    assert np.ptp(rebuilt) > 0.1
    np.testing.assert_allclose(predicted(loaded, pixels[None])[0], rebuilt, atol=TOLERANCE)


def test_jax_alone_runs_the_program(model: Path, export_folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = {"small": random_pixels(rng, 2, 16, 24), "large": random_pixels(rng, 1, 64, 40)}
    images["holes"] = images["small"].copy()
    images["holes"][:, 3:7, 5:, 8] = np.nan
    np.savez(tmp_path / "images.npz", **images)
    paths = [str(export_folder / "model.stablehlo"), str(tmp_path / "images.npz"), str(tmp_path / "outputs.npz")]
    done = subprocess.run(
        [sys.executable, "-c", LOADER, *paths], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "('cpu', 'cuda') []"
    outputs, loaded = np.load(tmp_path / "outputs.npz"), load_model(model)
    for name in ("small", "large"):
        assert outputs[name].shape == (*images[name].shape[:3], 1)
        np.testing.assert_allclose(outputs[name][..., 0], predicted(loaded, images[name]), atol=TOLERANCE)
    filled = image(images["small"][..., :6], images["small"][..., 6:])
    filled[:, 3:7, 5:] = 0  # all nine channels, after normalising, as infer does
    np.testing.assert_allclose(outputs["holes"][..., 0], outputs_of(loaded, filled), atol=TOLERANCE)


def test_the_files_hold_the_same_parameters(model: Path, export_folder: Path) -> None:
    loaded = load_model(model)
    arrays = exported.named_arrays(loaded.params)
    read = safetensors.numpy.load_file(export_folder / "model.safetensors")
    assert sorted(read) == sorted(arrays)
    assert "encoder/0/first/kernel" in read
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    features, params = read_keras_model(export_folder / "model.h5")
    assert features == FEATURES
    assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(loaded.params)))


def test_the_record_tells_what_a_user_needs(model: Path, export_folder: Path) -> None:
    record = json.loads((export_folder / "config.json").read_text())
    assert record["model"] == load_model(model).digest
    assert record["network"]["features"] == FEATURES
    assert [channel["name"] for channel in record["input"]["channels"]] == [f"S{number}" for number in range(1, 10)]
    assert record["input"]["channels"][8] == {
        "name": "S9", "quantity": "brightness temperature", "unit": "K", "offset": 270.0, "scale": 22.0
    }  # fmt: skip
    assert record["input"]["convention"] == "reference"
    assert (record["output"]["threshold"], record["output"]["positive_weight"]) == (0.5, 0.5)
    assert record["program"]["input"].startswith("float32 (b, 8*h, 8*w, 9)")
    assert sorted(record["files"]) == sorted(NAMES)
    assert record["files"]["model.h5"]["bytes"] == (export_folder / "model.h5").stat().st_size
    assert "jax" in record["versions"]


def test_an_export_is_made_once_and_replaced_on_request_only(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(exported, "program", lambda *arguments: made.append(1) or b"program")
    out = tmp_path / "out"
    assert export(model, out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"] is True
    assert export(model, out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"] is False
    assert export(model, out, "--threshold", "0.4") == 2
    assert (
        "another threshold, loss weight or fit of P: choose another folder, or pass --overwrite"
        in capsys.readouterr().err
    )
    assert len(made) == 1
    assert export(model, out, "--threshold", "0.4", "--overwrite") == 0
    assert json.loads((out / "config.json").read_text())["output"]["threshold"] == 0.4
    (out / "model.safetensors").write_bytes(b"cut")
    assert export(model, out, "--threshold", "0.4") == 0
    assert len(made) == 3
    assert len(safetensors.numpy.load_file(out / "model.safetensors")) == 30


def test_onnx_is_written_on_request(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported, "program", lambda *arguments: b"program")
    out = tmp_path / "out"
    assert export(model, out) == 0
    assert not (out / "model.onnx").exists()
    assert export(model, out, "--onnx") == 0
    record = json.loads((out / "config.json").read_text())
    assert record["files"]["model.onnx"]["bytes"] == (out / "model.onnx").stat().st_size
    pixels = random_pixels(np.random.default_rng(2), 16, 24)
    evaluator = ReferenceEvaluator(str(out / "model.onnx"))
    (logits,) = evaluator.run(None, {"images": image(pixels[..., :6], pixels[..., 6:])[None]})
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), predicted(load_model(model), pixels[None]), atol=TOLERANCE)
    capsys.readouterr()
    for flags in ([], ["--onnx"]):  # the same export, with more than is asked for, and whole
        assert export(model, out, *flags, "--json") == 0
        assert json.loads(capsys.readouterr().out)["written"] is False
    (out / "model.onnx").write_bytes(b"cut")
    assert export(model, out) == 0  # not whole: made anew, and not with what isn't asked for
    assert not (out / "model.onnx").exists()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else object())
    assert export(model, out, "--onnx") == 2
    assert "export needs the package 'onnx': pip install 'jaxmask[export]'" in capsys.readouterr().err


def test_files_of_no_export_are_kept(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"flags": {}}')  # a model folder
    assert export(model, tmp_path, "--overwrite") == 2
    assert "config.json is there already, and of no export: choose another folder" in capsys.readouterr().err
    (tmp_path / "config.json").unlink()
    own = tmp_path / "model.h5"
    own.write_bytes(model.read_bytes())
    assert export(own, tmp_path, "--overwrite") == 2
    assert "would be replaced by its own export" in capsys.readouterr().err
    assert export(model, tmp_path) == 2
    assert "holds model.h5 of no whole export" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.h5"]


def test_the_extra_is_named_where_it_is_missing(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flatbuffers" else object())
    assert export(model, tmp_path / "out") == 2
    assert "export needs the package 'flatbuffers': pip install 'jaxmask[export]'" in capsys.readouterr().err


def test_a_bad_threshold_is_refused(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(model, tmp_path / "out", "--threshold", "1") == 2
    assert "--threshold must be between 0 and 1; found 1.0" in capsys.readouterr().err


def test_a_fitted_probability_is_told() -> None:
    fit = ProbabilityFit(2.0, -1.0, model="m", flips=False, products=("a",), pixels=10, cloud_pixels=4)
    record, plain = exported.output_record(0.5, 0.5, fit), exported.output_record(0.5, 0.5)
    formula = record["probability"].removeprefix("P(cloud) = ")
    names = {"q": 0.8, "slope": record["slope"], "intercept": record["intercept"], "ln": math.log, "exp": math.exp}
    assert eval(formula, names) == pytest.approx(to_probability(np.log([4.0]), 0.5, fit)[0])
    assert record["fitted_to"] == {"pixels": 10, "cloud_pixels": 4, "products": ["a"]}
    assert "slope" not in plain
    assert eval(plain["probability"].removeprefix("P(cloud) = "), {"q": 0.8, "positive_weight": 0.5}) == pytest.approx(
        8 / 9
    )
