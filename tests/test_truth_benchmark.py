"""The truth test's own arithmetic against slow and hand-worked versions; its judging on a tiny made-up archive."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxmask import unet
from jaxmask.command_line import parse
from jaxmask.maskfile import Mask, write_mask
from jaxmask.train import TrainCommand
from preprocess.shard import read_shard, validate, write_shard
from tests.shards import make_scene, make_shard, product_name
from tests.test_matchups import random_table

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"


def script(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A script of benchmarks/ as a module; it imports its neighbours as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)


@pytest.mark.quick
def test_resampled_shares_equal_those_of_scenes_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = script(monkeypatch, "truth_bootstrap")
    rng = np.random.default_rng(0)
    part, whole = rng.integers(0, 50, 12), rng.integers(50, 90, 12)
    weights = bootstrap.draws(12, seed=3, replicates=400)
    assert weights.shape == (401, 12)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 12).all()
    found = bootstrap.share(part, whole, weights)
    for row in (0, 1, 400):
        drawn = np.repeat(np.arange(12), weights[row].astype(int))
        assert found[row] == pytest.approx(part[drawn].sum() / whole[drawn].sum())
    told = bootstrap.estimate(found, scenes=12)
    assert (told.low, told.high) == pytest.approx(tuple(np.percentile(found[1:], [2.5, 97.5])))
    assert told.low < told.value < told.high
    assert bootstrap.estimate(found, scenes=9) == bootstrap.Estimate(told.value, None, None)
    nothing = bootstrap.estimate(bootstrap.share(part, 0 * whole, weights), scenes=12)
    assert nothing == bootstrap.Estimate(None, None, None)


@pytest.mark.quick
def test_a_smoothed_label_is_the_majority_of_known_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = script(monkeypatch, "truth_labels")
    rng = np.random.default_rng(1)
    cloud, known = rng.random((9, 11)) < 0.5, rng.random((9, 11)) < 0.7
    for side in (3, 7):
        reach, share = side // 2, labels.cloud_share(cloud, known, side)
        smooth = labels.majority(share, cloud)
        for row in range(9):
            for column in range(11):
                square = np.s_[
                    max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
                ]  # fmt: skip
                said = cloud[square][known[square]]
                assert share[row, column] == (said.mean() if said.size else 0)
                half = 2 * said.sum() == said.size and said.size > 0
                assert smooth[row, column] == (cloud[row, column] if half else 2 * said.sum() > said.size)


@pytest.mark.quick
def test_the_control_is_a_function_of_a_pixels_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cold; bright in S1 and S5; S7 well below S8; snow, bright in S1 alone; a warm dark sea."""
    labels = script(monkeypatch, "truth_labels")
    refs, bts = np.full((1, 5, 6), 0.05), np.full((1, 5, 3), 285.0)
    bts[0, 0] = 264.9
    refs[0, 1, [0, 4]] = 0.26, 0.16
    bts[0, 2, 0] = 283.9
    refs[0, 3, 0] = 0.9
    assert labels.control(refs, bts).tolist() == [[True, True, True, False, False]]


