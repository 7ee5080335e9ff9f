"""Feeds: the same batches whatever the cache, the devices and the processes, from any step on, nothing left out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from jaxmask import device_cache
from jaxmask.data import Feed, open_feed
from jaxmask.launch_choice import choose_launch
from jaxmask.mesh import DATA_AXIS, batch_sharding, make_mesh, use_cpu_only
from jaxmask.order import PADDING, Order, deal
from jaxmask.patch_index import PatchIndex, index_patches
from jaxmask.processes import start_distributed
from jaxmask.shard_patches import ShardPatches
from jaxmask.training_set import open_training_set
from preprocess.errors import UserError
from tests.pairs import environment_of_two
from tests.shards import make_shards, product_name

PATCH = 32
BATCH = 8
SEED = 7
CACHES = ("none", "host", "device")
Cache = Literal["none", "host", "device"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three products of six patches: 18 patches, two steps and a padded one."""
    return make_shards(tmp_path_factory.mktemp("hdf"), 3)


def mesh_of(devices: int) -> Mesh:
    return jax.make_mesh((devices,), (DATA_AXIS,), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])


def feed_of(
    folder: Path, cache: Cache, mesh: Mesh | None = None, *, seed: int | None = SEED, augment: bool = True
) -> Feed:
    shards = open_training_set(folder, PATCH, quiet=True).shards
    return open_feed(
        shards,
        patch_size=PATCH,
        cache=cache,
        mesh=mesh or make_mesh(),
        global_batch=BATCH,
        seed=seed,
        augment=augment,
        quiet=True,
    )


def batches_of(feed: Feed, epoch: int, first_step: int = 0) -> list[dict[str, jax.Array]]:
    return [feed.place(batch) for batch in feed.batches(epoch, first_step)]


def expected(index: PatchIndex, order: Order, epoch: int) -> list[dict[str, np.ndarray]]:
    """What the order says, patch by patch from the shards; blank where there is none left."""
    source, found = ShardPatches(index), []
    for numbers, turn in zip(order.numbers(epoch), order.turns(epoch), strict=True):  # type: ignore[arg-type]
        patches = [source[number] if number != PADDING else None for number in numbers]
        batch = {
            name: np.stack([patch[name] if patch else np.zeros_like(source[0][name]) for patch in patches])
            for name in ("image", "label", "weight")
        }
        found.append(batch | {"turn": turn})
    return found


def assert_same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        for name, array in one.items():
            assert array.dtype == other[name].dtype
            np.testing.assert_array_equal(array, other[name])


@pytest.mark.quick
@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("cache", CACHES)
def test_all_caches_and_devices_give_what_the_order_says(folder: Path, cache: Cache, devices: int) -> None:
    mesh = mesh_of(devices)
    feed = feed_of(folder, cache, mesh)
    assert (feed.patches, feed.steps) == (18, 3)
    index = index_patches(open_training_set(folder, PATCH, quiet=True).shards, PATCH)
    order = Order(deal(18, BATCH, SEED), SEED, True)
    for epoch in (1, 2):
        batches = batches_of(feed, epoch)
        assert_same(batches, expected(index, order, epoch))
        assert {array.sharding for batch in batches for array in batch.values()} == {batch_sharding(mesh)}


