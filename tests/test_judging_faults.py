"""Damage that infer, evaluate and sst meet: named, no crash, nothing lost; benchmarks/faults_infer.py kills them."""

from __future__ import annotations

import json
import math
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jaxmask import evaluate, infer, sst
from jaxmask import model as models
from jaxmask.calibrate import calibration_source
from jaxmask.evaluate_config import EvaluateConfig
from jaxmask.inference_record import INFERENCE_NAME
from jaxmask.maskfile import Mask, read_attributes, read_mask, write_mask
from jaxmask.model import load_model
from jaxmask.outputs import companions, is_whole
from jaxmask.probability_file import PROBABILITY_NAME
from jaxmask.split import Split
from preprocess.command import run
from preprocess.errors import UserError
from tests.judging import write_places
from tests.shards import make_shards, product_name
from tests.small_models import small_params, write_model
from tests.test_infer import infer_to, small_model
from tests.test_sst import table

INFINITE_FIT = {"slope": 1, "intercept": 0, "model": "m", "flips": False, "products": [], "pixels": math.inf}


def evaluated(places: Path, *flags: str) -> int:
    words = [str(places / "hdf"), str(places / "out"), "--workers", "0", "--quiet", *flags]
    return run("jaxmask.evaluate", EvaluateConfig, evaluate.main, words)


def judged_by_sst(path: Path, predictions: Path) -> int:
    words = [str(path), str(predictions), "--quiet", "--bootstrap", "0"]
    return run("jaxmask.sst", sst.SstConfig, sst.main, words)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk: Python ignores the signal, and each write that goes beyond is an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def flip(path: Path) -> None:
    """One bit of an attribute's name, which HDF5's own sum tells."""
    data = bytearray(path.read_bytes())
    data[data.index(b"quantity")] ^= 4
    path.write_bytes(data)


def flip_at(path: Path, signature: bytes, beyond: int) -> None:
    """One bit of the first block of HDF5's that begins so: the root group's own record."""
    data = bytearray(path.read_bytes())
    data[data.index(signature) + beyond] ^= 1
    path.write_bytes(data)


