"""The infer command: what it writes, that it resumes, names what is bad, and keeps what is there."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
import pytest

from jaxmask import infer, reading, scene_source, unet
from jaxmask.infer import main
from jaxmask.infer_config import InferConfig
from jaxmask.inference_record import INFERENCE_NAME
from jaxmask.maskfile import product_info, read_mask
from jaxmask.model import Model
from jaxmask.network import open_network
from jaxmask.pixels import image
from jaxmask.predict import scene_logits
from jaxmask.probability import to_output
from jaxmask.scene_source import Wanted, find_scenes, load_scene
from jaxmask.split import Split
from preprocess.command import run
from preprocess.convert import ConvertConfig
from preprocess.convert import main as convert
from preprocess.errors import UserError
from preprocess.shard import read_info, read_shard, write_shard
from preprocess.simulation.product import write_folder
from tests.products import write_product
from tests.shards import make_published_shard, make_scene, make_shard, make_shards, product_name
from tests.simulated import random_scene, small_plan
from tests.test_programs import compilations


def small_model(seed: int = 1, **changes: Any) -> Model:
    graphdef, params = unet.create(2, seed)
    model = Model(
        graphdef=graphdef,
        params=jax.tree.map(np.asarray, params),
        features=2,
        convention="native",
        calibration="none",
        regridding="mean",
        positive_weight=0.5,
        digest=f"digest{seed}",
        source="test",
        patch_size=64,
        split=Split(train=(product_name(0),), test=(product_name(1),)),
    )
    return replace(model, **changes)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    made = small_model()
    monkeypatch.setattr(infer, "load_models", lambda path, others, checkpoint: (made,))
    return made


def infer_to(folder: Path, scenes: Path, *flags: str) -> int:
    return run("jaxmask.infer", InferConfig, main, ["model", str(scenes), str(folder), "--workers", "0", *flags])


@pytest.mark.quick
def test_masks_of_shards(model: Model, tmp_path: Path) -> None:
    hdf, out = make_shards(tmp_path / "hdf", 3), tmp_path / "out"
    assert infer_to(out, hdf, "--quiet") == 0
    assert sorted(path.name for path in out.iterdir()) == [*(f"{product_name(i)}.h5" for i in range(3)), INFERENCE_NAME]
    for number, part in enumerate(("train", "test", "none")):
        mask = read_mask(out / f"{product_name(number)}.h5")
        scene = read_shard(hdf / "day" / f"{product_name(number)}.hdf")
        expected = to_output(scene_logits(open_network(model).logits, image(scene.refs, scene.bts)[None])[0])
        np.testing.assert_allclose(mask.probability, expected, rtol=3e-7)  # two sigmoids of one logit
        assert mask.valid.all()
        wanted = {"model": "digest1", "convention": "native", "quantity": "q", "threshold": 0.5, "part": part}
        assert wanted.items() <= mask.attributes.items()
        info = product_info(mask)
        assert (info["product"], info["rows"], info["sun_distance_au"]) == (product_name(number), 64, 1.0)


def test_the_network_is_compiled_once_a_shape(model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """11 scenes of two sizes that are padded to one, 2 of another; 8 devices with 1 scene each, and not all of them."""
    shards = make_shards(tmp_path / "hdf", 8, 40, 48)
    for number in range(8, 13):
        make_shard(shards / "day" / f"{product_name(number)}.hdf", *((37, 45) if number < 11 else (48, 48)))
    with jax.log_compiles():
        assert infer_to(tmp_path / "out", shards, "--quiet") == 0
    assert compilations(caplog)["_logits"] == 2
    assert len(list((tmp_path / "out").glob("*.h5"))) == 13


def test_invalid_and_not_finite_pixels(model: Model, tmp_path: Path) -> None:
    scene = make_scene(product_name(0), 60, 90)
    scene.valid[3, 4], scene.refs[10, 11, 2], scene.bts[20, 21, 1] = 0, np.nan, np.inf
    scene = replace(scene, info=replace(scene.info, sun_distance_au=float("nan")))
    write_shard(tmp_path / "hdf" / f"{product_name(0)}.hdf", scene)
    assert infer_to(tmp_path / "out", tmp_path / "hdf", "--quiet") == 0
    mask = read_mask(tmp_path / "out" / f"{product_name(0)}.h5")
    assert sorted(map(tuple, np.argwhere(~mask.valid).tolist())) == [(3, 4), (10, 11), (20, 21)]
    with h5py.File(tmp_path / "out" / f"{product_name(0)}.h5") as file:
        assert np.isfinite(file["mask"][()]).all()
    assert product_info(mask)["sun_distance_au"] is None


def test_second_run_reuses_and_a_broken_mask_is_made_anew(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hdf, out = make_shards(tmp_path / "hdf", 3), tmp_path / "out"
    assert infer_to(out, hdf) == 0
    broken = out / f"{product_name(1)}.h5"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-100])
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    capsys.readouterr()
    assert infer_to(out, hdf, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["masks"], summary["reused"]) == (1, 2)
    changed = {path.name for path in out.iterdir() if path.stat().st_mtime_ns != times[path.name]}
    assert changed == {broken.name, INFERENCE_NAME}
    assert read_mask(broken).valid.all()


def test_a_mask_of_a_shard_converted_otherwise_since_is_made_anew(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = make_shards(tmp_path / "hdf", 2)
    for version, masks in (("old", 2), ("old", 0), ("new", 1), ("new", 0)):
        make_shard(shards / "day" / f"{product_name(1)}.hdf", seed=1, manifest_md5=version)
        capsys.readouterr()
        assert infer_to(tmp_path / "masks", shards, "--json") == 0
        assert json.loads(capsys.readouterr().out)["masks"] == masks


def test_masks_of_another_model_or_flags_are_kept_unless_overwrite(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hdf, out = make_shards(tmp_path / "hdf", 2), tmp_path / "out"
    assert infer_to(out, hdf) == 0
    before = (out / f"{product_name(0)}.h5").read_bytes()
    assert infer_to(out, hdf, "--probability") == 2
    assert "is there already, but of another quantity (q)" in capsys.readouterr().err
    monkeypatch.setattr(infer, "load_models", lambda path, others, checkpoint: (small_model(2),))
    assert infer_to(out, hdf) == 2
    assert "of another model (digest1); choose another folder, or pass --overwrite" in capsys.readouterr().err
    assert (out / f"{product_name(0)}.h5").read_bytes() == before
    assert infer_to(out, hdf, "--overwrite") == 0
    assert read_mask(out / f"{product_name(0)}.h5").attributes["model"] == "digest2"


def test_the_originals_mask_is_not_replaced_silently(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hdf, out = make_shards(tmp_path / "hdf", 1), tmp_path / "out"
    out.mkdir()
    with h5py.File(out / f"{product_name(0)}.h5", "w") as file:
        file["mask"] = np.zeros((1, 64, 96, 1))
    assert infer_to(out, hdf) == 2
    assert "of another model (unknown)" in capsys.readouterr().err


def test_probability_takes_the_losss_weight_out(model: Model, tmp_path: Path) -> None:
    hdf = make_shards(tmp_path / "hdf", 1)
    assert infer_to(tmp_path / "q", hdf, "--quiet") == 0
    assert infer_to(tmp_path / "p", hdf, "--quiet", "--probability", "--threshold", "0.7") == 0
    q, p = (read_mask(tmp_path / kind / f"{product_name(0)}.h5") for kind in "qp")
    logit_q, logit_p = (np.log(m.probability.astype(np.float64) / (1 - m.probability)) for m in (q, p))
    np.testing.assert_allclose(logit_p, logit_q - np.log(0.5), atol=1e-5)  # float32 near 0.5
    assert (p.attributes["quantity"], p.threshold) == ("P", 0.7)


def test_reference_tiling_equals_the_scene_away_from_seams(model: Model, tmp_path: Path) -> None:
    # One tile of 256 holds the image behind 48 pixels of padding on each side, a multiple of 8, so the network
    # pools the same pixels together, and the padding is the only difference.
    make_shard(tmp_path / "hdf" / f"{product_name(0)}.hdf", 160, 160)
    assert infer_to(tmp_path / "a", tmp_path / "hdf", "--quiet") == 0
    assert infer_to(tmp_path / "b", tmp_path / "hdf", "--quiet", "--tiling", "reference") == 0
    whole, tiled = (read_mask(tmp_path / kind / f"{product_name(0)}.h5") for kind in "ab")
    inside = slice(56, -56)
    np.testing.assert_allclose(tiled.probability[inside, inside], whole.probability[inside, inside], atol=1e-5)
    assert (tiled.attributes["tiling"], tiled.attributes["crop_size"]) == ("reference", 80)
    assert "crop_size" not in whole.attributes


def test_bad_scenes_are_named_and_the_rest_go_on(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hdf, out = make_shards(tmp_path / "hdf", 2), tmp_path / "out"
    (hdf / "day" / f"{product_name(5)}.hdf").write_bytes(b"not HDF5")
    make_shard(hdf / "day" / f"{product_name(6)}.hdf", calibration="notice")
    make_published_shard(hdf / "night" / f"{product_name(7)}.hdf")
    assert infer_to(out, hdf) == 3
    failures = json.loads((out / "failures.json").read_text())
    assert [Path(failure["item"]).stem for failure in failures] == [product_name(n) for n in (5, 6, 7)]
    assert (
        "made with --convention native --calibration notice --regrid mean, but the model learnt --conv"
        in failures[1]["error"]
    )
    assert "--convention reference" in failures[2]["error"]
    assert len(list(out.glob("*.h5"))) == 2
    assert "2 masks written, 0 reused, 3 failed" in capsys.readouterr().err
    assert infer_to(out, hdf, "--force") == 3
    assert len(list(out.glob("*.h5"))) == 4
    forced = read_mask(out / f"{product_name(7)}.h5")
    assert (forced.attributes["convention"], product_info(forced)["convention"]) == ("native", "reference")


def test_two_files_of_one_product(model: Model, tmp_path: Path) -> None:
    hdf = make_shards(tmp_path / "hdf", 1)
    write_shard(hdf / "day" / "copy.hdf", make_scene(product_name(0)))
    assert infer_to(tmp_path / "out", hdf, "--quiet") == 3
    [failure] = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert "is the same product as" in failure["error"]
    make_shard(hdf / "night" / "copy.hdf")
    with pytest.raises(UserError, match="have one name; give the folder of only one"):
        find_scenes(hdf)


def test_processes_read_ahead(model: Model, tmp_path: Path) -> None:
    hdf = make_shards(tmp_path / "hdf", 3)
    assert infer_to(tmp_path / "out", hdf, "--quiet", "--workers", "1") == 0
    assert len(list((tmp_path / "out").glob("*.h5"))) == 3


def test_workers_of_a_cluster_are_given_absolute_paths(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They run in folders of their own."""
    make_shards(tmp_path / "hdf", 1, 32, 40)
    monkeypatch.chdir(tmp_path)
    given: list[Path] = []
    monkeypatch.setattr(reading, "map_items", lambda work, items, **flags: given.extend(items) or iter([]))
    infer_to(Path("masks"), Path("hdf"), "--scheduler", "tcp://nowhere:1")
    assert [path.parent.parent for path in given] == [tmp_path / "hdf"]