def test_shards_are_relabelled_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labels = script(monkeypatch, "truth_labels")
    known, unlabelled = (tmp_path / "in" / "day" / f"{product_name(number)}.hdf" for number in (0, 1))
    make_shard(known, 16, 24, label_rule="single_moderate")
    make_shard(unlabelled, 16, 24, labelled=False)
    truth = tmp_path / "truth"
    truth.mkdir()
    cloud = np.random.default_rng(0).random((16, 24)) < 0.5
    with h5py.File(truth / f"{known.stem}.h5", "w") as file:
        file["cloud"], file["dbt8_k"] = cloud.astype(np.uint8), np.zeros((16, 24), np.float32)
    target = labels.truth_target(truth)
    assert labels.relabel(tmp_path / "in", tmp_path / "out", "truth", target) == 1
    assert labels.relabel(tmp_path / "in", tmp_path / "out", "truth", target) == 0
    (copy,) = (tmp_path / "out").rglob("*.hdf")
    assert validate(copy).label_rule == "truth"
    before, after = read_shard(known), read_shard(copy)
    np.testing.assert_array_equal(after.bayes[..., 0] == 255, cloud)
    for name in ("refs", "bts", "valid", "label_valid", "flags"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    with pytest.raises(ValueError, match=f"no truth of {unlabelled.stem}"):
        target(make_scene(unlabelled.stem, 16, 24))


@pytest.mark.quick
def test_the_pixelwise_network_sees_one_pixel_and_costs_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    pixelwise = script(monkeypatch, "truth_pixelwise")
    convolved = unet.structure(8)[1]
    monkeypatch.setattr(unet, "UNet", pixelwise.Pixelwise)
    graphdef, shapes = unet.structure(8)
    rng = np.random.default_rng(2)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32), shapes)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(1, 8, 16, 9)), jnp.float32)
    logits = np.asarray(unet.apply(graphdef, params, images))
    lot = np.random.default_rng(1).permutation(8 * 16)
    shuffled = images.reshape(1, -1, 9)[:, lot].reshape(images.shape)
    again = np.asarray(unet.apply(graphdef, params, shuffled))
    # Sums over channels may be ordered otherwise for other places in a vector: float32's rounding.
    np.testing.assert_allclose(again.reshape(-1), logits.reshape(-1)[lot], atol=1e-5)
    assert np.ptp(logits) > 0.1
    assert unet.count_parameters(params) == 10_193
    assert unet.count_parameters(convolved) == 122_545
    assert sum(leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim == 4) == 9_968
    # Each kernel of the U-Net works on 1/4 of the pixels a level below: encoder, decoder (2, 1, 0) and head.
    below = {"encoder0": 0, "encoder1": 1, "encoder2": 2, "bottom": 3, "decoder0": 2, "decoder1": 1, "decoder2": 0}
    total = 0.0
    for path, leaf in jax.tree.leaves_with_path(convolved):
        name = "".join(str(key.key) for key in path)
        level = next((level for start, level in below.items() if name.startswith(start)), 0)
        total += leaf.size / 4**level if leaf.ndim == 4 else 0
    assert total == 10_736


@pytest.mark.quick
def test_counts_by_stratum_equal_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = script(monkeypatch, "truth_pixels")
    rng = np.random.default_rng(2)
    shape = (12, 10)
    codes = [rng.integers(0, count, shape) for count in pixels.CELLS]
    counted, truth, said = (rng.random(shape) < share for share in (0.8, 0.5, 0.5))
    cell = np.ravel_multi_index(codes, pixels.CELLS).astype(np.uint8)
    scene = pixels.HeldOut("a", counted, truth, np.zeros(shape), truth, cell, {})
    found = pixels.count(scene, said)
    names = [*pixels.SKIES, *pixels.GROUND, *pixels.TIMES]
    assert list(pixels.STRATA) == ["all", *names]
    where = [np.ones(shape, bool)]
    for part, size in zip(codes, pixels.CELLS, strict=True):
        where += [part == code for code in range(size)]
    for row, inside in zip(found, where, strict=True):
        expected = [int((inside & counted & (truth == t) & (said == s)).sum()) for t in (0, 1) for s in (0, 1)]
        assert row.tolist() == expected


def test_strata_are_those_of_the_simulators_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thin below an amount of 0.5, faint between 0.02 and the truth's 0.15; coast 2 pixels from where land begins."""
    pixels = script(monkeypatch, "truth_pixels")
    amount = np.array([[0.0, 0.03, 0.3, 0.6, 9.0, 0.01]], np.float32)
    truth = {
        "optical_depth": amount,
        "cover_fraction": np.ones_like(amount),
        "cloud": (amount >= 0.15).astype(np.uint8),
        "kind": np.array([[0, 0, 3, 3, 1, 0]], np.uint8),
    }
    told = [pixels.SKIES[code] for code in pixels.sky(truth)[0]]
    assert told == ["clear", "faint cloud", "thin cirrus", "cirrus", "stratus", "clear"]
    surface = np.array([[0] * 5 + [1] * 5], np.uint8)
    flags = np.where(np.arange(10) < 2, 4096, 0).astype(np.uint16)[None]
    ground = [pixels.GROUND[code] for code in pixels.ground(surface, flags)[0]]
    assert ground == ["glint"] * 2 + ["sea"] + ["coast"] * 4 + ["vegetation"] * 3
    cosines = np.cos(np.radians([[79.9, 80.1, 89.9, 90.1, np.nan]]))
    times = [pixels.TIMES[code] for code in pixels.time_of_day(cosines)[0]]
    assert times == ["day", "twilight", "twilight", "night", "night"]


