"""evaluate --calibrate: what it fits and stores, what infer then makes of it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from jaxmask.calibrate import Source, calibrate, calibration_line, calibration_source
from jaxmask.evaluate import main as evaluate_main
from jaxmask.evaluate_config import EvaluateConfig
from jaxmask.infer import main as infer_main
from jaxmask.infer_config import InferConfig
from jaxmask.maskfile import Mask, read_mask, write_mask
from jaxmask.model import load_model
from jaxmask.platt import fit_line
from jaxmask.probability import UNCHANGED, LogitLine, line_attributes, theoretical_line
from jaxmask.probability_file import PROBABILITY_NAME, read_fits
from jaxmask.score_bins import CENTRES, count_bins
from jaxmask.split import Split
from preprocess.command import run
from preprocess.errors import UserError
from preprocess.shard import read_shard
from tests.shards import make_shards, product_name
from tests.small_models import write_model

SPLIT = Split(train=(product_name(0),), validation=(product_name(1), product_name(2)), test=(product_name(3),))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards, and a model whose validation part has two of them."""
    folder = tmp_path_factory.mktemp("places")
    make_shards(folder / "hdf", 4)
    write_model(folder / "model", split=SPLIT)
    return folder


@pytest.fixture
def model(places: Path) -> Path:
    """The model without any fit."""
    (places / "model" / PROBABILITY_NAME).unlink(missing_ok=True)
    return places / "model"


def infer(places: Path, out: Path, *flags: str) -> int:
    words = [str(places / "model"), str(places / "hdf"), str(out), "--workers", "0", "--quiet", *flags]
    return run("jaxmask.infer", InferConfig, infer_main, words)


def evaluate(places: Path, out: Path, *flags: str) -> int:
    words = [str(places / "hdf"), str(out), "--model", str(places / "model"), "--workers", "0", "--quiet", *flags]
    return run("jaxmask.evaluate", EvaluateConfig, evaluate_main, words)


def mask_file(folder: Path, number: int, **attributes: Any) -> Path:
    path = folder / f"{product_name(number)}.h5"
    folder.mkdir(exist_ok=True)
    write_mask(path, Mask(path.stem, np.full((4, 4), 0.5, np.float32), np.ones((4, 4), bool), attributes))
    return path


def test_from_masks_to_calibrated_masks(model: Path, places: Path, tmp_path: Path) -> None:
    assert infer(places, tmp_path / "q") == 0
    assert evaluate(places, tmp_path / "q", "--calibrate") == 0
    record = json.loads((tmp_path / "q" / "evaluation.json").read_text())["calibration"]
    # The same from the pixels, without bins, whose centres are at most 1/256 from the logits.
    masks = [read_mask(tmp_path / "q" / f"{product_name(number)}.h5") for number in range(4)]
    labels = [read_shard(places / "hdf" / "day" / f"{product_name(n)}.hdf").bayes[..., 0] > 0 for n in range(4)]
    logits = logit(np.stack([mask.probability for mask in masks[1:3]]).astype(np.float64)).ravel()
    cloud = np.stack(labels[1:3]).ravel()
    exact = fit_line(logits, np.stack([~cloud, cloud], axis=1))
    assert record["slope"] == pytest.approx(exact.slope, rel=2e-3)
    assert record["intercept"] == pytest.approx(exact.intercept, rel=2e-3, abs=2e-3)
    (fit,) = read_fits(model)
    assert (fit.model, fit.flips, fit.products) == (load_model(model).digest, False, SPLIT.validation)
    assert (fit.pixels, fit.cloud_pixels) == (2 * 64 * 96, int(cloud.sum()))
    assert fit.slope == record["slope"]
    assert record["after"]["brier"] < record["before"]["brier"]
    # Masks of P now are this line's, and say so; a fit to them is the same.
    assert infer(places, tmp_path / "P", "--probability") == 0
    calibrated = read_mask(tmp_path / "P" / f"{product_name(3)}.h5")
    expected = expit(fit.slope * logit(masks[3].probability.astype(np.float64)) + fit.intercept)
    np.testing.assert_allclose(calibrated.probability, expected, atol=1e-4)  # near 1 a float32 q tells its logit badly
    assert line_attributes(fit).items() <= calibrated.attributes.items()
    assert evaluate(places, tmp_path / "P", "--calibrate") == 0
    again = json.loads((tmp_path / "P" / "evaluation.json").read_text())["calibration"]
    assert again["slope"] == pytest.approx(fit.slope, rel=2e-3)
    assert again["intercept"] == pytest.approx(fit.intercept, rel=2e-3, abs=2e-3)


