"""Reading datasets chunk by chunk against h5py's own reading, over every layout that HDF5 has, and every lie."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from preprocess import chunks
from preprocess.chunks import DAMAGE, MAX_ARRAY_BYTES, inflate, read_array, unshuffle

NUMBERS = ("i1", "u1", "<i2", "<u2", "<i4", "<u8", "<f4", "<f8")


def make_file(**datasets: tuple[np.ndarray, dict[str, Any]]) -> bytes:
    """An HDF5 file in memory: the numbers of each dataset, and how h5py is to store them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, (data, settings) in datasets.items():
            file.create_dataset(name, data=data, **settings)
    return buffer.getvalue()


@contextmanager
def opened(data: bytes, name: str = "x") -> Iterator[h5py.Dataset]:
    with h5py.File(io.BytesIO(data), "r") as file:
        yield file[name]


def numbers(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth ones, as images are, so that deflate has something to do, with every byte of a number in use."""
    dtype_ = np.dtype(dtype)
    ramp = np.arange(np.prod(shape)).reshape(shape)
    if dtype_.kind == "f":
        return (np.sin(ramp / 50) * 1e3).astype(dtype_)
    return (ramp * (2 ** (8 * dtype_.itemsize) // 1500 + 1)).astype(dtype_)


def read(data: bytes, name: str = "x", **kwargs: Any) -> np.ndarray:
    with opened(data, name) as dataset:
        return read_array(data, dataset.id, **kwargs)


def check(data: bytes, expected: np.ndarray, name: str = "x") -> None:
    for verified in (False, True):
        with opened(data, name) as dataset:
            found, oracle = read_array(data, dataset.id, verified=verified), dataset[...]
        np.testing.assert_array_equal(found, oracle, strict=oracle.dtype.isnative)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype.isnative


@contextmanager
def without_hdf5(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is read inside is inflated here, not by HDF5."""
    plain = chunks._plain_chunks

    def must_be_plain(*arguments: Any) -> Any:
        found = plain(*arguments)
        assert found is not None, "left to HDF5"
        return found

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "_plain_chunks", must_be_plain)
        yield


PLAIN = {"compression": "gzip", "shuffle": True}


@pytest.mark.quick
@pytest.mark.parametrize("dtype", NUMBERS)
def test_shuffled_and_deflated_chunks_are_inflated_here(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape, parts in (
        ((1500,), (400,)),  # the last chunk over the edge
        ((40, 60), (20, 30)),
        ((41, 61), (20, 30)),  # over both edges
        ((40, 60), (40, 60)),
        ((7, 11, 13), (4, 11, 5)),
        ((1, 1), (1, 1)),
    ):
        data = numbers(dtype, shape)
        with without_hdf5(monkeypatch):
            check(make_file(x=(data, PLAIN | {"chunks": parts})), data)
            check(make_file(x=(data, {"compression": 1, "chunks": parts})), data)


def test_what_we_inflate_is_what_h5py_reads_of_random_layouts() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        shape = tuple(rng.integers(1, 30, rng.integers(1, 4)))
        parts = tuple(int(rng.integers(1, side + 1)) for side in shape)
        data = rng.integers(0, 256, (*shape, 8), np.uint8).view(rng.choice(["<i8", "<f8"]))[..., 0]
        with np.errstate(invalid="ignore", over="ignore"):
            data = data.astype(rng.choice(NUMBERS))
        settings = {"chunks": parts, "shuffle": bool(rng.integers(2)), "compression": int(rng.integers(0, 10))}
        check(make_file(x=(data, settings)), data)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"chunks": (20, 30)},
        {"chunks": (20, 30), "shuffle": True},
        {"chunks": (20, 30), "compression": "gzip", "fletcher32": True},
        {"chunks": (20, 30), "compression": "lzf"},
        {"chunks": (20, 30), "compression": "gzip", "scaleoffset": 0},
        {"chunks": (20, 30), "compression": "gzip", "maxshape": (None, 60)},
        {"chunks": (20, 30), "compression": "gzip", "shuffle": True, "maxshape": (None, None)},
        {"chunks": (64, 64), "compression": "gzip", "shuffle": True, "maxshape": (None, None)},  # larger than it
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["<i2", ">i2", ">f8"])
def test_every_other_layout_is_read_by_hdf5(settings: dict[str, Any], dtype: str) -> None:
    if dtype[1] == "f" and "scaleoffset" in settings:
        settings = settings | {"scaleoffset": 3}
    data = numbers(dtype, (41, 61))
    if "scaleoffset" in settings and dtype[1] == "f":
        data = np.round(data)
    if settings.get("maxshape") == (None, 60):
        data = data[:, :60]
    check(make_file(x=(data, settings)), data)


