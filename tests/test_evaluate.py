"""The evaluate command: counts of every stratum against a loop over pixels, parts, grids, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from jaxmask.evaluate import EvaluateConfig, main
from jaxmask.maskfile import write_mask
from jaxmask.parts import part_finder
from jaxmask.product_scores import Job, score_product
from jaxmask.score_bins import count_bins
from jaxmask.split import Split
from jaxmask.strata import ALL
from preprocess.command import run
from preprocess.errors import UserError
from preprocess.level1 import CONFIDENCE_BITS
from preprocess.scene import fit
from preprocess.shard import write_shard
from tests.judging import (
    HEIGHT,
    OUTCOMES,
    PAIRS,
    PRODUCTS,
    WIDTH,
    mask_of,
    scene,
    slow_corrections,
    slow_counts,
    truth_of,
    write_places,
    write_truth,
)
from tests.shards import make_published_shard, make_scene, product_name


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Shards, masks and truth of three products; a model folder that trained on product 0 and tested on 1 and 2."""
    return write_places(tmp_path)


def evaluate(places: Path, *flags: str) -> int:
    arguments = [str(places / "hdf"), str(places / "out"), "--workers", "0", *flags]
    return run("jaxmask.evaluate", EvaluateConfig, main, arguments)


def results(places: Path) -> dict[str, Any]:
    return json.loads((places / "out" / "evaluation.json").read_text())


def job_of(places: Path, truth: Path | None) -> Job:
    name = product_name(0)
    return Job(places / "out" / f"{name}.h5", places / "hdf" / "day" / f"{name}.hdf", truth, None, "test")


def slow_overall(*numbers: int) -> list[int]:
    return slow_counts(numbers).get(("unet", "label", "all"), [0, 0, 0, 0])


def counts_of(record: dict[str, Any]) -> list[int]:
    return [record[name] for name in OUTCOMES]


@pytest.mark.quick
@pytest.mark.parametrize("cosmetic", [False, True])
def test_records_equal_a_loop_over_pixels(places: Path, cosmetic: bool) -> None:
    flags = ("--cosmetic",) if cosmetic else ()
    assert evaluate(places, "--truth", str(places / "truth"), "--quiet", *flags) == 0
    records = {(r["mask"], r["against"], r["stratum"]): r for r in results(places)["records"]}
    expected = slow_counts((0, 1, 2), cosmetic=cosmetic)
    assert {key: counts_of(record) for key, record in records.items()} == expected
    assert len({stratum for _, _, stratum in expected}) > 35
    for (_, against, _), record in records.items():
        tp, fp, fn, tn = counts_of(record)
        total = tp + fp + fn + tn
        assert record["count"] == total > 0
        assert record["agreement" if against == "label" else "accuracy"] == (tp + tn) / total
        assert record["majority"] == max(tp + fn, fp + tn) / total
        assert record["iou"] == (tp / (tp + fp + fn) if tp + fp + fn else None)
        assert record["part"] == "all"


def test_corrections_and_areas_equal_those_of_the_pixels(places: Path) -> None:
    assert evaluate(places, "--truth", str(places / "truth"), "--quiet") == 0
    records = {r["stratum"]: r for r in results(places)["records"] if (r["mask"], r["against"]) == ("unet", "truth")}
    for stratum, found in slow_corrections((0, 1, 2)).items():
        record = records[stratum]
        assert record["label_errors"] == found[False, False] + found[False, True]
        assert record["corrected"] == found[False, True]
        assert record["right_labels"] == found[True, False] + found[True, True]
        assert record["spoiled"] == found[True, False]
    assert {"clear", "stratus", "cumulus", "cirrus", "convection", "tau_0", "tau_10_on"} <= set(records)
    assert records["all"]["roc_area"] == pytest.approx(0.5, abs=0.1), "random masks know nothing"
    assert records["stratus"]["roc_area"] is None, "no clear pixel in cloud"