def test_zips_of_an_archive_are_found_beside_its_table_of_match_ups(tmp_path: Path) -> None:
    archive, flat = tmp_path / "archive", tmp_path / "flat"
    for path in (archive / f"{product_name(0)}.zip", archive / "sst_matchups.h5", flat / "one.h5", flat / "notes.txt"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert find_scenes(archive) == [archive / f"{product_name(0)}.zip"]
    assert find_scenes(flat) == [flat / "one.h5"]


def test_quicklooks_asked_for_later_are_made_and_those_of_replaced_masks_removed(model: Model, tmp_path: Path) -> None:
    hdf, out = make_shards(tmp_path / "hdf", 1), tmp_path / "out"
    picture = out / f"{product_name(0)}.png"
    assert infer_to(out, hdf, "--quiet") == 0
    assert infer_to(out, hdf, "--quiet", "--png") == 0
    assert picture.exists()
    assert infer_to(out, hdf, "--quiet") == 0
    assert picture.exists(), "the mask was kept, and so its picture"
    assert infer_to(out, hdf, "--quiet", "--probability", "--overwrite") == 0
    assert not picture.exists()


def test_png_beside_the_mask(model: Model, tmp_path: Path) -> None:
    hdf = make_shards(tmp_path / "hdf", 1)
    assert infer_to(tmp_path / "out", hdf, "--quiet", "--png") == 0
    picture = tmp_path / "out" / f"{product_name(0)}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_kinds_of_input(tmp_path: Path) -> None:
    hdf = make_shards(tmp_path / "hdf", 2)
    shards = sorted((hdf / "day").iterdir())
    assert find_scenes(hdf) == find_scenes(hdf / "day") == shards
    assert find_scenes(shards[0]) == shards[:1]
    (tmp_path / "X.SEN3").mkdir()
    with zipfile.ZipFile(tmp_path / "Y.zip", "w"):
        pass
    assert find_scenes(tmp_path) == [tmp_path / "X.SEN3", tmp_path / "Y.zip"]
    assert find_scenes(tmp_path / "X.SEN3") == [tmp_path / "X.SEN3"]
    listing = tmp_path / "list.txt"
    listing.write_text(f"{shards[1]}\n\n# a comment\nY.zip\n")
    assert find_scenes(listing) == [shards[1], tmp_path / "Y.zip"]


def test_no_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file or folder; expected shards, \.SEN3 folders, zips"):
        find_scenes(tmp_path / "none")
    with pytest.raises(UserError, match=r"no shards \(\*\.hdf\), \.SEN3 folders or zips in it"):
        find_scenes(tmp_path)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UserError, match="lists nothing"):
        find_scenes(tmp_path / "empty.txt")


