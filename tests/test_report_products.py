"""The report's table of products: every product once, whatever is known of it; oracles are worked out by hand."""

from __future__ import annotations

import io
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import numpy as np
import pytest
from PIL import Image

from jaxmask.drawn_product import HALF_COLUMNS, DrawnProduct, light_of, look_at, thumbnail
from jaxmask.report_failures import group_failures
from jaxmask.report_products import failures_by_product, matchup_counts, product_table, scene_address
from jaxmask.run_record import Places, Run, StageFailure
from jaxmask.seen import SeenScene
from preprocess.level1 import CONFIDENCE_BITS
from tests.run_folder import make_info, product_name

A, B, C, D = (product_name(number) for number in range(4))
DAY, TWILIGHT = CONFIDENCE_BITS["day"], CONFIDENCE_BITS["twilight"]


def make_run(**values: object) -> Run:
    empty: dict[str, object] = dict.fromkeys(
        ("archived", "extracted", "config", "results", "sst", "evaluation", "matchups")
    )
    places = Places(*(Path("/r") / part for part in ("", "archive", "extracted", "hdf", "model", "predictions")))
    known = {"places": places, "shards": {}, "infos": {}, "masks": {}, "mask_attributes": {}, "history": ()}
    return Run(**(empty | known | {"failures": (), "unread": ()} | values))  # type: ignore[arg-type]


def make_drawn(name: str, **values: object) -> DrawnProduct:
    drawn = DrawnProduct(name, "2017-03-15T11:34:20Z", "night", 900, 0.25, 0.5, 0.125, b"webp")
    return replace(drawn, **values)  # type: ignore[arg-type]


@pytest.mark.quick
def test_every_product_has_one_row_with_what_is_known_or_the_reason() -> None:
    run = make_run(
        products=frozenset({A, B}),
        shards={B: Path("b.hdf"), C: Path("c.hdf")},
        infos={B: make_info(B, True, True, 4, 4), C: make_info(C, True, False, 4, 4)},
        masks={C: Path("c.h5")},
        config={"split": {"train": [B], "test": [C]}},
    )
    failures = [StageFailure("extract", f"/r/archive/{A}.zip", "damaged"), StageFailure("convert", D, "no S5")]
    drawn = {C: make_drawn(C, label_share=None, disagreement=None)}
    table = product_table(run, drawn, {C}, failures)
    rows = {row.name: row for row in table.rows}
    assert sorted(rows) == sorted([A, B, C, D])
    assert len(table.rows) == 4
    assert (rows[A].mask_share.reason, rows[A].failures) == ("no shard", ("extract: damaged",))
    assert (rows[B].mask_share.reason, rows[B].part, rows[B].thumbnail, rows[B].scene) == ("no mask", "train", "", "")
    assert rows[C].label_share.reason == rows[C].disagreement.reason == "no label"
    assert (rows[C].mask_share.text, rows[C].light, rows[C].part) == ("50.0", "night", "test")
    assert rows[C].scene == f"scenes/{C}.html"
    assert rows[C].thumbnail == "data:image/webp;base64,d2VicA=="
    assert (rows[D].failures, rows[D].part) == (("convert: no S5",), "none")
    assert rows[A].start == "2017-03-01T10:00:00Z", "as its name says"
    assert rows[C].matchups.reason == "not known"
    assert (table.parts, table.lights, table.failed) == (("none", "test", "train"), ("night",), 2)
    assert [row.start for row in table.rows] == sorted(row.start for row in table.rows)


def test_the_address_of_a_scene_leads_to_it_whatever_its_name() -> None:
    for name in ("a b#c?d%41&e", "\u00fcn\u00ef", "not UTF-8 \udcff"):
        path = os.fsdecode(unquote_to_bytes(urlsplit(f"file:///run/{scene_address(name)}").path))
        assert path == f"/run/scenes/{name}.html"


def test_what_evaluate_counted_comes_before_what_was_drawn() -> None:
    record = {"product": A, "part": "test", "label_cloud_share": 0.4, "mask_cloud_share": 0.3, "disagreement": 0.1}
    run = make_run(shards={A: Path("a")}, masks={A: Path("a")}, evaluation={"products": [record]})
    (row,) = product_table(run, {A: make_drawn(A)}, (), ()).rows
    assert [cell.text for cell in (row.label_share, row.mask_share, row.disagreement)] == ["40.0", "30.0", "10.0"]
    assert row.part == "test", "as evaluate says where there is no record of training"


def test_matchups_count_for_the_mask_that_was_sampled() -> None:
    other_version = A.removesuffix("004") + "002"
    paths = np.array([f"/x/{A}.SEN3"] * 3 + [f"/x/{other_version}.SEN3"] * 2 + [f"/y/{B}.SEN3", f"/y/{D}.SEN3"])
    run = make_run(masks={A: Path("a"), B: Path("b"), C: Path("c")}, matchups={"cems_path": paths})
    assert matchup_counts(run) == Counter({A: 5, B: 1})
    assert matchup_counts(make_run()) is None
    rows = {row.name: row for row in product_table(run, {}, (), ()).rows}
    assert (rows[A].matchups.text, rows[C].matchups.text) == ("5", "0")


