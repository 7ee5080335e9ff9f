"""Edge: a zip that holds one product: what is in it, or why it is not to be trusted."""

from __future__ import annotations

import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from isal import isal_zlib

from preprocess.chunks import inflate
from preprocess.errors import UserError
from preprocess.names import SUFFIX

GIB = 2**30
MAX_FILE_BYTES = 1 * GIB  # the largest file of a full product has 40 MB
MAX_PRODUCT_BYTES = 4 * GIB  # a full product has 0.5 GB
MAX_FILES = 1000  # a full product has 111
# netCDF files are compressed inside, so a zip hardly shrinks them; only small XML files shrink well.
MAX_RATIO = 200
MAX_RATIO_FROM_BYTES = 16 * 2**20
RAW_DEFLATE = -15  # wbits: neither header nor sum
UNDEFLATABLE: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # the stub says it is an instance
# What reading a damaged zip or member raises, beside OSError, which bzip2 raises too.
DAMAGE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, UNDEFLATABLE, lzma.LZMAError, EOFError, ValueError,
    NotImplementedError, OverflowError, MemoryError,
)  # fmt: skip
OURS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # other methods are left to zipfile
LOCAL_HEADER_BYTES = 30  # APPNOTE.TXT 4.3.7; at its end the lengths of a name and of extra fields, which follow it
BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class Archive:
    """An open zip, the name of the .SEN3 folder in it, and its files by their names in that folder."""

    path: Path
    name: str  # with .SEN3
    members: dict[str, zipfile.ZipInfo]
    zip: zipfile.ZipFile
    file: BinaryIO

    def size(self, file: str) -> int | None:
        """The size of one file once unpacked, bytes, as the zip's directory has it; None if there is none."""
        return self.members[file].file_size if file in self.members else None

    def read(self, file: str) -> bytes | bytearray:
        """The bytes of one file, their CRC checked; raises UserError if they are damaged."""
        info = self.members[file]
        with self._damage(file):
            if info.compress_type not in OURS:
                return self.zip.read(info)
            data: bytes | bytearray = self._packed(info)
            if info.compress_type == zipfile.ZIP_DEFLATED:
                data = inflate(data, info.file_size, raw=True)
            _check_sum(info, len(data), isal_zlib.crc32(data))
            return data

    def blocks(self, file: str) -> Iterator[bytes]:
        """The bytes of one file, a block at a time; raises UserError, at the end at the latest, if they are damaged."""
        info = self.members[file]
        with self._damage(file):
            if info.compress_type not in OURS:
                with self.zip.open(info) as member:
                    yield from iter(lambda: member.read(BLOCK_BYTES), b"")
                return
            size, crc = 0, 0
            packed = self._packed_blocks(info)
            for block in _inflated(packed) if info.compress_type == zipfile.ZIP_DEFLATED else packed:
                size, crc = size + len(block), isal_zlib.crc32(block, crc)
                if size > info.file_size:
                    break
                yield block
            _check_sum(info, size, crc)

    @contextmanager
    def _damage(self, file: str) -> Iterator[None]:
        try:
            yield
        except (*DAMAGE, OSError) as error:
            raise UserError(
                f"{self.path}: {file} is truncated or damaged in it ({error}); fetch the zip again"
            ) from error

    def _packed(self, info: zipfile.ZipInfo) -> bytes:
        return b"".join(self._packed_blocks(info, max(1, info.compress_size)))

    def _packed_blocks(self, info: zipfile.ZipInfo, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
        """A member as it lies in the zip."""
        self.zip.open(info).close()  # compares the header before the member with the directory
        header = os.pread(self.file.fileno(), LOCAL_HEADER_BYTES, info.header_offset)
        lengths = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        start = info.header_offset + LOCAL_HEADER_BYTES + sum(lengths)
        end = start + info.compress_size
        if end > (found := os.fstat(self.file.fileno()).st_size):
            raise EOFError(f"it ends at byte {end} of a zip of {found}")
        while start < end:
            block = os.pread(self.file.fileno(), min(block_bytes, end - start), start)
            if not block:
                raise EOFError("the zip became shorter")
            yield block
            start += len(block)


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    stream = isal_zlib.decompressobj(RAW_DEFLATE)
    for block in packed:
        rest, full = block, True
        while (rest or full) and not stream.eof:  # what fills a block may leave more behind, the input used up or not
            unpacked = stream.decompress(rest, BLOCK_BYTES)
            rest, full = stream.unconsumed_tail, len(unpacked) == BLOCK_BYTES
            yield unpacked
        if stream.eof:
            break
    if not stream.eof or stream.unused_data or next(packed, b""):
        raise EOFError("its deflated stream and its place in the zip differ in length")


def _check_sum(info: zipfile.ZipInfo, size: int, crc: int) -> None:
    if (size, crc) != (info.file_size, info.CRC):
        raise zipfile.BadZipFile(
            f"{size} bytes of CRC {crc:08x}; the zip's directory says {info.file_size} of {info.CRC:08x}"
        )


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a zip holding one .SEN3 folder, and check every name and size in it before anything is unpacked.

    Raises UserError for what is no zip, is truncated, or is hostile: absolute or climbing paths, links,
    encryption, duplicates, several products, absurd sizes.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise UserError(f"{path}: no such zip; mend the path, or fetch the zip") from None
    except IsADirectoryError:
        raise UserError(f"{path}: expected a zip; found a folder: give zips alone") from None
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}); mend that, or fetch the zip again") from error
    with file, _directory(path, file) as opened:
        members = [info for info in opened.infolist() if not info.is_dir()]
        for info in members:
            _check_name(path, info)
            _check_kind(path, info)
        folder = _product_folder(path, members)
        _check_sizes(path, members)
        yield Archive(path, folder.name, _by_name(path, folder, members), opened, file)