@pytest.mark.parametrize("cache", CACHES)
def test_from_any_step_on_nothing_before_it_is_read(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = feed_of(folder, cache)
    wanted = batches_of(feed, 3)
    read: list[int] = []
    really = ShardPatches.__getitem__
    monkeypatch.setattr(ShardPatches, "__getitem__", lambda self, number: read.append(number) or really(self, number))
    assert_same(batches_of(feed, 3, 2), wanted[2:])
    assert len(read) == (2 if cache == "none" else 0)  # 18 patches: the last step has two
    assert batches_of(feed, 3, 3) == []


@pytest.mark.parametrize("cache", CACHES)
def test_testing_comes_in_order_and_drops_nothing(folder: Path, cache: Cache) -> None:
    feed = feed_of(folder, cache, seed=None)
    index = index_patches(open_training_set(folder, PATCH, quiet=True).shards, PATCH)
    for epoch in (0, 5):
        batches = batches_of(feed, epoch)
        assert "turn" not in batches[0]
        image = np.concatenate([batch["image"] for batch in batches])
        np.testing.assert_array_equal(
            image[:18], np.stack([ShardPatches(index)[number]["image"] for number in range(18)])
        )
        weight = np.concatenate([batch["weight"] for batch in batches])
        assert weight[:18].all()
        assert not weight[18:].any()


def test_epoch_0_is_neither_shuffled_nor_turned(folder: Path) -> None:
    batches = batches_of(feed_of(folder, "host"), 0)
    dealt = deal(18, BATCH, SEED)
    index = index_patches(open_training_set(folder, PATCH, quiet=True).shards, PATCH)
    np.testing.assert_array_equal(batches[0]["image"][3], ShardPatches(index)[dealt[0, 3]]["image"])
    assert not any(np.any(batch["turn"]) for batch in batches)  # but there, so that nothing is compiled anew


def test_products_of_a_batch_are_those_its_patches_come_from(folder: Path) -> None:
    feed = feed_of(folder, "none")
    order = Order(deal(18, BATCH, SEED), SEED, True)
    for epoch, step in ((1, 0), (2, 1), (2, 2)):
        numbers = [number for number in order.numbers(epoch)[step].tolist() if number != PADDING]
        assert feed.products(epoch, step) == tuple(sorted({product_name(number // 6) for number in numbers}))
    assert feed_of(folder, "none", seed=None).products(0, 0) == (product_name(0), product_name(1))


def test_what_goes_wrong_while_reading_ahead_is_told(tmp_path: Path) -> None:
    make_shards(tmp_path, 2)
    feed = feed_of(tmp_path, "none")
    next((tmp_path / "day").glob("*.hdf")).unlink()
    with pytest.raises(UserError, match=r"the shard can't be opened any more"):
        list(feed.batches(1, 0))


def test_readers_never_open_an_accelerator(folder: Path) -> None:
    # On a platform that does not exist the first touch of a device fails.
    code = """if True:
        import sys, jax, numpy as np
        from pathlib import Path
        from jaxmask.data import read_ahead
        from jaxmask.patch_index import index_patches
        from jaxmask.shard_patches import ShardPatches, read_all
        from jaxmask.training_set import open_training_set
        index = index_patches(open_training_set(Path(sys.argv[1]), 32, quiet=True).shards, 32)
        numbers = np.arange(16).reshape(4, 4)
        print(sum(batch["image"].shape[0] for batch in read_ahead(ShardPatches(index), numbers, None, 32)))
        print(len(dict(read_all(index, numbers.ravel(), quiet=True))))
        try:
            jax.devices()
        except RuntimeError:
            print("no device")
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=120,
        cwd=Path(__file__).parents[1], env=os.environ | {"JAX_PLATFORMS": "nowhere"},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["16", "16", "no device"], done.stderr


def digests(feed: Feed) -> dict[str, str]:
    """Of two epochs: a digest of each device's part of each array, by step, name and first place."""
    found = {}
    for epoch in (1, 2):
        for step, batch in enumerate(batches_of(feed, epoch)):
            for name, array in batch.items():
                for part in array.addressable_shards:
                    place = part.index[0].start or 0
                    found[f"{epoch} {step} {name} {place}"] = hashlib.sha256(
                        np.asarray(part.data).tobytes()
                    ).hexdigest()
    return found


def all_digests(folder: Path) -> dict[str, dict[str, str]]:
    """Of each cache; of the devices' also where all hold all."""
    found = {cache: digests(feed_of(folder, cache)) for cache in CACHES}
    device_cache.REPLICATED_SHARE = 0.0
    return found | {"divided": digests(feed_of(folder, "device"))}


def test_two_processes_see_their_parts_of_the_same_batches(folder: Path) -> None:
    environ = environment_of_two()
    command = [sys.executable, __file__, str(folder)]
    running = [
        subprocess.Popen(command, env=environ | {"JAX_PROCESS_ID": index}, stdout=subprocess.PIPE) for index in "01"
    ]
    try:
        alone = digests(feed_of(folder, "none", mesh_of(4)))
        outputs = [process.communicate(timeout=180)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0]
    first, second = map(json.loads, outputs)
    assert len(first) == 4
    for cache, found in first.items():
        assert not found.keys() & second[cache].keys()
        assert found | second[cache] == alone, cache


if __name__ == "__main__":
    use_cpu_only()
    start_distributed(choose_launch(os.environ))
    print(json.dumps(all_digests(Path(sys.argv[1]))))