def test_the_bins_are_those_of_the_pixels_and_give_the_calibration(places: Path) -> None:
    job = Job(
        places / "out" / f"{product_name(0)}.h5", places / "hdf" / "day" / f"{product_name(0)}.hdf", None, 0.7, "t"
    )
    made, mask = scene(0), mask_of(scene(0))
    known = (made.valid[..., 0] > 0) & (made.label_valid[..., 0] > 0) & mask.valid & (made.measured == 511)
    expected = count_bins(mask.probability, made.bayes[..., 0] > 0, known)
    np.testing.assert_array_equal(score_product(job).tallies[ALL].score_bins("label"), expected)
    assert evaluate(places, "--model", str(places / "model"), "--part", "train", "--quiet") == 0
    found = results(places)
    # The mask holds q of a loss of weight 0.5: by theory odds of P are twice those of q.
    assert found["probability"] == {"slope": 1.0, "intercept": pytest.approx(np.log(2))}
    q = mask.probability[known].astype(np.float64)
    squares = ((2 * q / (1 + q) - (made.bayes[..., 0] > 0)[known]) ** 2).mean()
    assert found["records"][0]["brier"] == pytest.approx(squares, abs=2e-3)  # P is that of its bin: to slope / 1024
    assert sum(each["count"] for each in found["curves"][0]["reliability"]) == known.sum()
    assert (found["curves"][0]["true_positive"][-1], found["curves"][0]["cloud"]) == (expected[:, 1].sum(),) * 2


def test_products_and_csv(places: Path) -> None:
    assert evaluate(places, "--quiet") == 0
    found = results(places)
    assert [p["product"] for p in found["products"]] == [product_name(n) for n in range(PRODUCTS)]
    tp, fp, fn, tn = slow_overall(0)
    total = tp + fp + fn + tn
    assert found["products"][0] == {
        "product": product_name(0),
        "part": "none",
        "day": True,
        "count": total,
        "label_cloud_share": (tp + fn) / total,
        "mask_cloud_share": (tp + fp) / total,
        "disagreement": (fp + fn) / total,
    }
    unlabelled = found["products"][2]
    assert (unlabelled["count"], unlabelled["disagreement"], unlabelled["day"]) == (0, None, False)
    assert found["matchups"] == []
    assert not {"optical_depth", "cloud_kind"} & {record["dimension"] for record in found["records"]}
    with (places / "out" / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["stratum"] for row in rows] == [record["stratum"] for record in found["records"]]
    assert rows[0]["stratum"] == "all"
    assert float(rows[0]["agreement"]) == found["records"][0]["agreement"]


def test_products_are_told_against_truth_too(places: Path) -> None:
    assert evaluate(places, "--truth", str(places / "truth"), "--quiet") == 0
    for mask, name in (("unet", "accuracy"), ("bayes", "label_accuracy")):
        tp, fp, fn, tn = slow_counts((1,))[mask, "truth", "all"]
        assert results(places)["products"][1][name] == (tp + tn) / (tp + fp + fn + tn)


