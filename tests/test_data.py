"""Which shards are trained on, and their batches: against arrays cut by hand, and the caches against each other."""

from __future__ import annotations

import logging
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from jaxmask import data
from jaxmask.data import PatchSource, batches, index_patches, open_patches
from jaxmask.split import host_slots, permutation
from jaxmask.training_set import open_training_set
from preprocess.errors import UserError
from tests.shards import make_published_shard, make_scene, make_shard, make_shards, product_name

PATCH = 32


@pytest.fixture(autouse=True)
def _log_to_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("jaxmask"), "propagate", True)


def sources(folder: Path) -> dict[str, PatchSource]:
    shards = open_training_set(folder, PATCH, quiet=True).shards
    return {cache: open_patches(shards, PATCH, cache, quiet=True) for cache in ("none", "host")}  # type: ignore[arg-type]


@pytest.mark.quick
def test_a_patch_is_the_normalised_window_of_its_shard(tmp_path: Path) -> None:
    # 72 x 100 pixels hold 2 x 3 patches of 32 from row 4 and column 2 (centred, as tiles.patch_origins).
    make_shards(tmp_path, 2, 72, 100)
    scene = make_scene(product_name(1), 72, 100, seed=1)
    rows, columns = slice(4 + 32, 4 + 64), slice(2 + 64, 2 + 96)
    for source in sources(tmp_path).values():
        assert len(source) == 12
        patch = source[11]
        expected = np.concatenate([scene.refs - 0.5, (scene.bts - 270) / 22], axis=-1)[rows, columns]
        np.testing.assert_allclose(patch["image"], expected, rtol=0, atol=1e-6)  # float32 rounding of numbers near 1
        np.testing.assert_array_equal(patch["label"], scene.bayes[rows, columns] > 0)
        np.testing.assert_array_equal(patch["weight"], np.ones((32, 32, 1)))
        assert {array.dtype for array in patch.values()} == {np.dtype(np.float32)}


def test_all_caches_give_the_same_batches_bit_for_bit(tmp_path: Path) -> None:
    make_shards(tmp_path, 3)
    slots = host_slots(permutation(18, 7, 2), 4, 0, 1)
    passes = {cache: list(batches(source, slots)) for cache, source in sources(tmp_path).items()}
    assert len(passes["none"]) == len(passes["host"]) == 5
    for one, other in zip(passes["none"], passes["host"], strict=True):
        for name in ("image", "label", "weight"):
            assert one[name].dtype == other[name].dtype == np.float32
            np.testing.assert_array_equal(one[name], other[name])


def test_batches_follow_the_slots_and_pad_with_weight_0(tmp_path: Path) -> None:
    source = sources(make_shards(tmp_path, 1))["host"]
    first, last = batches(source, host_slots(np.array([5, 0, 3]), 2, 0, 1))
    for place, number in enumerate((5, 0)):
        np.testing.assert_array_equal(first["image"][place], source[number]["image"])
    np.testing.assert_array_equal(last["image"][0], source[3]["image"])
    assert not any(last[name][1].any() for name in ("image", "label", "weight"))


def test_invalid_and_unlabelled_pixels_weigh_nothing(tmp_path: Path) -> None:
    path = make_shard(tmp_path / f"{product_name(0)}.hdf", 32, 32)
    with h5py.File(path, "r+") as file:
        file["valid"][:4] = 0
        file["label_valid"][:, :5] = 0
    expected = np.ones((32, 32, 1), np.float32)
    expected[:4], expected[:, :5] = 0, 0
    for source in sources(tmp_path).values():
        np.testing.assert_array_equal(source[0]["weight"], expected)


