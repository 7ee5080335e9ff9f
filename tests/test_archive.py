"""Reading the members of a zip, whole and by blocks, against zipfile; damage of every byte is noticed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from preprocess import archive
from preprocess.archive import Archive, open_archive
from preprocess.errors import UserError
from tests.products import NAME

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def contents() -> dict[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    return {"noise": noise, "zeros": bytes(20_000), "text": b"cloud " * 999, "empty": b"", "one": b"x"}


def make_zip(path: Path, method: int, prefix: bytes = b"", streamed: bool = False) -> Path:
    with path.open("wb") as file:
        file.write(prefix)
        target = Unseekable(file) if streamed else file
        with zipfile.ZipFile(target, "w", method) as made:  # type: ignore[arg-type]
            for name, data in contents().items():
                made.writestr(f"{NAME}.SEN3/{name}", data)
    return path


class Unseekable:
    """What zipfile writes sizes and sums behind, not before, each member to."""

    def __init__(self, file: object) -> None:
        self.write, self.flush = file.write, file.flush  # type: ignore[attr-defined]


def whole(opened: Archive, file: str) -> bytes:
    return opened.read(file)


def by_blocks(opened: Archive, file: str) -> bytes:
    return b"".join(opened.blocks(file))


READERS = pytest.mark.parametrize("reader", [whole, by_blocks])
Reader = Callable[[Archive, str], bytes]


@pytest.mark.quick
@READERS
@pytest.mark.parametrize("method", METHODS)
def test_members_are_what_was_packed(
    tmp_path: Path, method: int, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "BLOCK_BYTES", 777)
    for name, prefix, streamed in (("a", b"", False), ("b", b"before it", False), ("c", b"", True)):
        with open_archive(make_zip(tmp_path / name, method, prefix, streamed)) as opened:
            for file, data in contents().items():
                assert reader(opened, file) == data
                assert opened.size(file) == len(data)
            assert opened.size("other") is None


@pytest.mark.parametrize("method", METHODS)
@READERS
def test_flipped_bits_are_named_or_harmless(tmp_path: Path, method: int, reader: Reader) -> None:
    """Anywhere in the zip: members, headers before them, directory, end. Harmless: times and the like."""
    good = make_zip(tmp_path / "good.zip", method).read_bytes()
    path, rng, messages = tmp_path / "bad.zip", np.random.default_rng(method), []
    for bit in rng.choice(8 * len(good), 200, replace=False):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            with open_archive(path) as opened:
                for file, data in contents().items():
                    if file in opened.members:  # else: another name, which the product's reader misses
                        assert reader(opened, file) == data
        except UserError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all(str(path) in message for message in messages)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@READERS
def test_a_zip_cut_anywhere_is_named(tmp_path: Path, method: int, reader: Reader) -> None:
    good = make_zip(tmp_path / "good.zip", method).read_bytes()
    path = tmp_path / "cut.zip"
    for size in np.random.default_rng(0).choice(len(good) - 1, 40, replace=False):
        path.write_bytes(good[:size])
        with pytest.raises(UserError, match=r"cut.zip: not a zip, or a truncated one"), open_archive(path) as opened:
            reader(opened, "noise")


@READERS
def test_a_directory_that_lies_about_sizes_is_not_believed(tmp_path: Path, reader: Reader) -> None:
    """A member said to be larger, smaller, or to end beyond the zip."""
    path = make_zip(tmp_path / "x.zip", zipfile.ZIP_DEFLATED)
    for field, value in (("file_size", 20_001), ("file_size", 19_999), ("compress_size", 10**12), ("CRC", 1)):
        with open_archive(path) as opened:
            setattr(opened.members["zeros"], field, value)
            with pytest.raises(UserError, match=r"zeros is truncated or damaged in it .*; fetch the zip again"):
                reader(opened, "zeros")


def test_blocks_hold_little_at_a_time(tmp_path: Path) -> None:
    """A member that inflates to more than the directory says is given up at the block that passes it."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(f"{NAME}.SEN3/zeros", bytes(15 * archive.BLOCK_BYTES))
    with open_archive(path) as opened:
        assert max(len(block) for block in opened.blocks("zeros")) <= archive.BLOCK_BYTES
        opened.members["zeros"].file_size = 1000
        blocks = opened.blocks("zeros")
        with pytest.raises(UserError, match="the zip's directory says 1000"):
            next(blocks)
