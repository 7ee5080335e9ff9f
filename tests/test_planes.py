"""Chunks as zlib streams: zlib itself, HDF5's shuffle and sizes worked out by hand are the oracles."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from preprocess.planes import compress, noisy_planes, split_bytes

RANDOM = np.random.default_rng(5)
SIZE = 70_000  # more than one stored block (65535 bytes) holds
NOISE = RANDOM.integers(0, 256, SIZE).astype(np.uint8)
FLAT = np.zeros(SIZE, np.uint8)
WAVE = (100 + 20 * np.sin(np.arange(SIZE) / 500)).astype(np.uint8)


def judged(*planes: np.ndarray) -> list[bool]:
    """Each plane by itself."""
    return [noisy_planes(plane[None])[0] for plane in planes]


def compressed(*planes: np.ndarray) -> bytes:
    """The stream of planes that were judged by a sample."""
    return compress(np.stack(planes), judged(*planes))


@pytest.mark.quick
def test_words_are_split_into_planes_as_hdf5_shuffles_them() -> None:
    # 0x04030201 and 0x08070605, little-endian: bytes 1 2 3 4 5 6 7 8; every first, every second...
    words = np.array([[0x04030201, 0x08070605]], np.uint32)
    planes = np.zeros((4, 1, 2), np.uint8)
    split_bytes(words, planes)
    assert planes.tolist() == [[[1, 5]], [[2, 6]], [[3, 7]], [[4, 8]]]


@pytest.mark.parametrize("word", ["u1", "u2", "u4"])
def test_every_size_of_word_is_split(word: str) -> None:
    size = np.dtype(word).itemsize
    words = RANDOM.integers(0, 256**size, (6, 7)).astype(word)[1:, 2:]  # a slice: rows apart in memory
    planes = np.zeros((size, 5, 5), np.uint8)
    split_bytes(words, planes)
    expected = np.frombuffer(words.astype("<" + word).tobytes(), np.uint8).reshape(25, size).T
    np.testing.assert_array_equal(planes.reshape(size, 25), expected)


@pytest.mark.parametrize(
    "planes",
    [
        [NOISE],
        [FLAT],
        [NOISE, NOISE, FLAT, FLAT],
        [FLAT, NOISE, FLAT, NOISE],
        [WAVE, NOISE],
        [NOISE[:65535]],
        [NOISE[:65536]],
        [NOISE[:1], FLAT[:1]],
        [NOISE[:65], WAVE[:65], FLAT[:65]],
    ],
)
@pytest.mark.parametrize("judge", ["sampled", "all noise", "none"])
def test_zlib_inflates_what_was_compressed(planes: list[np.ndarray], judge: str) -> None:
    noisy = judged(*planes) if judge == "sampled" else [judge == "all noise"] * len(planes)
    stream = compress(np.stack(planes), noisy)
    reader = zlib.decompressobj()
    assert reader.decompress(stream) == b"".join(plane.tobytes() for plane in planes)
    assert reader.eof
    assert not reader.unused_data


@pytest.mark.quick
def test_noise_is_stored_as_it_is_and_the_rest_deflated() -> None:
    stream = compressed(NOISE, FLAT, WAVE)
    assert NOISE[:65535].tobytes() in stream
    assert len(stream) < 1.1 * SIZE  # the flat plane nearly vanishes, the smooth one shrinks to less than a tenth
    assert len(compressed(FLAT, FLAT, FLAT, FLAT)) < SIZE / 100
    # Two stored blocks a plane of noise at most, 5 bytes each; header 2, last block 2, sum 4.
    assert len(compressed(NOISE, NOISE)) <= 2 * SIZE + 2 * 2 * 5 + 8


def test_half_noise_is_deflated() -> None:
    """A sample from the start alone would take this plane for noise."""
    mixed = np.concatenate([NOISE[: SIZE // 3], FLAT[SIZE // 3 :]])
    assert len(compressed(mixed)) < 0.4 * SIZE


def test_planes_of_words_are_judged_apart() -> None:
    words = NOISE.astype(np.uint32) | (WAVE.astype(np.uint32) << 24)
    assert noisy_planes(words.reshape(100, -1)) == [True, False, False, False]
    assert noisy_planes(words[:1].reshape(1, 1)) in ([True, False, False, True], [True] * 4)  # too little to gain


def test_a_flat_chunk_amid_noise_takes_no_room() -> None:
    assert len(compress(np.stack([FLAT, FLAT]), [True, False])) < SIZE / 100


@pytest.mark.parametrize("place", [0.001, 0.5, 0.99, -3])
def test_a_changed_bit_disagrees_with_the_sum(place: float) -> None:
    stream = bytearray(compressed(NOISE, WAVE))
    stream[int(place * len(stream)) if place > 0 else int(place)] ^= 1
    with pytest.raises(zlib.error):
        zlib.decompress(stream)