def _directory(path: Path, file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (*DAMAGE, OSError) as error:
        raise UserError(f"{path}: not a zip, or a truncated one ({error}); fetch it again") from error


def _check_name(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    parts = name.split("/")
    if "\\" in name or ":" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise UserError(f"{path}: refused: {name!r} in it is not a plain relative path; nothing of it was unpacked")


def _check_kind(path: Path, info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a link" if kind == stat.S_IFLNK else "no plain file"
        raise UserError(f"{path}: refused: {info.filename!r} in it is {what}; nothing of it was unpacked")
    if info.flag_bits & 1:
        raise UserError(f"{path}: refused: {info.filename!r} in it is encrypted; give a zip without a password")


def _product_folder(path: Path, members: list[zipfile.ZipInfo]) -> PurePosixPath:
    """The one .SEN3 folder; loose files above it (EUMETSAT's EOPMetadata.xml) may be there, nothing else."""
    folders = {PurePosixPath(info.filename).parent for info in members}
    products = [folder for folder in folders if folder.name.endswith(SUFFIX)]
    if len(products) != 1 or not folders <= {folder := products[0], *folder.parents}:
        found = ", ".join(sorted({PurePosixPath(info.filename).parts[0] for info in members})[:3]) or "nothing"
        raise UserError(
            f"{path}: expected exactly one folder NAME{SUFFIX} with plain files in it; found {found}: "
            "pack one product in a zip"
        )
    return folder


def _check_sizes(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES:
        raise UserError(f"{path}: refused: {len(members)} files in it; a product has at most {MAX_FILES}")
    for info in members:
        ratio = info.file_size / max(1, info.compress_size)
        absurd = info.file_size > MAX_RATIO_FROM_BYTES and ratio > MAX_RATIO
        if info.file_size > MAX_FILE_BYTES or absurd:
            raise UserError(
                f"{path}: refused: {info.filename!r} in it would unpack to {info.file_size} bytes, {ratio:.0f} times "
                f"its packed size; at most {MAX_FILE_BYTES} bytes and {MAX_RATIO} times are believable"
            )
    total = sum(info.file_size for info in members)
    if total > MAX_PRODUCT_BYTES:
        raise UserError(
            f"{path}: refused: it would unpack to {total} bytes; at most {MAX_PRODUCT_BYTES} are believable"
        )


def _by_name(path: Path, folder: PurePosixPath, members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    inside = [info for info in members if PurePosixPath(info.filename).parent == folder]
    named = {PurePosixPath(info.filename).name: info for info in inside}
    if len({name.lower() for name in named}) != len(inside):
        raise UserError(f"{path}: refused: {folder.name} in it holds two files of the same name; fetch it again")
    return named