def test_the_table_goes_to_people_and_the_json_to_machines(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(places, "--truth", str(places / "truth")) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Cloud masks of 3 products, % of pixels")
    assert f"\n  stratus{sum(slow_counts((0, 1, 2))['unet', 'truth', 'stratus']):20,d}" in printed.out
    assert "Cloud masks" not in printed.err
    assert evaluate(places, "--json") == 0
    assert json.loads(capsys.readouterr().out)["records"] == results(places)["records"]
    assert evaluate(places, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_the_test_part_is_the_default_with_a_model(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(places, "--model", str(places / "model")) == 0
    found = results(places)
    assert [p["product"] for p in found["products"]] == [product_name(1), product_name(2)]
    assert {r["part"] for r in found["records"]} == {"test"}
    assert slow_overall(1) == counts_of(found["records"][0])
    printed = capsys.readouterr().err
    assert "1 products without labels count no pixels\n1 masks are of another part or have no shard\n" in printed
    assert "2 products judged (test)" in printed
    assert "trained on" not in printed
    assert evaluate(places, "--model", str(places / "model"), "--part", "train", "--quiet") == 0
    assert [p["product"] for p in results(places)["products"]] == [product_name(0)]
    assert f"the model was trained on 1 of these products, such as {product_name(0)}" in capsys.readouterr().err


def test_the_test_part_is_the_default_where_masks_say_so(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, part in enumerate(("train", "test", "test")):
        write_mask(places / "out" / f"{product_name(number)}.h5", mask_of(scene(number), part=part))
    assert evaluate(places) == 0
    assert [p["product"] for p in results(places)["products"]] == [product_name(1), product_name(2)]
    assert "2 products judged (test)" in capsys.readouterr().err


def test_judging_what_was_trained_on_warns(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(places, "--model", str(places / "model"), "--part", "all") == 0
    assert (
        f"warning: the model was trained on 1 of these products, such as {product_name(0)}" in capsys.readouterr().err
    )
    made = scene(1)
    write_mask(places / "out" / f"{made.info.product}.h5", mask_of(made, part="train", model="another"))
    assert evaluate(places) == 0
    assert f"such as {product_name(1)}" in capsys.readouterr().err
    assert evaluate(places, "--model", str(places / "model")) == 0
    printed = capsys.readouterr().err
    assert f"the model was trained on 1 of these products, such as {product_name(1)}" in printed, (
        "the mask's own says so"
    )
    assert f"1 masks say that their product is of another part than --model says, such as {product_name(1)} " in printed
    assert "these masks are of more than one model" in printed


def test_the_validation_part_is_seen_and_judged_by_itself(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = {"train": [product_name(2)], "validation": [product_name(0)], "test": [product_name(1)]}
    (places / "model" / "config.json").write_text(json.dumps({"split": split}))
    assert evaluate(places, "--model", str(places / "model"), "--part", "validation", "--quiet") == 0
    assert [p["product"] for p in results(places)["products"]] == [product_name(0)]
    assert {r["part"] for r in results(places)["records"]} == {"validation"}
    assert evaluate(places, "--model", str(places / "model"), "--part", "all") == 0
    assert f"chosen by its loss on 1 of these products, such as {product_name(0)}" in capsys.readouterr().err
    records = {(r["part"], r["stratum"]): r["count"] for r in results(places)["records"] if r["against"] == "label"}
    for part, numbers in (("all", (0, 1, 2)), ("validation", (0,)), ("test", (1,))):
        assert records[part, "all"] == sum(slow_overall(*numbers))


def test_copies_of_a_granule_share_its_part() -> None:
    part = part_finder(
        Split(train=(product_name(0),), validation=(product_name(3),), test=(product_name(1), product_name(3, copy=1)))
    )
    assert part(product_name(0, copy=1)) == "train"
    assert part(product_name(1, copy=1)) == "test"
    assert part(product_name(3, copy=1)) == "validation"  # seen more than its own part says
    assert part(product_name(2)) == part("anything") == "none"


def matchup_table(path: Path) -> None:
    """D2 rows at pixels (y, 3) of product 0, every one of them passing the filters."""
    constants = {"slat": 1.0, "slon": 2.0, "latitude_an": 1.0, "longitude_an": 2.0, "satzan": 3.0, "satzao": 54.0}
    constants |= {"isst": 10.0, "quality_level": 5, "sst_algorithm_type": 4, "bayes_in": 0, "pcloudn": 0.0}
    constants |= {"pcloudo": 0.0, "sat_sst_0": -1.0, "sat_sst_1": -1.0, "sat_sst_3": -1.0}
    frame = pd.DataFrame({name: [value] * HEIGHT for name, value in constants.items()})
    rows = np.arange(HEIGHT)
    paths = [f"/a/{product_name(0)}.SEN3"] * HEIGHT
    frame.assign(sat_sst_2=283.15 + 0.1 * rows, y_cems=rows, x_cems=3, cems_path=paths).to_csv(path, index=False)


def test_matchups_under_the_truth(places: Path) -> None:
    """By hand, the first 5 rows by day and the others by night, as the mask's flags say."""
    matchup_table(places / "m.csv")
    flags = np.full((HEIGHT, WIDTH), CONFIDENCE_BITS["ocean"], np.uint16)
    flags[:5] |= CONFIDENCE_BITS["day"]
    write_mask(places / "out" / f"{product_name(0)}.h5", replace(mask_of(scene(0)), flags=flags))
    told = ("--truth", str(places / "truth"), "--matchups", str(places / "m.csv"), "--quiet")
    assert evaluate(places, *told) == 0
    found = results(places)["matchups"]
    assert {r["mask"] for r in found} == {"truth"}
    records = {(r["algorithm"], r["time_of_day"]): r for r in found}
    assert len(records) == len(found)
    cloud, valid = truth_of()["cloud"][:, 3], mask_of(scene(0)).valid[:, 3]
    for name, rows in (("day", np.arange(HEIGHT) < 5), ("night", np.arange(HEIGHT) >= 5)):
        clear, record = 0.1 * np.arange(HEIGHT)[valid & ~cloud & rows], records["D2", name]
        assert (record["count"], record["eligible"]) == (len(clear), (valid & rows).sum())
        assert record["median"] == pytest.approx(np.median(clear))
        assert record["warm_tail"] == pytest.approx(np.mean(clear > 1))
        assert record["no_interval_because"] == "1 scene with rows, fewer than 10"
    assert records["N2", "day"]["count"] == 0


def test_a_mask_of_the_raw_product_fits_its_padded_shard(tmp_path: Path) -> None:
    made = scene(0)
    write_shard(shard := tmp_path / "s.hdf", fit(made, HEIGHT + 2, WIDTH + 6))
    write_mask(mask := tmp_path / "m.h5", mask_of(made))
    write_truth(tmp_path / "truth", product_name(0))
    tally = score_product(Job(mask, shard, tmp_path / "truth", None, "test")).tallies[ALL]
    expected = slow_counts((0,))
    assert [list(tally.counts(*pair)) for pair in PAIRS] == [expected[*pair, "all"] for pair in PAIRS]
    tally = score_product(Job(mask, shard, tmp_path / "none", 0.99, "test")).tallies[ALL]
    assert tally.counts("unet", "label").true_positive < 10
    assert tally.counts("unet", "truth").total == 0


def test_grids_that_differ_are_refused(tmp_path: Path) -> None:
    made = scene(0)
    write_shard(shard := tmp_path / "s.hdf", made)
    stretched = replace(made, info=replace(made.info, convention="reference"))
    write_mask(mask := tmp_path / "m.h5", mask_of(stretched))
    with pytest.raises(UserError, match=r"m\.h5 \(reference, 16 x 24\) is not on the grid of .*s\.hdf \(native"):
        score_product(Job(mask, shard, None, None, "test"))
    make_published_shard(published := tmp_path / "p.hdf", HEIGHT, WIDTH)
    make_published_shard(stretched_shard := tmp_path / "q.hdf", HEIGHT + 2, WIDTH)
    write_mask(mask, mask_of(replace(fit(made, HEIGHT + 2, WIDTH), info=stretched.info)))
    write_truth(tmp_path / "truth", "q")
    with pytest.raises(UserError, match="images are stretched to 18 x 24, the truth is 16 x 24"):
        score_product(Job(mask, stretched_shard, tmp_path / "truth", None, "test"))
    write_mask(mask, mask_of(fit(made, HEIGHT + 1, WIDTH)))
    with pytest.raises(UserError, match="is not on the grid of"):
        score_product(Job(mask, published, None, None, "test"))


def test_published_shards_and_masks_have_only_the_whole_stratum(tmp_path: Path) -> None:
    make_published_shard(shard := tmp_path / f"{product_name(3)}.hdf", HEIGHT, WIDTH)
    with h5py.File(mask := tmp_path / f"{product_name(3)}.h5", "w") as file:
        file["mask"] = np.full((1, HEIGHT, WIDTH, 1), 0.9)
    score = score_product(Job(mask, shard, None, None, "none"))
    assert {stratum.dimension for stratum in score.tallies} == {"overall", "sample", "label_edge"}
    counts = score.tallies[ALL].counts("unet", "label")
    assert (counts.total, counts.true_negative, counts.false_negative) == (HEIGHT * WIDTH, 0, 0)
    assert score.notes.line is None


def test_a_published_shard_that_was_never_labelled_counts_nothing(tmp_path: Path) -> None:
    make_published_shard(shard := tmp_path / f"{product_name(3)}.hdf", HEIGHT, WIDTH)
    with h5py.File(shard, "r+") as file:
        file["bayes"][:] = 255.0
    with h5py.File(mask := tmp_path / f"{product_name(3)}.h5", "w") as file:
        file["mask"] = np.full((1, HEIGHT, WIDTH, 1), 0.9)
    score = score_product(Job(mask, shard, None, None, "none"))
    assert not score.labelled
    assert score.row["count"] == 0
    assert not score.tallies


@pytest.mark.parametrize(
    ("place", "reason"),
    [(f"out/{product_name(0)}.h5", "is not a whole HDF5 file"), (f"hdf/day/{product_name(0)}.hdf", "expected a shard")],
)
def test_what_is_broken_is_named_and_the_rest_go_on(places: Path, place: str, reason: str) -> None:
    (places / place).write_bytes(b"not HDF5")
    assert evaluate(places, "--quiet") == 3
    assert len(results(places)["products"]) == 2
    [failure] = json.loads((places / "out" / "evaluation_failures.json").read_text())
    assert f"{places / place}" in failure["error"]
    assert reason in failure["error"]
    assert failure["item"] == str(places / "out" / f"{product_name(0)}.h5")


def test_what_cannot_be_judged_is_said(places: Path, tmp_path: Path) -> None:
    def refused(match: str, **changes: Any) -> None:
        flags: dict[str, Any] = {"shards": places / "hdf", "predictions": places / "out", "workers": 0, "quiet": True}
        with pytest.raises(UserError, match=match):
            main(EvaluateConfig(**(flags | changes)))

    refused("holds no masks", predictions=places / "model")
    refused("no such folder or shard", shards=places / "none")
    refused(r"none: no such folder; expected the truth/", truth=places / "none")
    refused("doesn't say what it was trained on", model=places / "truth")
    refused("none of the 3 masks with a shard is of the model's test part", part="test")
    refused("--matchups must be given with --truth", matchups=places / "m.csv")
    refused("--threshold must be between 0 and 1", threshold=0.0)
    refused("--calibrate needs the model that the fit is of", calibrate=True)
    refused("--part test leaves it out", calibrate=True, model=places / "model", part="test")
    write_shard(tmp_path / "other" / "X.hdf", make_scene("X", HEIGHT, WIDTH))
    refused(r"no mask in .* has a shard in .*other: masks such as S3A.*, shards such as X;", shards=tmp_path / "other")
    for path in (places / "out").glob("*.h5"):
        path.write_bytes(b"x")
    refused("none of 3 masks could be judged; the first failed so: .* is not a whole HDF5 file")


def test_broken_truth_is_named(places: Path) -> None:
    with h5py.File(places / "truth" / f"{product_name(0)}.h5", "w") as file:
        file["cloud"] = np.zeros((HEIGHT, WIDTH), np.uint8)
    assert evaluate(places, "--truth", str(places / "truth"), "--quiet") == 3
    [failure] = json.loads((places / "out" / "evaluation_failures.json").read_text())
    assert "expected datasets 'cloud' and 'dbt8_k'" in failure["error"]


def rewrite_kind(file: h5py.File) -> None:
    del file["kind"]
    file["kind"] = np.zeros((2, 2), np.uint8)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.pop("cover_fraction"), "expected datasets 'kind', 'cover_fraction' and 'optical_depth'"),
        (lambda file: file.attrs.pop("kinds"), "expected datasets 'kind', 'cover_fraction' and 'optical_depth'"),
        (rewrite_kind, r"'kind' and 'optical_depth' should be images of one size; found \(2, 2\) and \(16, 24\)"),
    ],
)
def test_a_broken_sky_is_named(places: Path, damage: Callable[[h5py.File], Any], message: str) -> None:
    name = product_name(0)
    with h5py.File(places / "truth" / f"{name}.h5", "r+") as file:
        damage(file)
    with pytest.raises(UserError, match=message):
        score_product(job_of(places, places / "truth"))


def test_a_truth_that_tells_no_kinds_is_truth_all_the_same(places: Path) -> None:
    with h5py.File(places / "truth" / f"{product_name(0)}.h5", "r+") as file:
        del file["kind"]
    assert evaluate(places, "--truth", str(places / "truth"), "--quiet") == 0
    records = {(r["against"], r["stratum"]): r["count"] for r in results(places)["records"] if r["mask"] == "unet"}
    assert records["truth", "all"] == records["label", "all"] > records["truth", "clear"]


def test_workers_count_the_same(places: Path) -> None:
    assert evaluate(places, "--quiet") == 0
    alone = results(places)
    arguments = [str(places / "hdf"), str(places / "out"), "--workers", "1", "--quiet"]
    assert run("jaxmask.evaluate", EvaluateConfig, main, arguments) == 0
    assert results(places) == alone