def test_scenes_come_without_radiances(tmp_path: Path) -> None:
    scene = make_scene(product_name(0))
    write_shard(path := tmp_path / f"{product_name(0)}.hdf", replace(scene, rads=scene.refs))
    assert load_scene(path, Wanted("native", "none", "mean")).rads is None


OWN = "nadir 0.9 1.0 1.1 1.2 1.3 1.4"


@pytest.mark.quick
def test_a_raw_product_becomes_what_the_model_learnt(tmp_path: Path) -> None:
    """A user's factors come from the record alone, and apply as in convert; the reference convention keeps its way."""
    product = write_product(tmp_path)
    plain, own = (load_scene(product, Wanted("native", calibration, "mean")) for calibration in ("none", OWN))
    np.testing.assert_allclose(own.refs, plain.refs * np.array([0.9, 1.0, 1.1, 1.2, 1.3, 1.4], "f4"), rtol=3e-7)
    assert (own.info.calibration, own.info.regridding) == (OWN, "mean")
    assert load_scene(product, Wanted("reference", "none", "resize")).info.regridding == "resize"
    with pytest.raises(UserError, match=r"--calibration must be none, notice or a file of factors; found 'own.json'"):
        load_scene(product, Wanted("native", "own.json", "mean"))


def test_a_raw_product_and_its_shard_get_one_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of shards with a user's factors, regridded by neighbours, which are recorded in shard and model alone."""
    product = write_folder(random_scene(small_plan(rows=32, columns=40)), tmp_path)
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"nadir": {f"S{channel}": 0.7 + 0.1 * channel for channel in range(1, 7)}}))
    argv = [str(product), str(tmp_path / "hdf"), "--shape", "native", "--workers", "0", "--quiet"]
    argv += ["--calibration", str(own), "--regrid", "neighbours"]
    assert run("preprocess.convert", ConvertConfig, convert, argv) == 0
    own.unlink()
    info = read_info(find_scenes(tmp_path / "hdf")[0])
    masks = {}
    for name, regridding in (("one", info.regridding), ("other", "mean")):
        made = small_model(calibration=info.calibration, regridding=regridding)
        monkeypatch.setattr(infer, "load_models", lambda path, others, checkpoint, made=made: (made,))
        assert infer_to(tmp_path / name, product, "--quiet") == 0
        masks[name] = read_mask(tmp_path / name / f"{info.product}.h5").probability
        assert infer_to(tmp_path / f"{name}_shard", tmp_path / "hdf", "--quiet") == (0 if name == "one" else 3)
    of_shard = read_mask(tmp_path / "one_shard" / f"{info.product}.h5").probability
    np.testing.assert_array_equal(masks["one"], of_shard)
    assert not np.array_equal(masks["one"], masks["other"])


