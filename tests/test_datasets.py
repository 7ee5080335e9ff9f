"""Datasets of shards against plain h5py, which knows nothing of our way of packing and unpacking chunks."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from preprocess.datasets import DatasetReader, write_dataset

RANDOM = np.random.default_rng(11)
WINDOWS = [
    (slice(None), slice(None)),
    (slice(100, 290), slice(5, 270)),
    (slice(0, 1), slice(279, 280)),
    (slice(150, 150), slice(3, 9)),
    (slice(280, 999), slice(-20, None)),
    (slice(0, 300, 7), slice(2, 60, 3)),
]


def numbers(dtype: str, *shape: int) -> np.ndarray:
    """Numbers whose low bytes are noise: smooth fields with some."""
    smooth = 280 + 10 * np.sin(np.arange(np.prod(shape)).reshape(shape) / 3000) + RANDOM.random(shape)
    return (smooth if np.dtype(dtype).kind == "f" else smooth * 97 % 200).astype(dtype)


@pytest.mark.quick
@pytest.mark.parametrize("dtype", ["float32", "uint16", "uint8", "int16"])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_plain_h5py_reads_what_is_written_and_windows_are_what_it_reads(
    tmp_path: Path, dtype: str, channels: tuple[int, ...]
) -> None:
    array = numbers(dtype, 300, 280, *channels)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = write_dataset(file, "a", array)
        assert dataset.dtype == array.dtype
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["a"][:], array)
        reader = DatasetReader(file["a"])
        for rows, columns in WINDOWS:
            found = reader.read(rows, columns)
            np.testing.assert_array_equal(found, array[rows, columns])
            assert found.dtype == array.dtype


def test_filters_are_those_that_every_hdf5_library_has(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, dtype, wanted in (("a", "float32", ["shuffle", "deflate"]), ("b", "uint8", ["deflate"])):
            dataset = write_dataset(file, name, numbers(dtype, 300, 280, 2))
            created = dataset.id.get_create_plist()
            found = [created.get_filter(number)[3].decode() for number in range(created.get_nfilters())]
            assert found == wanted
            for number in range(dataset.id.get_num_chunks()):
                assert dataset.id.get_chunk_info(number).filter_mask == 0


def test_ours_is_read_without_hdf5s_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = numbers("float32", 300, 280, 3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        reader = DatasetReader(write_dataset(file, "a", array))
        monkeypatch.setattr(h5py.Dataset, "__getitem__", None)
        np.testing.assert_array_equal(reader.read(slice(7, 200), slice(11, 222)), array[7:200, 11:222])


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        # 1198 rows in 10 parts of 120, 1500 columns in 12 of 125; maps in 5 of 240 and 6 of 250.
        ((1198, 1500, 6), (120, 125, 6)),
        ((1198, 1500), (240, 250)),
        ((1198, 1500, 1), (240, 250, 1)),
        ((10, 12, 3), (10, 12, 3)),
        ((128, 129, 2), (128, 65, 2)),
    ],
)
def test_chunks_divide_the_image_evenly(tmp_path: Path, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        assert write_dataset(file, "a", np.zeros(shape, np.uint8)).chunks == chunks


def test_arrays_in_another_order_in_memory_are_written_alike(tmp_path: Path) -> None:
    array = numbers("float32", 140, 150, 3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write_dataset(file, "a", np.ascontiguousarray(array.transpose(2, 0, 1)).transpose(1, 2, 0))
        np.testing.assert_array_equal(file["a"][:], array)


def test_what_lies_over_the_edge_is_0(tmp_path: Path) -> None:
    """280 columns in chunks of 94 leave two columns of the last ones over."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = write_dataset(file, "a", np.full((300, 280, 3), 7, np.uint8))
        assert dataset.chunks == (100, 94, 3)
        last = np.frombuffer(zlib.decompress(dataset.id.read_direct_chunk((200, 188, 0))[1]), np.uint8)
    assert (last.reshape(100, 94, 3)[:, :92] == 7).all()
    assert not last.reshape(100, 94, 3)[:, 92:].any()


def test_zeros_take_no_room_and_noise_no_more_than_it_has(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        flat = write_dataset(file, "flat", np.zeros((300, 280, 3), np.float32))
        noise = RANDOM.integers(0, 2**32, (300, 280, 3), dtype=np.uint32)
        noisy = write_dataset(file, "noisy", noise)
        assert flat.id.get_storage_size() < 300 * 280 * 3 * 4 / 100
        # 3 x 3 chunks of 100 x 94; 5 bytes for each 65535 stored, and 8 for each chunk.
        assert noisy.id.get_storage_size() < 1.0002 * 300 * 282 * 3 * 4


OTHER_LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunks without filters": {"chunks": (100, 100, 3)},
    "lzf": {"chunks": (128, 128, 3), "compression": "lzf", "shuffle": True},
    "not shuffled": {"chunks": (128, 128, 3), "compression": "gzip"},
    "checksums": {"chunks": (128, 128, 3), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "channels apart": {"chunks": (128, 128, 1), "compression": "gzip", "shuffle": True},
    "deflated by h5py": {"chunks": (99, 128, 3), "compression": "gzip", "shuffle": True},
}


@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
def test_other_layouts_are_read_too(tmp_path: Path, layout: str, dtype: str) -> None:
    array = numbers("float64", 300, 280, 3).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        reader = DatasetReader(file.create_dataset("a", data=array, **OTHER_LAYOUTS[layout]))
        for rows, columns in WINDOWS:
            np.testing.assert_array_equal(reader.read(rows, columns), array[rows, columns])


def test_chunks_never_written_or_not_filtered_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset(
            "a", (20, 30), "<u2", chunks=(10, 10), compression="gzip", shuffle=True, fillvalue=7
        )
        plain = np.arange(100, dtype="<u2").reshape(10, 10)
        dataset.id.write_direct_chunk((10, 20), plain.tobytes(), filter_mask=0b11)
        found = DatasetReader(dataset).read()
    np.testing.assert_array_equal(found[10:, 20:], plain)
    assert (found[:10] == 7).all()
    assert (found[10:, :20] == 7).all()


def test_a_damaged_chunk_is_an_error_and_others_are_still_read(tmp_path: Path) -> None:
    array = numbers("float32", 300, 280, 3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        chunk = write_dataset(file, "a", array).id.get_chunk_info(0)
    data = bytearray((tmp_path / "x.h5").read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 1
    (tmp_path / "x.h5").write_bytes(data)
    with h5py.File(tmp_path / "x.h5") as file:
        reader = DatasetReader(file["a"])
        with pytest.raises(OSError, match="filter returned failure"):
            reader.read(slice(0, 10), slice(0, 10))
        np.testing.assert_array_equal(reader.read(slice(200, 300), slice(0, 10)), array[200:300, :10])


def test_threads_share_a_reader(tmp_path: Path) -> None:
    array = numbers("float32", 300, 280, 3)
    windows = [(slice(a, a + 64), slice(b, b + 64)) for a, b in RANDOM.integers(0, 210, (60, 2)).tolist()]
    with h5py.File(tmp_path / "x.h5", "w") as file, ThreadPoolExecutor(4) as threads:
        reader = DatasetReader(write_dataset(file, "a", array))
        found = list(threads.map(lambda window: reader.read(*window), windows))
    for window, part in zip(windows, found, strict=True):
        np.testing.assert_array_equal(part, array[window])