def test_chunks_that_were_never_written_hold_the_fill_value() -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        dataset = file.create_dataset("x", (40, 60), "<i2", chunks=(20, 30), fillvalue=-32768, **PLAIN)
        dataset[20:, :30] = 7
        file.create_dataset("empty", (40, 60), "<i2", chunks=(20, 30), fillvalue=-1, **PLAIN)
        file.create_dataset("none", (0, 60), "<i2", chunks=(20, 30), maxshape=(None, 60), **PLAIN)
    expected = np.full((40, 60), -32768, np.int16)
    expected[20:, :30] = 7
    check(buffer.getvalue(), expected)
    check(buffer.getvalue(), np.full((40, 60), -1, np.int16), "empty")
    check(buffer.getvalue(), np.empty((0, 60), np.int16), "none")


def test_a_chunk_stored_as_it_is_is_not_inflated() -> None:
    """HDF5 leaves out a filter that failed when writing, and says so in the chunk's filter mask."""
    data = numbers("<i2", (40, 60))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        dataset = file.create_dataset("x", (40, 60), "<i2", chunks=(20, 30), **PLAIN)
        dataset[...] = data
        dataset.id.write_direct_chunk((20, 30), data[20:, 30:].tobytes(), 0b11)
    check(buffer.getvalue(), data)
    with h5py.File(buffer, "a") as file:
        shuffled = np.ascontiguousarray(data[:20, 30:]).view(np.uint8).reshape(-1, 2).T.tobytes()
        file["x"].id.write_direct_chunk((0, 30), shuffled, 0b10)  # shuffled, not deflated
    check(buffer.getvalue(), data)


def test_edges_that_hdf5_stores_as_they_are_are_left_to_it(tmp_path: Path) -> None:
    """H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS, which h5py does not set: such a chunk has the size of what it holds."""
    data = numbers("<i2", (40, 60))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", (40, 60), "<i2", chunks=(40, 60), **PLAIN)
        dataset.id.write_direct_chunk((0, 0), data.tobytes(), 0b11)
    content = (tmp_path / "x.h5").read_bytes()
    with opened(content) as dataset:
        layout = chunks._layout(dataset.id)
        assert chunks._plain_chunks(content, dataset.id, layout) is None
    check(content, data)


def test_a_file_behind_a_user_block_is_left_to_hdf5(tmp_path: Path) -> None:
    data = numbers("<i2", (40, 60))
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=512) as file:
        file.create_dataset("x", data=data, chunks=(20, 30), **PLAIN)
    check((tmp_path / "x.h5").read_bytes(), data)


def test_numbers_of_fewer_bits_than_they_take_up_are_left_to_hdf5() -> None:
    kind = h5py.h5t.STD_I16LE.copy()
    kind.set_precision(12)
    kind.set_offset(2)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((20, 30))
        plan.set_deflate(4)
        made = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((20, 30)), plan)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.full((20, 30), -5, np.int16))
    check(buffer.getvalue(), np.full((20, 30), -5, np.int16))


def test_a_given_array_is_filled() -> None:
    data = numbers("<i2", (40, 60))
    file = make_file(x=(data, PLAIN | {"chunks": (20, 30)}), big=(data.astype(">i2"), {}))
    both = np.zeros((2, 40, 60), np.int16)
    assert read(file, out=both[1]) is not None
    assert read(file, "big", out=both[0]) is not None
    np.testing.assert_array_equal(both, [data, data])
    for wrong in (np.zeros((40, 60), np.int32), np.zeros((60, 40), np.int16)):
        with pytest.raises(ValueError, match=r"expected .* found int16 \(40, 60\)"):
            read(file, out=wrong)


