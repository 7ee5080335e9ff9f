"""Patches on the devices: where they lie, that gathering exchanges nothing, and what doesn't fit."""

from __future__ import annotations

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmask import device_cache, pixels
from jaxmask.device_cache import open_resident
from jaxmask.mesh import DATA_AXIS, batch_sharding, make_mesh, replicated
from jaxmask.order import PADDING, Order, deal
from jaxmask.patch_index import PatchIndex, index_patches
from jaxmask.shard_patches import ShardPatches, read_all
from jaxmask.training_set import open_training_set
from preprocess.errors import UserError
from tests.shards import make_shards

PATCH = 32
BATCH = 16  # two places a device
COLLECTIVE = re.compile(r"= (.*?) (?:all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\(")
ONE_PATCH = PATCH * PATCH  # numbers, of the smallest kind


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PatchIndex:
    """Five products of six patches."""
    folder = make_shards(tmp_path_factory.mktemp("hdf"), 5)
    return index_patches(open_training_set(folder, PATCH, quiet=True).shards, PATCH)


def exchanged(program: jax.stages.Compiled) -> list[int]:
    """How many numbers each collective of a compiled program hands over."""
    shapes = COLLECTIVE.findall(program.as_text() or "")
    sizes = [re.findall(r"\[([\d,]*)\]", shape) for shape in shapes]
    return [int(np.prod([int(side) for side in one.split(",") if side])) for found in sizes for one in found]


def whole(resident: device_cache.Resident, order: Order, epoch: int) -> list[dict[str, jax.Array]]:
    rows = resident.rows(order.dealt, order.rows(epoch), np.arange(BATCH))
    return [resident.gather(resident.arrays, jax.device_put(row, batch_sharding(make_mesh()))) for row in rows]


@pytest.mark.quick
@pytest.mark.parametrize("share", [0.0, 1.0], ids=["divided", "replicated"])
def test_batches_are_the_patches_of_the_order(index: PatchIndex, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_cache, "REPLICATED_SHARE", share)
    monkeypatch.setattr(device_cache, "PATCHES_A_TRANSFER", 3)  # so that a device is filled in several goes
    mesh, source = make_mesh(), ShardPatches(index)
    order = Order(deal(len(index), BATCH, 3), 3, False)
    resident = open_resident(index, order.dealt, mesh, partial(read_all, quiet=True))
    assert {array.sharding for array in resident.arrays.values()} == {
        replicated(mesh) if share else batch_sharding(mesh)
    }
    batches = whole(resident, order, 2)
    assert len(batches) == 2
    for batch, numbers in zip(batches, order.numbers(2), strict=True):
        assert {array.sharding for array in batch.values()} == {batch_sharding(mesh)}
        assert {name: array.dtype for name, array in batch.items()} == {
            "image": np.int16, "label": np.uint8, "weight": np.uint8
        }  # fmt: skip
        for place, number in enumerate(numbers):
            for name, array in batch.items():
                expected = source[number][name] if number != PADDING else 0
                np.testing.assert_array_equal(array[place], expected)
    assert (order.numbers(2) == PADDING).sum() == 2  # 30 patches in 2 steps of 16


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["divided", "replicated"])
def test_gathering_hands_no_image_from_device_to_device(
    index: PatchIndex, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_cache, "REPLICATED_SHARE", share)
    mesh = make_mesh()
    resident = open_resident(index, deal(len(index), BATCH, 3), mesh, partial(read_all, quiet=True))
    rows = jax.device_put(np.zeros(BATCH, np.int32), batch_sharding(mesh))
    compiled = resident.gather.lower(resident.arrays, rows).compile()  # type: ignore[attr-defined]
    assert all(size < ONE_PATCH for size in exchanged(compiled))


