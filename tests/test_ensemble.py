"""Ensembles: their members, their digest and split, and the calibration that is theirs alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from jaxmask.ensemble import ensemble_digest, joint_split, load_models, probability_fit
from jaxmask.infer import main as infer
from jaxmask.infer_config import InferConfig
from jaxmask.maskfile import read_mask
from jaxmask.model import Model, load_model
from jaxmask.network import open_network
from jaxmask.parts import part_finder
from jaxmask.probability import ProbabilityFit
from jaxmask.probability_file import PROBABILITY_NAME, read_fits, store_fit
from jaxmask.split import Split
from preprocess.command import run
from preprocess.errors import UserError
from preprocess.shard import write_shard
from tests.shards import make_scene, product_name
from tests.small_models import write_model
from tests.test_infer import small_model


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of one kind, of other features."""
    folder = tmp_path_factory.mktemp("models")
    first = Split(train=("a", "b"), validation=("c",), test=("d",))
    second = Split(train=("a", "c"), validation=("d",), test=("b",))
    return [
        write_model(folder / "first", 1, split=first),
        write_model(folder / "second", 2, features=4, split=second),
    ]


def fit_of(model: str, *, flips: bool = False, slope: float = 2.0) -> ProbabilityFit:
    return ProbabilityFit(slope, 0.5, model=model, flips=flips, products=("a",), pixels=10, cloud_pixels=4)


@pytest.mark.quick
def test_infer_averages_members_and_mirror_images(folders: list[Path], tmp_path: Path) -> None:
    scene = make_scene(product_name(0), 16, 24)
    write_shard(tmp_path / f"{product_name(0)}.hdf", scene)
    words = [str(folders[0]), str(tmp_path / f"{product_name(0)}.hdf"), str(tmp_path / "out"), "--workers", "0"]
    assert run("jaxmask.infer", InferConfig, infer, [*words, "--flips", "--ensemble", str(folders[1]), "--quiet"]) == 0
    mask = read_mask(tmp_path / "out" / f"{product_name(0)}.h5")
    models = load_models(folders[0], folders[1:])
    assert [model.features for model in models] == [2, 4]
    images = np.concatenate([scene.refs - 0.5, (scene.bts - 270) / 22], axis=-1, dtype=np.float32)[None]
    logits = [
        np.asarray(network(images[:, ::down, ::right]))[0, ::down, ::right].astype(np.float64)
        for network in [open_network(model).logits for model in models]
        for down in (1, -1)
        for right in (1, -1)
    ]
    np.testing.assert_allclose(mask.probability, expit(np.mean(logits, axis=0)), atol=1e-6)  # of float32 logits below 2
    assert np.abs(mask.probability - expit(logits[0])).max() > 1e-3
    assert mask.attributes["model"] == ensemble_digest(models)
    assert mask.attributes["members"] == " ".join(sorted(model.digest for model in models))
    assert mask.attributes["flips"]


def test_digest_and_split_are_of_all_members(folders: list[Path]) -> None:
    models = load_models(folders[0], folders[1:])
    assert ensemble_digest(models) == ensemble_digest(models[::-1]) != models[0].digest
    assert ensemble_digest(models[:1]) == models[0].digest
    part = part_finder(joint_split(models))
    assert [part(name) for name in "abcde"] == ["train", "train", "train", "validation", "none"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"convention": "reference"}, r"another input convention \(reference\) than \S+first \(native\)"),
        ({"calibration": "notice"}, r"another calibration of the input \(notice\) than"),
        ({"regridding": "neighbours"}, r"another regridding of the input \(neighbours\) than"),
        ({"positive_weight": 0.25}, r"another weight of cloud in the loss \(0.25\) than \S+first \(0.5\)"),
    ],
)
def test_members_of_other_kinds_are_refused_by_name(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, other: dict[str, Any], words: str
) -> None:
    models = {"first": load_model(folders[0]), "other": small_model(**{"source": "other"} | other)}
    monkeypatch.setattr("jaxmask.ensemble.load_model", lambda path, checkpoint: models[path.name])
    with pytest.raises(UserError, match=rf"^--ensemble: other has {words}.* must agree in it: leave it out$"):
        load_models(folders[0], [Path("other")])


def test_a_member_is_there_once(folders: list[Path]) -> None:
    with pytest.raises(UserError, match=r"^--ensemble: \S+first is the same model as \S+first; leave one of them out"):
        load_models(folders[0], [folders[1], folders[0]])


def with_fits(*fits: ProbabilityFit, digest: str = "m") -> Model:
    return small_model(digest=digest, probability_fits=fits)


def test_a_calibration_is_of_one_model_and_one_averaging(caplog: pytest.LogCaptureFixture) -> None:
    model = with_fits(fit_of("older"), fit_of("m"), fit_of("m", flips=True, slope=3.0))
    with caplog.at_level(logging.WARNING):
        assert probability_fit([model], flips=False) == fit_of("m")
        assert probability_fit([model], flips=True) == fit_of("m", flips=True, slope=3.0)
        assert probability_fit([with_fits()], flips=True) is None
        assert not caplog.records
        assert probability_fit([with_fits(fit_of("older"))], flips=False) is None
        assert probability_fit([with_fits(fit_of("m"))], flips=True) is None
    assert [record.getMessage() for record in caplog.records] == [
        "warning: test: its calibration was fitted to model older, not to m; it is left aside",
        "warning: test: its calibration was fitted with no mirror images averaged, not as now; it is left aside",
    ]


def test_a_calibration_of_an_ensemble_is_of_all_its_members() -> None:
    models = [with_fits(fit_of("m")), with_fits(digest="n")]
    digest = ensemble_digest(models)
    both = [with_fits(fit_of("m"), fit_of(digest, slope=5.0)), models[1]]
    assert probability_fit(both, flips=False) == probability_fit(both[::-1], flips=False) == fit_of(digest, slope=5.0)
    assert probability_fit(both[:1], flips=False) == fit_of("m")


def test_fits_on_disk(tmp_path: Path) -> None:
    assert read_fits(tmp_path) == ()
    for fit in (fit_of("a"), fit_of("a", flips=True), fit_of("b"), fit_of("a", slope=1 / 3)):
        store_fit(tmp_path, fit)
    kept = read_fits(tmp_path)
    assert kept == (fit_of("a", flips=True), fit_of("b"), fit_of("a", slope=1 / 3))  # of equal ones the last, exactly


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "JSONDecodeError"),
        ('{"format": "other", "fits": []}', "ValueError: format 'other', not 'jaxmask probability, version 1'"),
        ('{"format": "jaxmask probability, version 1", "fits": [{}]}', "KeyError: 'products'"),
        ('{"format": "jaxmask probability, version 1", "fits": [{"products": [], "slope": -1, "intercept": 0, '
         '"model": "m", "flips": false, "pixels": 1, "cloud_pixels": 1}]}', "ValueError: a slope above 0"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_refused(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / PROBABILITY_NAME).write_text(text)
    with pytest.raises(UserError, match=rf"probability.json: expected the record that .*{found}.*calibrate again$"):
        read_fits(tmp_path)


def test_a_models_fits_come_with_it(folders: list[Path], tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    store_fit(folder, fit_of(load_model(folder).digest))
    assert probability_fit([load_model(folder)], flips=False) == fit_of(load_model(folder).digest)
    (folder / PROBABILITY_NAME).write_text("[]")
    with pytest.raises(UserError, match=r"probability.json: expected the record"):
        load_model(folder)