def set_attribute(name: str, value: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value

    return change


DAMAGES = {
    "a flipped bit": flip,
    "a flipped sum": lambda path: flip_at(path, b"OHDR", 14),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "no threshold": set_attribute("threshold", math.nan),
    "an array": set_attribute("threshold", [0.5, 0.5]),
    "a text": set_attribute("threshold", "half"),
}


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hdf/ of two products, and out/ with their masks, netCDF files and quicklooks."""
    folder = tmp_path_factory.mktemp("predicted")
    make_shards(folder / "hdf", 2, 64, 72)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infer, "load_models", lambda path, others, checkpoint: (small_model(),))
        assert infer_to(folder / "out", folder / "hdf", "--quiet", "--netcdf", "--png") == 0
    return folder


@pytest.fixture
def again(predicted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and the model that made it."""
    monkeypatch.setattr(infer, "load_models", lambda path, others, checkpoint: (small_model(),))
    shutil.copytree(predicted, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mask_is_named_and_made_anew(
    damage: str, predicted: Path, again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = again / "out" / f"{product_name(0)}.h5"
    DAMAGES[damage](mask)
    with pytest.raises(UserError, match=r"run jaxmask\.infer again"):
        read_attributes(mask)
    assert evaluated(again, "--part", "all") == 3
    [failure] = json.loads((again / "out" / "evaluation_failures.json").read_text())
    assert str(mask) in failure["error"]
    assert infer_to(again / "out", again / "hdf", "--quiet") == 0
    assert "Traceback" not in capsys.readouterr().err
    undisturbed = read_mask(predicted / "out" / mask.name)
    np.testing.assert_array_equal(read_mask(mask).probability, undisturbed.probability)


def test_an_empty_page_in_a_mask_is_told(predicted: Path, again: Path) -> None:
    """HDF5 searches for ever for a text that it keeps elsewhere, if zeros are there: ours lie where it has sums."""
    path = again / "out" / f"{product_name(0)}.h5"
    data = path.read_bytes()
    with h5py.File(path) as file:
        names = [name for name, value in file.attrs.items() if isinstance(value, bytes | str)]
        assert {"model", "product", "quantity"} <= set(names)
        assert not any(file.attrs.get_id(name).get_type().is_variable_str() for name in names)
    assert b"GCOL" not in data
    at = data.index(b"digest1")
    path.write_bytes(data[:at] + bytes(64) + data[at + 64 :])
    with pytest.raises(UserError, match="is not a whole HDF5 file"):
        read_attributes(path)
    assert read_attributes(predicted / "out" / path.name)["model"] == "digest1"


def test_companions_cut_short_are_made_anew(again: Path) -> None:
    netcdf, picture = companions(again / "out" / f"{product_name(0)}.h5")
    other = companions(again / "out" / f"{product_name(1)}.h5")[0].stat().st_mtime_ns
    for damaged in (netcdf, picture):
        damaged.write_bytes(damaged.read_bytes()[:100])
        assert infer_to(again / "out", again / "hdf", "--quiet", "--netcdf", "--png") == 0
        assert is_whole(damaged)
    assert companions(again / "out" / f"{product_name(1)}.h5")[0].stat().st_mtime_ns == other, "it was whole"


def test_a_full_disk_loses_no_mask_that_was_there(again: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made anew with other flags: each failure names its file; what was there stays, and is replaced by the next."""
    before = {path: path.read_bytes() for path in (again / "out").iterdir()}
    flags = ("--quiet", "--threshold", "0.6", "--overwrite")
    with files_of_at_most(2000):
        assert infer_to(again / "out", again / "hdf", *flags) == 3
    listed = json.loads((again / "out" / "failures.json").read_text())
    assert [f"{product_name(number)}.h5: File too large" in listed[number]["error"] for number in (0, 1)] == [True] * 2
    assert {path: path.read_bytes() for path in (again / "out").iterdir() if path.name != "failures.json"} == before
    assert infer_to(again / "out", again / "hdf", *flags) == 0
    left = {path.name for path in (again / "out").iterdir() if path.suffix != ".h5"}
    assert left == {INFERENCE_NAME}
    assert "Traceback" not in capsys.readouterr().err


def test_a_scene_that_is_gone_since_it_was_predicted(again: Path) -> None:
    shards = sorted((again / "hdf" / "day").iterdir())
    (again / "list.txt").write_text("".join(f"{path}\n" for path in shards))
    shards[0].unlink()
    assert infer_to(again / "out", again / "list.txt", "--quiet") == 0


def test_folders_in_the_place_of_files(again: Path) -> None:
    """The one mask fails by name, the other is made."""
    for path in (again / "out").iterdir():
        path.unlink()
    (again / "out" / f"{product_name(0)}.h5" / "x").mkdir(parents=True)
    assert infer_to(again / "out", again / "hdf", "--quiet") == 3
    [failure] = json.loads((again / "out" / "failures.json").read_text())
    assert f"{product_name(0)}.h5: Is a directory; mend this" in failure["error"]
    assert read_mask(again / "out" / f"{product_name(1)}.h5").valid.all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"features": math.inf}, "cannot convert float infinity"),
        ({"positive_weight": math.inf}, "above 0, and finite"),
        ({"patch_size": math.inf}, "cannot convert float infinity"),
        ({"convention": "other"}, "'convention' must be one of native, reference; found 'other'"),
    ],
)
def test_a_damaged_record_of_a_model_is_named(
    changes: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "restore_params", lambda folder, like, which: small_params(0))
    folder = tmp_path / "model"
    folder.mkdir()
    record = {"features": 2, "split": {"train": ["a"], "test": []}, "positive_weight": 0.5, "patch_size": 64}
    record |= {"convention": "native", "calibration": "none"}
    (folder / "config.json").write_text(json.dumps(record))
    assert load_model(folder).features == 2
    (folder / "config.json").write_text(json.dumps(record | changes))
    with pytest.raises(UserError, match=rf"config.json: expected the record that jaxmask.train writes.*{told}"):
        load_model(folder)


def test_parameters_that_are_not_finite_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a failure of every scene."""
    folder = write_model(tmp_path / "model")
    params = small_params(0)
    params["head"]["bias"][0] = np.nan
    monkeypatch.setattr(models, "restore_params", lambda folder, like, which: params)
    with pytest.raises(UserError, match=r"model: the parameters head/bias are not all finite.*--checkpoint best"):
        load_model(folder)


def test_a_damaged_fit_is_told_before_anything_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = write_places(tmp_path)
    record = {"format": "jaxmask probability, version 1", "fits": [INFINITE_FIT | {"cloud_pixels": 1}]}
    (places / "model" / PROBABILITY_NAME).write_text(json.dumps(record))
    monkeypatch.setattr(evaluate, "map_items", lambda *arguments, **words: pytest.fail("begun"))
    assert evaluated(places, "--model", str(places / "model")) == 2
    assert "probability.json: expected the record that jaxmask.evaluate --calibrate writes" in capsys.readouterr().err


def test_calibration_names_a_mask_that_tells_nonsense(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", split=Split(train=("a",), validation=("b",)))
    said = {"model": load_model(folder).digest, "buffer": "wide"}
    write_mask(tmp_path / "b.h5", Mask("b", np.full((4, 4), 0.5, np.float32), np.ones((4, 4), bool), said))
    with pytest.raises(UserError, match=r"--calibrate: \S+b.h5 doesn't say how its P\(cloud\) was made"):
        calibration_source(folder, [tmp_path / "b.h5"])


@pytest.fixture
def matchups(tmp_path: Path) -> Path:
    """m.csv and masks/ of products A and B."""
    (tmp_path / "masks").mkdir()
    for name in "AB":
        clear = np.full((6, 8), 0.25, np.float32)
        write_mask(tmp_path / "masks" / f"{name}.h5", Mask(name, clear, np.ones((6, 8), bool), {"quantity": "q"}))
    table(["A", "A", "B"], [0, 1, 2], [0, 1, 2]).to_csv(tmp_path / "m.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGES)
def test_sst_names_a_damaged_mask_and_judges_by_the_other(damage: str, matchups: Path) -> None:
    if damage != "a flipped bit":  # of a mask that has nothing but quantity, it may be any
        set_attribute("threshold", 0.5)(matchups / "masks" / "B.h5")
    DAMAGES[damage](matchups / "masks" / "B.h5")
    assert judged_by_sst(matchups / "m.csv", matchups / "masks") == 3
    [failure] = json.loads((matchups / "masks" / "sst_failures.json").read_text())
    assert failure["item"] == "B.h5"
    results = json.loads((matchups / "masks" / "sst.json").read_text())
    assert results["excluded"]["mask_unreadable"] == 1


def test_sst_of_masks_that_are_all_damaged(matchups: Path) -> None:
    for name in "AB":
        (matchups / "masks" / f"{name}.h5").write_bytes(b"")
    assert judged_by_sst(matchups / "m.csv", matchups / "masks") == 3
    assert json.loads((matchups / "masks" / "sst.json").read_text())["excluded"]["mask_unreadable"] == 3


@pytest.mark.parametrize("place", ["sst_predictions.h5", "sst.csv", "sst.json"])
def test_sst_on_a_full_disk_names_the_file_and_keeps_the_earlier(
    place: str, matchups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = matchups / "masks"
    assert judged_by_sst(matchups / "m.csv", masks) == 0
    sizes = {path.name: path.stat().st_size for path in masks.iterdir()}
    assert sizes["sst_predictions.h5"] > sizes["sst.json"] > sizes["sst.csv"] > 0
    before = {path: path.read_bytes() for path in masks.iterdir()}
    (masks / place).unlink()
    (masks / place).mkdir()
    assert judged_by_sst(matchups / "m.csv", masks) == 2
    assert f"{masks / place}: Is a directory" in capsys.readouterr().err
    (masks / place).rmdir()
    (masks / place).write_bytes(before[masks / place])
    with files_of_at_most(sizes["sst.csv"] - 1):
        assert judged_by_sst(matchups / "m.csv", masks) == 2
    assert f"{masks / 'sst_predictions.h5'}: File too large; mend this and run again" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in masks.iterdir()} == before, "nothing hidden is left either"


def test_a_match_up_table_cut_anywhere_is_named(matchups: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = table(["A", "A", "B"], [0, 1, 2], [0, 1, 2])
    frame.to_parquet(matchups / "m.parquet")
    frame.to_hdf(matchups / "m.h5", key="data", format="fixed")
    for path in (matchups / "m.parquet", matchups / "m.h5"):
        data = path.read_bytes()
        assert judged_by_sst(path, matchups / "masks") == 0
        for share in (0, 0.001, 0.1, 0.5, 0.9, 0.999):
            path.write_bytes(data[: int(share * len(data))])
            assert judged_by_sst(path, matchups / "masks") == 2, share
            assert f"{path} can't be read as a table" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["evaluate", "sst"])
def test_what_a_killed_judge_left_is_cleared_by_the_next(stage: str, tmp_path: Path, matchups: Path) -> None:
    folder = write_places(tmp_path) / "out" if stage == "evaluate" else matchups / "masks"
    place = folder / f".{stage}.json.partial-{socket.gethostname()}-00000000"
    place.mkdir()
    (place / "lock").touch()
    (place / "partial").write_text("{")
    code = evaluated(tmp_path) if stage == "evaluate" else judged_by_sst(matchups / "m.csv", folder)
    assert code == 0
    assert not list(folder.glob(".*"))