def test_gathering_without_places_would_hand_images_over() -> None:
    # That the test above can fail: the same gather, left to the compiler.
    divided = NamedSharding(make_mesh(), PartitionSpec(DATA_AXIS))
    take = jax.jit(lambda array, rows: jnp.take(array, rows, axis=0, mode="clip"), out_shardings=divided)
    arguments = (np.zeros((32, ONE_PATCH), np.int16), np.zeros(BATCH, np.int32))
    compiled = take.lower(*(jax.device_put(each, divided) for each in arguments)).compile()
    assert max(exchanged(compiled)) >= ONE_PATCH


def test_a_device_holds_its_own_places_alone(index: PatchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_cache, "REPLICATED_SHARE", 0.0)
    resident = open_resident(index, deal(len(index), BATCH, None), make_mesh(), partial(read_all, quiet=True))
    (image,) = (array for name, array in resident.arrays.items() if name == "image")
    assert {shard.data.shape for shard in image.addressable_shards} == {(4, 9 * ONE_PATCH)}  # 2 places of 2 patches
    source = ShardPatches(index)
    third = np.asarray(image.addressable_shards[2].data)  # places 4 and 5: patches 4, 20 and 5, 21
    for row, number in enumerate((4, 20, 5, 21)):
        np.testing.assert_array_equal(third[row].reshape(PATCH, PATCH, 9), source[number]["image"])


class Device:
    """Tells of its memory as an accelerator does."""

    platform = "gpu"

    def __init__(self, free: int) -> None:
        self._free = free

    def memory_stats(self) -> dict[str, int]:
        return {"bytes_limit": self._free + 100, "bytes_in_use": 100}


def test_the_device_with_the_least_memory_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    class Devices:
        local_devices = (Device(9 * 2**20), Device(5 * 2**20), Device(7 * 2**20))

    assert device_cache._free_bytes(Devices()) == 5 * 2**20  # type: ignore[arg-type]


def test_a_device_of_the_host_has_its_share_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_cache, "available_memory", lambda: 80 * 2**20)
    assert device_cache._free_bytes(make_mesh()) == 10 * 2**20  # of 8
    monkeypatch.setattr(device_cache, "available_memory", lambda: None)
    assert device_cache._free_bytes(make_mesh()) == np.inf


@pytest.mark.parametrize(
    ("free_patches", "held"),
    # 32 rows, padding included, 4 a device. A quarter of what is free holds all; two thirds hold a device's own.
    [(128, "everywhere"), (127, "own"), (6, "own"), (5, "none")],
)
def test_what_is_free_decides_who_holds_what(
    index: PatchIndex, free_patches: int, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = free_patches * PATCH * PATCH * 20
    monkeypatch.setattr(device_cache, "_free_bytes", lambda mesh: float(free))
    mesh, dealt = make_mesh(), deal(len(index), BATCH, 0)
    if held == "none":
        with pytest.raises(UserError, match=r"--cache device needs 0\.00 GB of each device .* 67 % of .*--cache host"):
            open_resident(index, dealt, mesh, partial(read_all, quiet=True))
    else:
        arrays = open_resident(index, dealt, mesh, partial(read_all, quiet=True)).arrays
        assert arrays["image"].sharding == (replicated(mesh) if held == "everywhere" else batch_sharding(mesh))
    assert pixels.kept_bytes(PATCH) == PATCH * PATCH * 20


def test_one_device_alone(index: PatchIndex) -> None:
    mesh = Mesh(np.array(jax.devices()[:1]), (DATA_AXIS,))
    order = Order(deal(len(index), BATCH, 3), 3, False)
    resident = open_resident(index, order.dealt, mesh, partial(read_all, quiet=True))
    rows = resident.rows(order.dealt, order.rows(1), np.arange(BATCH))
    batch = resident.gather(resident.arrays, jax.device_put(rows[0], batch_sharding(mesh)))
    for place, number in enumerate(order.numbers(1)[0]):
        np.testing.assert_array_equal(batch["image"][place], ShardPatches(index)[number]["image"])