@pytest.mark.quick
def test_differences_are_of_means_over_seeds_in_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = script(monkeypatch, "truth_scores")
    bootstrap = script(monkeypatch, "truth_bootstrap")
    rng = np.random.default_rng(3)
    strata = len(scores.STRATA)
    counts = {
        "one": [rng.integers(0, 90, (11, strata, 4)) for _ in range(3)],
        "other": [rng.integers(0, 90, (11, strata, 4))],
    }
    weights = bootstrap.draws(11, seed=0, replicates=300)
    found = scores.differences(counts, [("one", "other"), ("one", "one")], weights)

    def missed(part: np.ndarray, drawn: np.ndarray) -> float:
        clear_to_cloud = part[drawn][:, 0].sum(axis=0)
        return float(clear_to_cloud[2] / (clear_to_cloud[2] + clear_to_cloud[3]))

    def difference(drawn: np.ndarray) -> float:
        return float(np.mean([missed(part, drawn) for part in counts["one"]]) - missed(counts["other"][0], drawn))

    slow = [difference(np.repeat(np.arange(11), row.astype(int))) for row in weights]
    told = found["one - other"]["all"]["missed"]
    assert told["value"] == pytest.approx(slow[0], abs=1e-6)  # told to six digits
    assert (told["low"], told["high"]) == pytest.approx(tuple(np.percentile(slow[1:], [2.5, 97.5])), abs=1e-6)
    assert found["one - one"]["all"]["accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0, "scenes": 11}
    row = scores.table(counts, weights)["one"]["all"]
    assert row["missed"]["seeds"] == pytest.approx([missed(part, np.arange(11)) for part in counts["one"]], abs=1e-6)
    assert row["pixels"] == counts["one"][0][:, 0].sum()


@pytest.mark.quick
def test_a_threshold_gives_as_much_cloud_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = script(monkeypatch, "truth_scores")
    values = np.random.default_rng(4).permutation(np.linspace(0, 1, 101)).astype(np.float32)
    for cloudy in (0, 1, 40, 100, 101, 200):
        assert (values > scores.threshold_as_cloudy(values, cloudy)).sum() == min(cloudy, 101)


@pytest.mark.quick
def test_rows_are_kept_as_if_written_out_as_often_as_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    sst = script(monkeypatch, "truth_sst")
    rng = np.random.default_rng(5)
    score = rng.permutation(40).astype(float)
    weight = rng.integers(0, 4, (6, 40)).astype(float)
    keep = np.array([0.0, 1.0, 7.0, 20.0, 33.0, weight[5].sum()])
    kept = sst.kept_weights(score, weight, keep, seed=0)
    for row in range(6):
        written = np.sort(np.repeat(score, weight[row].astype(int)))[: int(keep[row])]
        expected = [np.count_nonzero(written == value) for value in score]
        assert kept[row].tolist() == expected
    tied = sst.kept_weights(np.zeros(40), np.ones((1, 40)), np.array([10.0]), seed=0)
    assert tied.sum() == 10
    assert not tied[0, :10].all()  # by lot, not as they lie in the table


def test_cold_tails_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 rows of N2, a scene each, 4 of them cold by 3 K. Bayes keeps 10, 2 of them cold; the other mask none."""
    sst = script(monkeypatch, "truth_sst")
    bootstrap = script(monkeypatch, "truth_bootstrap")
    table = random_table(20, 0)
    table = {name: values[:20] for name, values in table.items()}
    same = {"slat": 0.0, "latitude_an": 0.0, "slon": 0.0, "longitude_an": 0.0, "isst": 15.0, "satzan": 20.0}
    table |= {name: np.full(20, value) for name, value in same.items()}
    cold = np.isin(np.arange(20), (0, 1, 18, 19))
    table |= {"sst_algorithm_type": np.ones(20, int), "sat_sst_0": 288.15 - np.where(cold, 3.0, 0.0)}
    table |= {"pcloudn": np.where(np.arange(20) < 10, 0.1, 0.95), "quality_level": np.ones(20, int)}
    table |= {"cems_path": np.array([f"/a/P{row:02d}.SEN3" for row in range(20)])}
    places = sst.find_places(table, [f"P{row:02d}" for row in range(20)])
    judged = np.ones(20, bool)
    rows = sst.eligible(table, places, judged)
    assert [one.index.size for one in rows] == [20, 0, 0, 0]
    weights = bootstrap.draws(20, seed=0, replicates=200)
    found = sst.judge(table, rows, {"best": [cold.astype(float)] * 2}, weights, seed=0)
    assert list(found) == ["N2", "all"]
    for part in found.values():
        assert (part["rows"], part["kept"], part["scenes"]) == (20, 10, 20)
        assert part["masks"][sst.OPERATIONAL]["cold"]["value"] == 0.2
        assert part["masks"]["best"]["cold"]["value"] == 0.0
        assert part["masks"]["best"][f"minus {sst.OPERATIONAL}"]["value"] == -0.2
        assert part["masks"]["best"][f"minus {sst.OPERATIONAL}"]["low"] < -0.2
    assert sst.eligible(table, places, ~judged)[0].index.size == 0


def made_up_archive(study: Any, runs: list[Any], scenes: int = 3, shape: tuple[int, int] = (16, 24)) -> None:
    """What the stages would leave: shards, truth, masks and match-ups. The networks know the truth but for a column."""
    rows = []
    for number in range(scenes):
        name = product_name(number)
        scene = make_scene(name, *shape, seed=number)
        truth = scene.bayes[..., 0] > 0
        (study.held_out / "truth").mkdir(parents=True, exist_ok=True)
        with h5py.File(study.held_out / "truth" / f"{name}.h5", "w") as file:
            file["cloud"], file["kind"] = truth.astype(np.uint8), truth.astype(np.uint8)
            file["surface"] = np.zeros(shape, np.uint8)
            for key in ("optical_depth", "cover_fraction", "dbt8_k"):
                file[key] = truth.astype(np.float32)
        for rule in study.labels:
            folder = study.held_out_shards(rule) / "day"
            folder.mkdir(parents=True, exist_ok=True)
            write_shard(folder / f"{name}.hdf", scene)
        said = truth.astype(np.float32)
        said[:, -1] = 0.75
        for run in runs:
            run.masks(study).mkdir(parents=True, exist_ok=True)
            write_mask(run.masks(study) / f"{name}.h5", Mask(name, said, np.ones(shape, bool)))
        table = {column: values[:30] for column, values in random_table(30, number).items()}
        rows.append(table | {"cems_path": np.full(30, f"/x/{name}.SEN3")})
    joined = pd.DataFrame({column: np.concatenate([part[column] for part in rows]) for column in rows[0]})
    joined.to_csv(study.held_out / "sst_matchups.csv", index=False)


def test_an_archive_is_judged_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stages, judge = script(monkeypatch, "truth_stages"), script(monkeypatch, "truth_judge")
    page, figure = script(monkeypatch, "truth_page"), script(monkeypatch, "truth_figure")
    study = stages.Study(tmp_path, labels=("any",), seeds=(1, 2))
    made_up_archive(study, list(stages.runs(study)))
    read = judge.read_table
    monkeypatch.setattr(judge, "read_table", lambda path, columns: read(path.with_suffix(".csv"), columns))
    report = judge.judge(study)
    assert (report["scenes"], report["pixels"]) == (3, 3 * 16 * 24)
    found = report["labels"]["any"]
    assert found["masks"]["label"]["all"]["accuracy"]["value"] == 1.0
    right = found["masks"]["U-Net"]["all"]
    assert right["accuracy"]["value"] == pytest.approx(1 - 1 / 24, abs=1e-6)
    assert right["accuracy"]["seeds"] == [right["accuracy"]["value"]] * 2
    assert right["missed"]["value"] == 0.0
    # As cloudy as the label, the doubtful column is clear.
    assert found["masks"]["U-Net, as cloudy as the label"]["all"]["accuracy"]["value"] == 1.0
    assert found["differences"]["U-Net - label"]["all"]["accuracy"]["value"] == pytest.approx(-1 / 24, abs=1e-6)
    assert list(found["differences"]["U-Net - label"]) == ["all"]
    skill = found["differences"]["U-Net, as cloudy as the label - label"]
    assert skill["stratus"]["accuracy"]["value"] == skill["all"]["accuracy"]["value"] == 0.0
    machine = {"when": "2026-12-01T00:00", "processor": "P", "load": 0.1, "cores": 2, "command": "c"}
    told = {name: value for name, value in vars(study).items() if name != "folder"}
    report |= machine | {"study": told, "seconds": {}}
    texts = page.texts(json.loads(json.dumps(report)))
    assert list(texts) == [f"truth {name}" for name in page.NAMES]
    assert "| U-Net | 95.83 | 0.00 | " in texts["truth overall"]
    assert "| U-Net minus label | -4.17 | +0.00 | " in texts["truth differences"]
    assert "U-Net minus label | U-Net minus pixelwise |" in texts["truth strata"]
    figure.save(report, tmp_path / "f.png")
    scene = script(monkeypatch, "truth_scene")
    scene.save(study, tmp_path / "scene.png")
    for name in ("f.png", "scene.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert [scene.middle(values) for values in ([3.0, 1.0, 2.0], [4.0, 1.0, 3.0, 2.0])] == [2, 3]
    other = next(stages.runs(study)).masks(study) / f"{product_name(0)}.h5"
    write_mask(other, Mask("a", np.zeros((8, 8)), np.ones((8, 8), bool)))
    with pytest.raises(ValueError, match=r"expected \(16, 24\) pixels"):
        judge.judge(study)


@pytest.mark.quick
def test_stages_are_done_once_and_refuse_another_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stages = script(monkeypatch, "truth_stages")
    done: list[int] = []
    for _ in range(2):
        stages.once(tmp_path, "relabel truth", ["a", "b"], lambda: done.append(1))
    assert done == [1]
    assert list(stages.seconds(stages.Study(tmp_path))) == ["relabel truth"]
    with pytest.raises(ValueError, match="expected a c, found a b: choose another --folder"):
        stages.once(tmp_path, "relabel truth", ["a", "c"], lambda: done.append(1))
    with pytest.raises(RuntimeError, match="ended with exit code 5"):
        stages.execute(["-c", "import sys; sys.exit(5)"])


@pytest.mark.quick
def test_each_label_is_learnt_with_each_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stages = script(monkeypatch, "truth_stages")
    study = stages.Study(tmp_path, labels=("single_moderate", "any"))
    names = [run.name for run in stages.runs(study)]
    assert len(names) == len(set(names)) == 18
    assert names[:4] == ["unet-single_moderate-1", "pixelwise-single_moderate-1", "unet-truth-1", "unet-control-1"]
    for run in stages.runs(study):
        command = parse(TrainCommand, "jaxmask.train", stages.training(study, run))
        assert (command.seed, command.train_split, command.shards) == (run.seed, 1, study.shards(run.target))
    commands = dict(stages.archives(study))
    assert "--held-out" in commands["simulate held_out"]
    assert "--held-out" not in commands["simulate archive"]
    assert study.archive_seed != study.held_out_seed


def test_the_page_holds_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pages, page = script(monkeypatch, "pages"), script(monkeypatch, "truth_page")
    told = (ROOT / "docs" / "truth.md").read_text()
    copy = tmp_path / "truth.md"
    copy.write_text(told)
    assert pages.main(["--update", str(copy)]) == 0
    assert copy.read_text() == told, "run benchmarks/pages.py --update docs/truth.md"
    assert all(f"<!-- truth {name}: begin -->" in told for name in page.NAMES)
    assert set(page.texts(None).values()) == {page.NOTHING}


@pytest.mark.quick
def test_numbers_are_told_with_their_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    page = script(monkeypatch, "truth_page")
    numbers = {"value": 0.81234, "low": 0.8011, "high": 0.82}
    assert page.percent(numbers) == "81.23 (80.1 to 82.0)"
    assert page.percent({"value": -0.0123, "low": -0.02, "high": 0.003}, signed=True) == "-1.23 (-2.0 to +0.3)"
    assert page.percent({"value": 0.5, "low": None, "high": None}) == "50.00"
    assert page.percent({"value": None, "low": None, "high": None}) == "-"
    monkeypatch.setattr(sys, "argv", ["truth_pixelwise.py", "evaluate"])
    with pytest.raises(SystemExit, match="expected train or infer"):
        script(monkeypatch, "truth_pixelwise").main()
