"""Edge: the files of one product, in a folder or a zip, each held against its sums as it is read.

Every byte is checked once, unless told otherwise. In a folder only the manifest's MD5 sums know what a file should be.
In a zip the CRC-32 sums, without which nothing is unpacked, find whatever storing or sending has done to it; MD5 would
take ten times as long, an eighth of all the time that a shard takes, to find the same again. Only what had become
another file before it was zipped does MD5 find alone: that is for those to ask for who did not get the zip from the
agency.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from preprocess.archive import MAX_FILE_BYTES, open_archive
from preprocess.errors import UserError
from preprocess.manifest import ManifestEntry, parse_manifest
from preprocess.sources import MANIFEST

# What every file read is held against: "bytes", the manifest's size, and one sum of all bytes (the manifest's MD5 in a
# folder, the CRC-32 of a zip in one); "md5", the manifest's size and MD5 sum in both; or "none".
Verify = Literal["bytes", "md5", "none"]


class Files(Protocol):
    """The files of one product by name: an open zip, or a folder."""

    def size(self, file: str) -> int | None:
        """Bytes of a file; None if there is none of that name."""

    def read(self, file: str) -> bytes | bytearray:
        """All bytes of a file that is there; raises UserError if they can't be read."""


@dataclass(frozen=True)
class Folder:
    """The files in a .SEN3 folder."""

    path: Path

    def size(self, file: str) -> int | None:
        """Bytes of a file; None if there is no plain file of that name."""
        path = self.path / file
        return path.stat().st_size if path.is_file() else None

    def read(self, file: str) -> bytes | bytearray:
        """All bytes of a file; raises UserError if they can't be read."""
        try:
            return (self.path / file).read_bytes()
        except OSError as error:
            raise UserError(
                f"{self.path}: {file} can't be read ({error.strerror}); mend that, or fetch the product again"
            ) from error


@dataclass(frozen=True)
class Source:
    """A product on disk: its path, the name of its folder, its files, and what its manifest says of them."""

    path: Path
    name: str
    files: Files
    manifest_md5: str  # "" without a manifest
    entries: dict[str, ManifestEntry] | None  # None: files are not compared with the manifest
    md5: bool  # files are compared by their MD5 sums too, not by size alone

    @property
    def verified(self) -> str:
        """By what sums every file read is known to be what the manifest lists: "md5", "crc32" of the zip, or ""."""
        if self.entries is None:
            return ""
        return "md5" if self.md5 else "crc32"

    def has(self, file: str) -> bool:
        """Whether the product holds `file`."""
        return self.files.size(file) is not None

    def read(self, file: str) -> bytes | bytearray:
        """The bytes of `file`; raises UserError if it is missing, or isn't what the manifest says."""
        size = self.files.size(file)
        if size is None:
            raise UserError(f"{self.label(file)} is missing; fetch the product again")
        if size > MAX_FILE_BYTES:
            raise damaged(self.label(file), f"it has {size} bytes; at most {MAX_FILE_BYTES} are believable")
        if self.entries is None:
            return self.files.read(file)
        entry = self.entries.get(file)
        if entry is None:
            raise UserError(f"{self.path}: the manifest does not list {file}; fetch the product again")
        if size != entry.size:
            raise damaged(self.label(file), f"it has {size} bytes; the manifest says {entry.size}")
        data = self.files.read(file)
        if self.md5 and (digest := _md5(data)) != entry.md5:
            raise damaged(self.label(file), f"its MD5 sum is {digest}; the manifest says {entry.md5}")
        return data

    def label(self, file: str) -> str:
        """How errors call a file."""
        return f"{self.path}: {file}"


def damaged(label: str, why: object) -> UserError:
    """What to raise for a file that can't be trusted."""
    return UserError(f"{label} can't be read: truncated or damaged ({why}); fetch the product again")


@contextmanager
def open_source(path: Path, *, verify: Verify = "none") -> Iterator[Source]:
    """Open a .SEN3 folder, the manifest in one, or a zip holding one (read inside the zip, in memory).

    `verify` tells what every file that is read must agree with, if there is a manifest; a zip's own sums are always
    checked. Nothing but the manifest is read here. Raises UserError if `path` is none of these, or its manifest can't
    be understood.
    """
    path = path.parent if path.name == MANIFEST else path
    if path.is_dir():
        if not any(path.glob("*.nc")):
            raise UserError(f"{path}: not a product: no netCDF files in it; expected a .SEN3 folder")
        yield _source(path, path.resolve().name, Folder(path), verify, md5=True)
    elif path.is_file():
        with open_archive(path) as archive:
            yield _source(path, archive.name, archive, verify, md5=verify == "md5")
    else:
        raise UserError(f"{path}: no such product; expected a .SEN3 folder or a zip holding one")


def _source(path: Path, name: str, files: Files, verify: Verify, *, md5: bool) -> Source:
    plain = Source(path, name, files, "", None, md5)
    if not plain.has(MANIFEST):
        return plain
    manifest = plain.read(MANIFEST)
    entries = parse_manifest(manifest, f"{path}: {MANIFEST}") if verify != "none" else None
    return Source(path, name, files, _md5(manifest), entries, md5)


def _md5(data: bytes | bytearray) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
