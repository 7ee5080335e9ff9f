"""Which shards go together: mixtures of labels and baselines are refused unless asked for, constant labels told."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from jaxmask.config import TrainConfig
from jaxmask.record import make_record
from jaxmask.split import Split
from jaxmask.training_set import open_training_set
from preprocess.errors import UserError
from preprocess.labels import SURFACE_CLASSES
from tests.shards import make_published_shard, make_shard, make_shards, product_name

PATCH = 32
OWN = "nadir 0.9 1.0 1.0 1.0 1.0 1.1"


@pytest.fixture(autouse=True)
def _log_to_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("jaxmask"), "propagate", True)


def one_of(folder: Path, **attributes: Any) -> Path:
    """Two shards, and a third that differs."""
    make_shards(folder, 2)
    make_shard(folder / "day" / f"{product_name(9)}.hdf", **attributes)
    return folder


@pytest.mark.quick
@pytest.mark.parametrize(
    ("attribute", "value", "told", "flag"),
    [
        ("label_rule", "single_moderate", "label rule single_moderate, but .* has any", "labels"),
        ("collection", "004", "baseline collection 004, but .* has 002", "baselines"),
    ],
)
def test_a_mixture_is_refused_by_name_unless_told(
    tmp_path: Path, attribute: str, value: str, told: str, flag: str
) -> None:
    folder = one_of(tmp_path, **{attribute: value})
    other = {"labels": "baselines", "baselines": "labels"}[flag]
    for mix, advice in (("none", flag), (other, "all")):
        with pytest.raises(UserError) as raised:
            open_training_set(folder, PATCH, mix, quiet=True)
        message = str(raised.value)
        assert raised.match(f"{product_name(9)}.hdf has {told}: .*--mix {advice}$")
        assert f"{product_name(0)}.hdf has" in message
    for mix in (flag, "all"):
        opened = open_training_set(folder, PATCH, mix, quiet=True)
        assert len(opened.shards) == 3


def test_one_baseline_needs_no_flag_and_a_record_tells_the_kinds(tmp_path: Path) -> None:
    opened = open_training_set(one_of(tmp_path, collection="005", label_rule="summary"), PATCH, "all", quiet=True)
    record = make_record(TrainConfig(mix="all"), 8, opened, Split(train=opened.names))
    assert (record["collections"], record["label_rule"], record["regridding"]) == ("002, 005", "any, summary", "mean")
    assert record["flags"]["mix"] == "all"
    alike = open_training_set(make_shards(tmp_path / "alike", 2), PATCH, quiet=True)
    assert alike.kind("collection") == "002"


def test_published_shards_tell_their_baseline_by_their_names(tmp_path: Path) -> None:
    for number, copy in ((0, 0), (1, 2)):  # collections 002 and 004
        make_published_shard(tmp_path / "day" / f"{product_name(number, copy=copy)}.hdf")
    with pytest.raises(UserError, match=r"baseline collection 004, but .* has 002"):
        open_training_set(tmp_path, PATCH, quiet=True)
    assert open_training_set(tmp_path, PATCH, "baselines", quiet=True).kind("collection") == "002, 004"


@pytest.mark.parametrize("mix", ["none", "all"])
def test_inputs_of_two_kinds_are_never_mixed(tmp_path: Path, mix: str) -> None:
    for attribute, value in (("calibration", OWN), ("regridding", "neighbours")):
        folder = one_of(tmp_path / attribute, **{attribute: value})
        with pytest.raises(UserError, match=f"has {attribute} {value}, but .* has (none|mean): .*convert all"):
            open_training_set(folder, PATCH, mix, quiet=True)


def test_what_was_done_to_the_oblique_view_alone_makes_no_difference(tmp_path: Path) -> None:
    make_shard(tmp_path / f"{product_name(0)}.hdf", calibration=OWN)
    make_shard(tmp_path / f"{product_name(1)}.hdf", calibration=f"{OWN}; oblique 1.0 1.0 1.0 1.0 1.0 0.9")
    assert open_training_set(tmp_path, PATCH, quiet=True).kind("calibration") == OWN


@pytest.mark.quick
def test_a_label_that_never_changes_over_a_surface_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    land = SURFACE_CLASSES.index("land")
    counts = tuple(6_000 * (index == land) for index in range(len(SURFACE_CLASSES)))
    zeros = (0,) * len(SURFACE_CLASSES)
    make_shard(tmp_path / f"{product_name(0)}.hdf", class_pixels=counts, class_cloud=zeros)
    make_shard(tmp_path / f"{product_name(1)}.hdf", class_pixels=counts, class_cloud=zeros)
    make_shard(tmp_path / f"{product_name(2)}.hdf")  # of before they were counted
    with caplog.at_level(logging.WARNING, logger="jaxmask"):
        open_training_set(tmp_path, PATCH, quiet=True)
    assert "land: all of its 12,000 labelled pixels (but 1 in 1000 at most) are clear" in caplog.text
    caplog.clear()
    make_shard(tmp_path / f"{product_name(1)}.hdf", class_pixels=counts, class_cloud=counts)
    with caplog.at_level(logging.WARNING, logger="jaxmask"):
        open_training_set(tmp_path, PATCH, quiet=True)
    assert not caplog.text


def test_s3b_is_trained_on_and_unlabelled_and_unreadable_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_shards(tmp_path, 2)
    make_shard(tmp_path / "night" / f"{product_name(5, platform='S3B')}.hdf")
    make_shard(tmp_path / "night" / f"{product_name(6)}.hdf", labelled=False)
    (tmp_path / "day" / f"{product_name(7)}.hdf").write_bytes(b"not HDF5")
    with caplog.at_level(logging.INFO, logger="jaxmask"):
        opened = open_training_set(tmp_path, PATCH, quiet=True)
    assert opened.names == (product_name(0), product_name(1), product_name(5, platform="S3B"))
    assert opened.unlabelled == (product_name(6),)
    assert [Path(failure.item).stem for failure in opened.failures] == [product_name(7)]
    assert f"left out, never labelled (1): {product_name(6)}" in caplog.text
    assert f"{product_name(7)}.hdf: " in caplog.text


@pytest.mark.parametrize("name", ["convention", "calibration", "regridding", "label_rule"])
def test_shards_of_two_kinds_are_refused_by_name(tmp_path: Path, name: str) -> None:
    make_shards(tmp_path, 2)
    make_shard(tmp_path / "day" / f"{product_name(9)}.hdf", **{name: "other"})
    with pytest.raises(UserError, match=f"{product_name(9)}.hdf has {name.replace('_', ' ')} other, but .*convert all"):
        open_training_set(tmp_path, PATCH, quiet=True)


def test_nothing_labelled_is_refused(tmp_path: Path) -> None:
    make_shards(tmp_path, 1, labelled=False)
    with pytest.raises(UserError, match=r"needs products with a Bayesian label; found 1 never labelled \(S3A"):
        open_training_set(tmp_path, PATCH, quiet=True)


def test_one_product_twice_is_refused(tmp_path: Path) -> None:
    make_shard(tmp_path / "day" / f"{product_name(0)}.hdf")
    make_shard(tmp_path / "night" / f"{product_name(0)}.hdf")
    with pytest.raises(UserError, match=r"are both product S3A.*remove one"):
        open_training_set(tmp_path, PATCH, quiet=True)


def test_a_shard_smaller_than_a_patch_is_refused(tmp_path: Path) -> None:
    make_shards(tmp_path, 1, 60, 100)
    with pytest.raises(
        UserError, match="has 60 x 100 pixels, too few for a patch of 64: choose --patch-size 56 or less"
    ):
        open_training_set(tmp_path, 64, quiet=True)