def test_a_raw_product_is_regridded_as_the_model_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    scene = make_scene(product_name(0))
    monkeypatch.setattr(scene_source, "read_product", lambda path, **flags: asked.update(flags))
    monkeypatch.setattr(scene_source, "make_scene", lambda product, **flags: asked.update(flags) or scene)
    load_scene(tmp_path / "x.SEN3", Wanted("native", "none", "neighbours", verify="none"))
    assert (asked["regrid"], asked["positions"], asked["verify"]) == ("neighbours", True, "none")
    load_scene(tmp_path / "x.SEN3", Wanted("reference", "none", "resize"))
    assert (asked["regrid"], asked["positions"], asked["verify"]) == ("mean", False, "bytes")


def test_shards_of_another_regridding_or_calibration_are_refused_unless_forced(tmp_path: Path) -> None:
    path = make_shard(tmp_path / f"{product_name(0)}.hdf", regridding="neighbours", calibration=OWN)
    with pytest.raises(UserError) as raised:
        load_scene(path, Wanted("native", "none", "mean"))
    found = f"made with --convention native --calibration '{OWN}' --regrid neighbours, but the model learnt "
    message = f"{path}: {found}--convention native --calibration none --regrid mean; convert the product so"
    assert message in str(raised.value)
    for wanted in (Wanted("native", OWN, "mean"), Wanted("native", "none", "neighbours")):
        with pytest.raises(UserError, match="but the model learnt"):
            load_scene(path, wanted)
    assert load_scene(path, Wanted("native", "none", "mean", force=True)).info.regridding == "neighbours"
    assert load_scene(path, Wanted("native", OWN, "neighbours")).info.calibration == OWN
    both = make_shard(tmp_path / f"{product_name(1)}.hdf", calibration=f"{OWN}; oblique 1.0 1.0 1.0 1.0 1.0 1.0")
    assert load_scene(both, Wanted("native", OWN, "mean")).info.product == product_name(1)


@pytest.mark.parametrize(("flag", "value"), [("--threshold", "1"), ("--crop-size", "256"), ("--workers", "-1")])
def test_flags_are_checked(flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert infer_to(tmp_path / "out", tmp_path, flag, value) == 2
    assert f"{flag} must be" in capsys.readouterr().err
