"""The evaluate command: counts of every stratum against a loop over pixels, parts, grids, and what it refuses."""

from __future__ import annotations

import csv
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from jaxmask.evaluate import EvaluateConfig, main
from jaxmask.maskfile import Mask, write_mask
from jaxmask.parts import part_finder
from jaxmask.product_scores import Job, score_product
from jaxmask.scene_source import info_json
from jaxmask.split import Split
from preprocess.command import run
from preprocess.errors import UserError
from preprocess.scene import Scene, fit
from preprocess.shard import write_shard
from tests.shards import make_published_shard, make_scene, product_name

HEIGHT, WIDTH = 16, 24
PRODUCTS = 3


def scene(number: int, height: int = HEIGHT, width: int = WIDTH) -> Scene:
    """Random labels, validity, measured bits and flags; product 2 has no labels."""
    rng = np.random.default_rng(number)
    made = make_scene(product_name(number), height, width, labelled=number != 2, day=number == 0)
    shape = (height, width)
    flags = rng.choice([1024 | 2, 1024 | 8, 2, 8, 2048 | 2, 1], shape).astype(np.uint16)
    return replace(
        made,
        bayes=np.where(rng.random((*shape, 1)) < 0.6, 255, 0).astype(np.uint8),
        valid=(rng.random((*shape, 1)) < 0.9).astype(np.uint8),
        label_valid=((rng.random((*shape, 1)) < 0.9) & (number != 2)).astype(np.uint8),
        measured=np.where(rng.random(shape) < 0.9, 511, 0b101111111).astype(np.uint16),
        flags=flags,
    )  # fmt: skip


def mask_of(made: Scene, **attributes: Any) -> Mask:
    rng = np.random.default_rng(zlib.crc32(made.info.product.encode()))
    shape = made.flags.shape
    stored = {"product": info_json(made.info), "model": "m", "threshold": 0.5} | attributes
    return Mask(made.info.product, rng.random(shape, np.float32), rng.random(shape) < 0.95, stored)