def test_every_flipped_bit_of_a_chunk_is_noticed() -> None:
    data = numbers("<i2", (20, 30))
    file = make_file(x=(data, PLAIN | {"chunks": (20, 30)}))
    with opened(file) as dataset:
        info = dataset.id.get_chunk_info(0)
    rng = np.random.default_rng(1)
    for bit in rng.choice(8 * info.size, 300, replace=False):
        bad = bytearray(file)
        bad[info.byte_offset + bit // 8] ^= 1 << bit % 8
        try:
            found = read(bytes(bad))
        except DAMAGE:
            continue
        np.testing.assert_array_equal(found, data)  # bits of the header of zlib that mean nothing to the reader


def replaced_chunk(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        dataset = file.create_dataset("x", (20, 30), "<i2", chunks=(20, 30), **PLAIN)
        dataset.id.write_direct_chunk((0, 0), payload)
    return buffer.getvalue()


CUT_SUM = "don't inflate to 1200"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (zlib.compress(bytes(1199)), "don't inflate to 1200, but to 1199"),
        (zlib.compress(bytes(1201)), "don't inflate to 1200: damaged, or of another size"),
        (zlib.compress(bytes(10**8)), "don't inflate to 1200: damaged, or of another size"),
        (zlib.compress(bytes(1200))[:-3], CUT_SUM),
        (zlib.compress(bytes(1200))[:-1] + b"\xff", CUT_SUM),
        (b"no stream", "9 bytes don't inflate"),
    ],
)
def test_a_chunk_of_another_size_or_sum_is_refused(payload: bytes, message: str) -> None:
    file = replaced_chunk(payload)
    with pytest.raises(DAMAGE, match=message):
        read(file)
    if message is not CUT_SUM:
        with pytest.raises(DAMAGE):
            read(file, verified=True)


def test_the_sum_of_a_zlib_stream_is_checked() -> None:
    packed = zlib.compress(b"cloud" * 1000)
    assert inflate(memoryview(packed), 5000) == b"cloud" * 1000
    with pytest.raises(ValueError, match="5000: damaged"):
        inflate(memoryview(packed[:-1] + bytes([packed[-1] ^ 1])), 5000)


def test_a_chunk_beyond_the_end_of_the_file_is_refused() -> None:
    data = numbers("<i2", (40, 60))
    file = make_file(x=(data, PLAIN | {"chunks": (20, 30)}))
    with opened(file) as dataset, pytest.raises(ValueError, match=r"ends at byte \d+ of a file of 2000"):
        read_array(file[:2000], dataset.id)


def test_a_size_beyond_belief_is_refused_before_anything_is_allocated() -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("x", (10**6, 10**6), "<i2", chunks=(20, 30), **PLAIN)
        file.create_dataset("chunk", (10, 10), "<i2", chunks=(2**14, 2**14 + 1), maxshape=(None, None), **PLAIN)
    for name, what in (("x", "an array of 2000000000000 bytes"), ("chunk", "a chunk of")):
        with pytest.raises(ValueError, match=f"{what}.*at most {MAX_ARRAY_BYTES} are believable"):
            read(buffer.getvalue(), name)


def test_numbers_that_lie_in_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"password" * 10)
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4,))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (80,), "u1", external=[(str(tmp_path / "secret"), 0, 80)])
        file.create_virtual_dataset("virtual", layout)
    for name in ("x", "virtual"):
        with pytest.raises(ValueError, match="its numbers lie in other files"):
            read((tmp_path / "x.h5").read_bytes(), name)


@pytest.mark.parametrize("dtype", ["<u2", "<i4", "<f8"])
def test_unshuffle_undoes_shuffle_into_any_part_of_an_array(dtype: str) -> None:
    """The oracle is the definition: all first bytes, then all second bytes, and so on."""
    data = np.random.default_rng(2).integers(0, 256, (6, 5, np.dtype(dtype).itemsize), np.uint8)
    whole = np.zeros((12, 15), dtype)
    unshuffle(np.moveaxis(data, -1, 0), whole[6:, 5:10])
    np.testing.assert_array_equal(whole[6:, 5:10].copy().view(np.uint8), np.ascontiguousarray(data).reshape(6, -1))
    assert not whole[:6].any()
    assert not whole[:, 10:].any()