def test_published_shards_train_as_they_are(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    make_shards(ours, 2)
    for number, part in enumerate(("day", "night")):
        make_published_shard(theirs / part / f"{product_name(number)}.hdf", seed=number)
    opened = open_training_set(theirs, PATCH, quiet=True)
    assert opened.kind("convention") == "reference"
    assert opened.names == (product_name(0), product_name(1))
    for number in range(12):
        one, other = sources(ours)["host"][number], sources(theirs)["host"][number]
        np.testing.assert_array_equal(one["label"], other["label"])
        np.testing.assert_allclose(one["image"], other["image"], rtol=0, atol=1e-6)


def test_a_source_forgets_its_open_files_when_pickled(tmp_path: Path) -> None:
    source = sources(make_shards(tmp_path, 1))["none"]
    before = source[0]
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again[0]["image"], before["image"])


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "OPEN_FILES", 2)
    source = sources(make_shards(tmp_path, 4))["none"]
    for number in (0, 6, 12, 18, 0):
        source[number]
    assert len(source._open) == 2  # type: ignore[attr-defined]
    still_open = h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
    assert sum(file.name.startswith(bytes(tmp_path)) for file in still_open) == 2


def test_threads_share_a_source_that_keeps_dropping_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_shards(tmp_path, 4)
    numbers = np.random.default_rng(0).integers(0, 24, 200).tolist()
    expected = sources(tmp_path)["host"]
    monkeypatch.setattr(data, "OPEN_FILES", 1)
    source = sources(tmp_path)["none"]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(source.__getitem__, numbers))
    for number, patch in zip(numbers, found, strict=True):
        for name in ("image", "label", "weight"):
            np.testing.assert_array_equal(patch[name], expected[number][name])


@pytest.mark.parametrize("cache", ["none", "host"])
def test_a_damaged_chunk_names_the_shard(tmp_path: Path, cache: str) -> None:
    path = make_shard(tmp_path / f"{product_name(0)}.hdf")
    with h5py.File(path) as file:
        chunk = file["refs"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(content)
    shards = open_training_set(tmp_path, PATCH, quiet=True).shards
    with pytest.raises(UserError, match=rf"{product_name(0)}\.hdf: rows 0 to \d+ can't be read .* convert the product"):
        open_patches(shards, PATCH, cache, quiet=True)[0]  # type: ignore[arg-type]


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


def test_a_cache_that_cannot_fit_is_refused_before_it_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = open_training_set(make_shards(tmp_path, 1), PATCH, quiet=True).shards
    memory = tmp_path / "meminfo"
    memory.write_text("MemTotal: 100 kB\nMemAvailable:      50 kB\n")
    monkeypatch.setattr(data, "MEMORY_INFO", memory)
    with pytest.raises(UserError, match=r"--cache host needs 0\.0 GB .* use --cache none"):
        open_patches(shards, PATCH, "host", quiet=True)


def test_damage_found_while_reading_names_the_shard(tmp_path: Path) -> None:
    path = make_shard(tmp_path / f"{product_name(0)}.hdf")
    shards = open_training_set(tmp_path, PATCH, quiet=True).shards
    with h5py.File(path, "r+") as file:
        del file["label_valid"]
    for cache in ("none", "host"):
        with pytest.raises(UserError, match=f"{product_name(0)}.hdf: no dataset 'label_valid'"):
            open_patches(shards, PATCH, cache, quiet=True)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("cache", ["none", "host"])
def test_a_shard_that_is_gone_is_named(tmp_path: Path, cache: str) -> None:
    make_shards(tmp_path, 2)
    shards = open_training_set(tmp_path, PATCH, quiet=True).shards
    shards[1].path.unlink()
    with pytest.raises(UserError, match=f"{shards[1].path}: the shard can't be opened any more"):
        open_patches(shards, PATCH, cache, quiet=True)[len(index_patches(shards, PATCH).shard) - 1]  # type: ignore[arg-type]


def test_index_lies_row_by_row_over_products_in_order(tmp_path: Path) -> None:
    shards = open_training_set(make_shards(tmp_path, 2), PATCH, quiet=True).shards
    index = index_patches(shards, PATCH)
    assert index.shard.tolist() == [0] * 6 + [1] * 6
    assert index.row.tolist() == [0, 0, 0, 32, 32, 32] * 2
    assert index.column.tolist() == [0, 32, 64] * 4