def write_truth(folder: Path, name: str, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    rng = np.random.default_rng(7)
    cloud = rng.random((height, width)) < 0.5
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["cloud"] = cloud.astype(np.uint8)
        file["dbt8_k"] = np.where(cloud, 5.0, 0.1).astype(np.float32)
    return cloud


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Shards, masks and truth of three products; a model folder that trained on product 0 and tested on 1 and 2."""
    for number in range(PRODUCTS):
        made = scene(number)
        write_shard(tmp_path / "hdf" / "day" / f"{made.info.product}.hdf", made)
        (tmp_path / "out").mkdir(exist_ok=True)
        write_mask(tmp_path / "out" / f"{made.info.product}.h5", mask_of(made))
        write_truth(tmp_path / "truth", made.info.product)
    split = {"train": [product_name(0)], "test": [product_name(1), product_name(2)]}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"split": split}))
    return tmp_path


def evaluate(places: Path, *flags: str) -> int:
    arguments = [str(places / "hdf"), str(places / "out"), "--workers", "0", *flags]
    return run("jaxmask.evaluate", EvaluateConfig, main, arguments)


def results(places: Path) -> dict[str, Any]:
    return json.loads((places / "out" / "evaluation.json").read_text())


def slow_counts(numbers: list[int], stratum: str) -> dict[tuple[str, str], list[int]]:
    """True positives, false positives, false negatives, true negatives, pixel by pixel."""
    counts = {pair: [0, 0, 0, 0] for pair in (("unet", "label"), ("unet", "truth"), ("bayes", "truth"))}
    truth = np.random.default_rng(7).random((HEIGHT, WIDTH)) < 0.5
    for number in numbers:
        made = scene(number)
        mask = mask_of(made)
        for y in range(HEIGHT):
            for x in range(WIDTH):
                measured = int(made.measured[y, x])
                thermal = measured & 128 and measured & 256
                if not (made.valid[y, x, 0] and made.label_valid[y, x, 0] and thermal and mask.valid[y, x]):
                    continue
                bits = int(made.flags[y, x])
                where = {"all": True, "day": bits & 1024, "night": not bits & 1024, "sea": bits & 2, "land": bits & 8}
                if not where[stratum]:
                    continue
                cloud, label, true = mask.probability[y, x] > 0.5, made.bayes[y, x, 0] > 0, bool(truth[y, x])
                for pair, (said, target) in {
                    ("unet", "label"): (cloud, label),
                    ("unet", "truth"): (cloud, true),
                    ("bayes", "truth"): (label, true),
                }.items():
                    counts[pair][{(1, 1): 0, (1, 0): 1, (0, 1): 2, (0, 0): 3}[int(said), int(target)]] += 1
    return counts


@pytest.mark.quick
def test_records_equal_a_loop_over_pixels(places: Path) -> None:
    assert evaluate(places, "--truth", str(places / "truth"), "--quiet") == 0
    records = {(r["mask"], r["against"], r["stratum"]): r for r in results(places)["records"]}
    assert len(records) == 15
    for stratum in ("all", "day", "night", "sea", "land"):
        for pair, (tp, fp, fn, tn) in slow_counts([0, 1, 2], stratum).items():
            record = records[(*pair, stratum)]
            total = tp + fp + fn + tn
            found = [record[n] for n in ("true_positive", "false_positive", "false_negative", "true_negative")]
            assert found == [tp, fp, fn, tn]
            assert record["count"] == total > 50
            assert record["agreement" if pair[1] == "label" else "accuracy"] == (tp + tn) / total
            assert record["majority"] == max(tp + fn, fp + tn) / total
            assert record["iou"] == tp / (tp + fp + fn)
            assert record["part"] == "all"


def test_products_and_csv(places: Path) -> None:
    assert evaluate(places, "--quiet") == 0
    found = results(places)
    assert [p["product"] for p in found["products"]] == [product_name(n) for n in range(PRODUCTS)]
    tp, fp, fn, tn = slow_counts([0], "all")["unet", "label"]
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
    with (places / "out" / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["stratum"] for row in rows] == ["all", "day", "night", "sea", "land"]
    assert float(rows[0]["agreement"]) == found["records"][0]["agreement"]


def test_the_test_part_is_the_default_with_a_model(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(places, "--model", str(places / "model")) == 0
    found = results(places)
    assert [p["product"] for p in found["products"]] == [product_name(1), product_name(2)]
    assert {r["part"] for r in found["records"]} == {"test"}
    assert list(slow_counts([1], "all")["unet", "label"]) == [
        found["records"][0][n] for n in ("true_positive", "false_positive", "false_negative", "true_negative")
    ]
    printed = capsys.readouterr().err
    assert "1 products without labels count no pixels\n1 masks are of another part or have no shard\n" in printed
    assert "2 products judged (test)" in printed
    assert "trained on" not in printed
    assert evaluate(places, "--model", str(places / "model"), "--part", "train", "--quiet") == 0
    assert [p["product"] for p in results(places)["products"]] == [product_name(0)]


def test_judging_what_was_trained_on_warns(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(places, "--model", str(places / "model"), "--part", "all") == 0
    assert (
        f"warning: the model was trained on 1 of these products, such as {product_name(0)}" in capsys.readouterr().err
    )
    made = scene(1)
    write_mask(places / "out" / f"{made.info.product}.h5", mask_of(made, part="train"))
    assert evaluate(places) == 0
    assert f"such as {product_name(1)}" in capsys.readouterr().err


def test_the_validation_part_is_seen_and_judged_by_itself(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = {"train": [product_name(2)], "validation": [product_name(0)], "test": [product_name(1)]}
    (places / "model" / "config.json").write_text(json.dumps({"split": split}))
    assert evaluate(places, "--model", str(places / "model"), "--part", "validation", "--quiet") == 0
    assert [p["product"] for p in results(places)["products"]] == [product_name(0)]
    assert {r["part"] for r in results(places)["records"]} == {"validation"}
    assert evaluate(places, "--model", str(places / "model"), "--part", "all") == 0
    assert f"chosen by its loss on 1 of these products, such as {product_name(0)}" in capsys.readouterr().err
    records = {(r["part"], r["stratum"]): r["count"] for r in results(places)["records"] if r["against"] == "label"}
    for part, numbers in (("all", [0, 1, 2]), ("validation", [0]), ("test", [1])):
        assert records[part, "all"] == sum(slow_counts(numbers, "all")["unet", "label"])


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
    matchup_table(places / "m.csv")
    flags = ("--truth", str(places / "truth"), "--matchups", str(places / "m.csv"), "--quiet")
    assert evaluate(places, *flags) == 0
    records = {r["algorithm"]: r for r in results(places)["matchups"]}
    assert {r["mask"] for r in records.values()} == {"truth"}
    cloud = np.random.default_rng(7).random((HEIGHT, WIDTH))[:, 3] < 0.5
    valid = mask_of(scene(0)).valid[:, 3]
    clear = 0.1 * np.arange(HEIGHT)[valid & ~cloud]
    assert (records["D2"]["count"], records["D2"]["eligible"]) == (len(clear), valid.sum())
    assert records["D2"]["median"] == pytest.approx(np.median(clear))
    assert records["N2"]["count"] == 0


def test_a_mask_of_the_raw_product_fits_its_padded_shard(tmp_path: Path) -> None:
    made = scene(0)
    write_shard(shard := tmp_path / "s.hdf", fit(made, HEIGHT + 2, WIDTH + 6))
    write_mask(mask := tmp_path / "m.h5", mask_of(made))
    write_truth(tmp_path / "truth", product_name(0))
    score = score_product(Job(mask, shard, tmp_path / "truth", None, "test"))
    expected = slow_counts([0], "all")
    assert {key[:2]: list(counts) for key, counts in score.counts.items() if key[2] == "all"} == expected
    assert score_product(Job(mask, shard, tmp_path / "none", 0.99, "test")).counts["unet", "label", "all"][0] < 10


def test_grids_that_differ_are_refused(tmp_path: Path) -> None:
    made = scene(0)
    write_shard(shard := tmp_path / "s.hdf", made)
    stretched = replace(made, info=replace(made.info, convention="reference"))
    write_mask(mask := tmp_path / "m.h5", mask_of(stretched))
    with pytest.raises(UserError, match=r"m\.h5 \(reference, 16 x 24\) is not on the grid of .*s\.hdf \(native"):
        score_product(Job(mask, shard, None, None, "test"))
    make_published_shard(published := tmp_path / "p.hdf", HEIGHT, WIDTH)
    write_truth(tmp_path / "truth", "p", HEIGHT - 2)
    with pytest.raises(UserError, match="images are stretched to 16 x 24, the truth is 14 x 24"):
        score_product(Job(mask, published, tmp_path / "truth", None, "test"))
    write_mask(mask, mask_of(fit(made, HEIGHT + 1, WIDTH)))
    with pytest.raises(UserError, match="is not on the grid of"):
        score_product(Job(mask, published, None, None, "test"))


def test_published_shards_and_masks_have_only_the_whole_stratum(tmp_path: Path) -> None:
    make_published_shard(shard := tmp_path / f"{product_name(3)}.hdf", HEIGHT, WIDTH)
    with h5py.File(mask := tmp_path / f"{product_name(3)}.h5", "w") as file:
        file["mask"] = np.full((1, HEIGHT, WIDTH, 1), 0.9)
    score = score_product(Job(mask, shard, None, None, "none"))
    assert list(score.counts) == [("unet", "label", "all")]
    assert score.counts["unet", "label", "all"].total == HEIGHT * WIDTH


def test_a_published_shard_that_was_never_labelled_counts_nothing(tmp_path: Path) -> None:
    make_published_shard(shard := tmp_path / f"{product_name(3)}.hdf", HEIGHT, WIDTH)
    with h5py.File(shard, "r+") as file:
        file["bayes"][:] = 255.0
    with h5py.File(mask := tmp_path / f"{product_name(3)}.h5", "w") as file:
        file["mask"] = np.full((1, HEIGHT, WIDTH, 1), 0.9)
    score = score_product(Job(mask, shard, None, None, "none"))
    assert not score.labelled
    assert score.counts["unet", "label", "all"].total == 0


def test_a_broken_mask_is_named_and_the_rest_go_on(places: Path) -> None:
    (places / "out" / f"{product_name(0)}.h5").write_bytes(b"not HDF5")
    assert evaluate(places, "--quiet") == 3
    assert len(results(places)["products"]) == 2
    [failure] = json.loads((places / "out" / "evaluation_failures.json").read_text())
    assert "is not a whole HDF5 file" in failure["error"]


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