def test_failures_go_to_the_product_that_their_item_names() -> None:
    failures = [
        StageFailure("convert", f"/r/extracted/{A}.SEN3", "no S5"),
        StageFailure("infer", f"/r/hdf/{A}.hdf", "cut short"),
        StageFailure("infer", A, "cut short"),
        StageFailure("evaluate", "sst.json", "damaged"),
    ]
    found = failures_by_product(failures)
    assert found[A] == ("convert: no S5", "infer: cut short")
    run = make_run(products=frozenset({A}))
    assert [row.name for row in product_table(run, {}, (), failures).rows] == [A], "sst.json is no product"


def test_failures_that_differ_in_the_name_alone_are_one_group() -> None:
    failures = [
        StageFailure("extract", f"/in/{A}.zip", f"/in/{A}.zip is cut short"),
        StageFailure("extract", f"/in/{B}.zip", f"/in/{B}.zip is cut short"),
        StageFailure("convert", A, "no S5"),
        StageFailure("infer", A, "no S5"),
    ]
    groups = group_failures(failures)
    assert [(group.stage, len(group.items)) for group in groups] == [("extract", 2), ("convert", 1), ("infer", 1)]
    assert groups[0].reason == f"/in/{A}.zip is cut short"


def make_seen(shape: tuple[int, int], **values: object) -> SeenScene:
    whole = np.ones(shape, bool)
    fields = {
        "info": make_info(A, True, True, *shape), "base": np.zeros((*shape, 3), np.uint8),
        "refs": np.zeros((*shape, 6), np.float32), "bts": np.zeros((*shape, 3), np.float32),
        "measured": np.zeros(shape, np.uint16), "label": ~whole, "label_valid": whole,
        "probability": np.zeros(shape, np.float32), "valid": whole, "flags": np.full(shape, DAY, np.uint16),
        "latitude": np.zeros(shape, np.float32), "longitude": np.zeros(shape, np.float32),
        "threshold": 0.5, "quantity": "q",
    }  # fmt: skip
    return SeenScene(**(fields | values))  # type: ignore[arg-type]


def test_shares_are_of_the_pixels_that_both_know() -> None:
    label = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)
    label_valid = np.array([[1, 1, 1, 1], [1, 0, 1, 1]], bool)
    valid = np.array([[1, 1, 1, 1], [0, 1, 1, 0]], bool)
    q = np.array([[0.9, 0.5, 0.6, 0.1], [0.9, 0.9, 0.9, 0.9]], np.float32)
    # both know row 0 and (1, 2): label cloud 1, 1, 0, 0, 0; mask (q > 0.5) 1, 0, 1, 0, 1
    found = look_at(make_seen((2, 4), label=label, label_valid=label_valid, valid=valid, probability=q))
    assert (found.compared, found.label_share, found.mask_share, found.disagreement) == (5, 2 / 5, 3 / 5, 3 / 5)
    none = look_at(make_seen((2, 4), label_valid=~label_valid & False, valid=valid, probability=q))
    assert (none.compared, none.label_share, none.disagreement) == (0, None, None)
    assert none.mask_share == 4 / 6, "of the mask's own pixels"
    empty = look_at(make_seen((2, 4), valid=valid & False))
    assert empty.mask_share is None


@pytest.mark.parametrize(
    ("flags", "light"),
    [
        ([DAY, DAY, TWILIGHT, 0], "day"),
        ([DAY | TWILIGHT, DAY | TWILIGHT, TWILIGHT, 0], "day"),
        ([DAY, TWILIGHT, TWILIGHT, 0], "twilight"),
        ([DAY, TWILIGHT, 0, 0], "night"),
    ],
)
def test_the_light_is_what_most_pixels_have(flags: list[int], light: str) -> None:
    assert light_of(np.array([flags], np.uint16)) == light


def test_a_thumbnail_is_small_and_shows_both_halves() -> None:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 256, (1200, 1500, 3), np.uint8)
    cloud = np.zeros((1200, 1500), bool)
    cloud[:, 750:] = True
    file = thumbnail(base, cloud, cloud, np.ones_like(cloud), np.ones_like(cloud))
    assert len(file) < 20_000, "noise is the worst that can be"
    picture = np.asarray(Image.open(io.BytesIO(file)).convert("RGBA"))
    step = -(-1500 // HALF_COLUMNS)
    assert picture.shape == (1200 // step, 2 * (1500 // step) + 4, 4)
    right = picture[:, 1500 // step + 4 :, :3].astype(int)
    # colour.CLEAR is (18, 53, 91), CLOUD (240, 240, 240); WebP at this quality keeps flat colours to some 10 steps
    assert np.abs(right[:, 10:50].mean(axis=(0, 1)) - (18, 53, 91)).max() < 15
    assert np.abs(right[:, 75:115].mean(axis=(0, 1)) - 240).max() < 15
