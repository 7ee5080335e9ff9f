"""Patches of shards: against arrays cut by hand, each time and as hosts hold them, and what is wrong with a file."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from jaxmask import host_cache, memory, pixels, shard_patches
from jaxmask.data import PatchSource
from jaxmask.host_cache import HostPatches
from jaxmask.order import PADDING
from jaxmask.patch_index import PatchIndex, index_patches
from jaxmask.shard_patches import ShardPatches
from jaxmask.training_set import open_training_set
from preprocess.errors import UserError
from tests.shards import make_published_shard, make_scene, make_shard, make_shards, product_name

PATCH = 32
NAMES = ("image", "label", "weight")


def index_of(folder: Path) -> PatchIndex:
    return index_patches(open_training_set(folder, PATCH, quiet=True).shards, PATCH)


def cached(index: PatchIndex) -> HostPatches:
    return HostPatches(index, np.arange(len(index)), quiet=True)


SOURCES = pytest.mark.parametrize("open_source", [ShardPatches, cached], ids=["none", "host"])
Open = Callable[[PatchIndex], PatchSource]


def decoded(image: np.ndarray) -> np.ndarray:
    return image * pixels.STEPS.astype(np.float64) + pixels.CENTRES


def test_index_lies_row_by_row_over_products_in_order(tmp_path: Path) -> None:
    index = index_of(make_shards(tmp_path, 2))
    assert index.shard.tolist() == [0] * 6 + [1] * 6
    assert index.row.tolist() == [0, 0, 0, 32, 32, 32] * 2
    assert index.column.tolist() == [0, 32, 64] * 4
    assert index.names == (product_name(0), product_name(1))


@pytest.mark.quick
@SOURCES
def test_a_patch_is_the_normalised_window_of_its_shard(tmp_path: Path, open_source: Open) -> None:
    # 72 x 100 pixels hold 2 x 3 patches of 32 from row 4 and column 2 (centred, as tiles.patch_origins).
    index = index_of(make_shards(tmp_path, 2, 72, 100))
    assert len(index) == 12
    scene = make_scene(product_name(1), 72, 100, seed=1)
    rows, columns = slice(4 + 32, 4 + 64), slice(2 + 64, 2 + 96)
    patch = open_source(index)[11]
    expected = np.concatenate([scene.refs - 0.5, (scene.bts.astype(np.float64) - 270) / 22], axis=-1)[rows, columns]
    # Half a step of the counts, and float32 rounding of numbers near 1
    assert (abs(decoded(patch["image"]) - expected) <= pixels.STEPS / 2 + 1e-6).all()
    np.testing.assert_array_equal(patch["label"], scene.bayes[rows, columns] > 0)
    np.testing.assert_array_equal(patch["weight"], np.ones((32, 32, 1)))
    assert [patch[name].dtype for name in NAMES] == [np.int16, np.uint8, np.uint8]


def test_both_sources_give_the_same_bits(tmp_path: Path) -> None:
    index = index_of(make_shards(tmp_path, 3, 72, 100))
    some = np.array([17, 3, 4, PADDING, 0, 3])
    held = HostPatches(index, some, quiet=True)
    assert len(held) == 4
    for number in set(some.tolist()) - {PADDING}:
        for name in NAMES:
            np.testing.assert_array_equal(held[number][name], ShardPatches(index)[number][name])
    with pytest.raises(IndexError, match="patch 5 is not one of the 4 that this host holds"):
        held[5]


def test_a_host_reads_each_shard_that_it_needs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(make_shards(tmp_path, 3))
    opened: list[Path] = []
    really = shard_patches._opened
    monkeypatch.setattr(shard_patches, "_opened", lambda path: opened.append(path) or really(path))
    HostPatches(index, np.array([17, 0, 5, 1]), quiet=True)
    assert sorted(opened) == [index.paths[0], index.paths[2]]


@SOURCES
def test_invalid_and_unlabelled_pixels_weigh_nothing(tmp_path: Path, open_source: Open) -> None:
    path = make_shard(tmp_path / f"{product_name(0)}.hdf", 32, 32)
    with h5py.File(path, "r+") as file:
        file["valid"][:4] = 0
        file["label_valid"][:, :5] = 0
    expected = np.ones((32, 32, 1))
    expected[:4], expected[:, :5] = 0, 0
    np.testing.assert_array_equal(open_source(index_of(tmp_path))[0]["weight"], expected)


def test_published_shards_train_as_they_are(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    make_shards(ours, 2)
    for number, part in enumerate(("day", "night")):
        make_published_shard(theirs / part / f"{product_name(number)}.hdf", seed=number)
    opened = open_training_set(theirs, PATCH, quiet=True)
    assert opened.kind("convention") == "reference"
    assert opened.names == (product_name(0), product_name(1))
    one, other = cached(index_of(ours)), cached(index_of(theirs))
    for number in range(12):
        np.testing.assert_array_equal(one[number]["label"], other[number]["label"])
        np.testing.assert_array_equal(one[number]["image"], other[number]["image"])


def test_a_source_forgets_its_open_files_when_pickled(tmp_path: Path) -> None:
    source = ShardPatches(index_of(make_shards(tmp_path, 1)))
    before = source[0]
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again[0]["image"], before["image"])


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_patches, "OPEN_FILES", 2)
    source = ShardPatches(index_of(make_shards(tmp_path, 4)))
    for number in (0, 6, 12, 18, 0):
        source[number]
    assert len(source._open) == 2
    still_open = h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
    assert sum(file.name.startswith(bytes(tmp_path)) for file in still_open) == 2


def test_threads_share_a_source_that_keeps_dropping_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(make_shards(tmp_path, 4))
    numbers = np.random.default_rng(0).integers(0, 24, 200).tolist()
    monkeypatch.setattr(shard_patches, "OPEN_FILES", 1)
    source, expected = ShardPatches(index), cached(index)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(source.__getitem__, numbers))
    for number, patch in zip(numbers, found, strict=True):
        for name in NAMES:
            np.testing.assert_array_equal(patch[name], expected[number][name])


@SOURCES
def test_a_damaged_chunk_names_the_shard(tmp_path: Path, open_source: Open) -> None:
    path = make_shard(tmp_path / f"{product_name(0)}.hdf")
    with h5py.File(path) as file:
        chunk = file["refs"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{product_name(0)}\.hdf: rows 0 to \d+ can't be read .* convert the product"):
        open_source(index_of(tmp_path))[0]


@SOURCES
@pytest.mark.parametrize(("name", "number"), [("refs", np.nan), ("bts", np.inf)])
def test_a_number_that_is_none_names_the_shard(tmp_path: Path, open_source: Open, name: str, number: float) -> None:
    # int16 has no NaN: it would pass for a measurement.
    path = make_shard(tmp_path / f"{product_name(0)}.hdf")
    with h5py.File(path, "r+") as file:
        file[name][3, 4, 1] = number
    index = index_of(tmp_path)
    with pytest.raises(UserError, match=rf"{product_name(0)}\.hdf: it holds a reflectance or temperature that is"):
        open_source(index)[0]


@SOURCES
def test_damage_found_while_reading_names_the_shard(tmp_path: Path, open_source: Open) -> None:
    path = make_shard(tmp_path / f"{product_name(0)}.hdf")
    index = index_of(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["label_valid"]
    with pytest.raises(UserError, match=f"{product_name(0)}.hdf: no dataset 'label_valid'"):
        open_source(index)[0]


@SOURCES
def test_a_shard_that_is_gone_is_named(tmp_path: Path, open_source: Open) -> None:
    index = index_of(make_shards(tmp_path, 2))
    index.paths[1].unlink()
    with pytest.raises(UserError, match=f"{index.paths[1]}: the shard can't be opened any more"):
        open_source(index)[len(index) - 1]


def test_a_cache_that_cannot_fit_is_refused_before_it_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_of(make_shards(tmp_path, 1))
    told = tmp_path / "meminfo"
    told.write_text("MemTotal: 1000 kB\nMemAvailable:      100 kB\n")
    monkeypatch.setattr(memory, "MEMORY_INFO", told)
    # 20 kB a patch: five fit, by themselves
    HostPatches(index, np.arange(5), quiet=True)
    with pytest.raises(UserError, match=r"--cache host needs 0\.0 GB of this host's memory for .* use --cache none"):
        HostPatches(index, np.arange(6), quiet=True)
    monkeypatch.setattr(host_cache, "processes_here", lambda: 2)
    with pytest.raises(UserError, match=r"decoded patches of 2 processes, 0\.0 GB are available"):
        HostPatches(index, np.arange(3), quiet=True)