@pytest.mark.quick
def test_a_stored_probability_is_undone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 5000)
    cloud = rng.random(5000) < expit(1.7 * logits - 0.6)
    fits = []
    for line in (UNCHANGED, theoretical_line(0.25), LogitLine(0.5, 0.3)):
        counts = count_bins(expit(line.slope * logits + line.intercept), cloud, np.ones(5000, bool))
        record = calibrate(Source(tmp_path, 0.25, "m", False, line), ["b", "a"], counts)
        fits.append((record["slope"], record["intercept"]))
    np.testing.assert_allclose(fits[1:], [fits[0]] * 2, rtol=3e-3)  # bins of P's logit have other edges
    np.testing.assert_allclose(fits[0], [1.7, -0.6], atol=0.1)  # the noise of 5000 pixels
    assert read_fits(tmp_path)[0].products == ("a", "b")
    assert "fitted to 5,000 pixels of 2 products; expected calibration error there 0.0" in calibration_line(record)
    assert calibration_line(record).endswith("; warning: fewer than 10 products may not stand for others")
    many = calibrate(Source(tmp_path, 0.25, "m", False, line), [f"{i}" for i in range(10)], counts)
    assert calibration_line(many).endswith(PROBABILITY_NAME)


def test_the_fit_needs_cloud_and_clear_and_a_logit_that_rises_with_cloud(tmp_path: Path) -> None:
    source = Source(tmp_path, 0.5, "m", False, UNCHANGED)
    counts = np.zeros((len(CENTRES), 2), np.int64)
    with pytest.raises(UserError, match=r"^--calibrate: no .* to the 1 products of the validation part of .*: 0 clear"):
        calibrate(source, ["a"], counts)
    counts[1000], counts[3000] = (10, 90), (90, 10)
    with pytest.raises(UserError, match=r"a slope above 0 and a finite intercept; found -"):
        calibrate(source, ["a"], counts)
    assert not (tmp_path / PROBABILITY_NAME).exists()


def test_models_that_cannot_be_calibrated(model: Path, tmp_path: Path) -> None:
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(UserError, match=r"stores its fit in a model folder of jaxmask.train; \S+model.h5 is a file"):
        calibration_source(tmp_path / "model.h5", [])
    old = write_model(tmp_path / "old", split=Split(train=("a",), test=("b",)))
    with pytest.raises(UserError, match=r"old has no validation part .*: train with --validation-split above 0"):
        calibration_source(old, [])
    digest = load_model(model).digest
    with pytest.raises(
        UserError, match=r"none of the 1 masks .* validation part of \S+model; predict those 2 products"
    ):
        calibration_source(model, [mask_file(tmp_path / "test", 3, model=digest)])


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"model": "other"}, {"model": "other"}, r"is of model other, \S+model holds [0-9a-f]{16}; give the --model"),
        ({}, {"flips": True}, r"\S+h5 is of another model, quantity or flags than \S+h5; predict all of them into one"),
        ({}, {"model": "other"}, "is of another model, quantity or flags"),
        ({}, {"quantity": "P", "positive_weight": 0.5}, "is of another model, quantity or flags"),
        ({"buffer": 2}, {"buffer": 2}, r"is spread by --buffer 2, .*; predict without --buffer"),
        ({"quantity": "P"}, {"quantity": "P"}, r"doesn't say how its P\(cloud\) was made; predict it anew"),
        ({"part": "train"}, {}, "a model that made .* was trained on it"),
    ],
)
def test_masks_that_cannot_be_fitted_to(
    model: Path, tmp_path: Path, first: dict[str, Any], second: dict[str, Any], words: str
) -> None:
    digest = {"model": load_model(model).digest}
    masks = [mask_file(tmp_path, 1, **digest | first), mask_file(tmp_path, 2, **digest | second)]
    with pytest.raises(UserError, match=f"^--calibrate: .*{words}"):
        calibration_source(model, masks)


def test_the_originals_masks_do_not_say_what_made_them(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"doesn't say which model made it; predict it by jaxmask.infer"):
        calibration_source(model, [mask_file(tmp_path, 1)])


def test_masks_of_an_ensemble_with_the_model_are_taken(model: Path, tmp_path: Path) -> None:
    digest = load_model(model).digest
    masks = [mask_file(tmp_path, 1, model="both", members=f"{digest} other", flips=True)]
    assert calibration_source(model, masks) == Source(model, 0.5, "both", True, UNCHANGED)
