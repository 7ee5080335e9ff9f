"""The manifest of a product: which files it should hold, and their sizes and MD5 sums."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from preprocess.errors import UserError

# That of a full product has 0.2 MB; taking one apart needs some ten times its size of memory.
MAX_MANIFEST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class ManifestEntry:
    """What the manifest says of one file."""

    size: int  # bytes
    md5: str  # 32 hexadecimal digits, lower case


def parse_manifest(data: bytes | bytearray, label: str) -> dict[str, ManifestEntry]:
    """The entries of xfdumanifest.xml by file name; raises UserError, naming `label`, if it can't be understood."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise UserError(
            f"{label}: refused: {len(data)} bytes; at most {MAX_MANIFEST_BYTES} are believable: fetch the product again"
        )
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UserError(f"{label}: refused: a manifest declares no document type or entities")
    try:
        root = ElementTree.fromstring(data)
        listed = [_entry(stream) for stream in root.iter("byteStream")]
        entries = dict(listed)
        if any(entries[name] != entry for name, entry in listed):
            raise ValueError("two different entries of one file")
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding of no such name
        raise UserError(f"{label}: not a readable manifest ({error}); fetch the product again") from error
    if not entries:
        raise UserError(f"{label}: the manifest lists no files; fetch the product again")
    return entries


def _entry(stream: ElementTree.Element) -> tuple[str, ManifestEntry]:
    location, checksum = stream.find("fileLocation"), stream.find("checksum")
    if location is None or checksum is None or checksum.get("checksumName") != "MD5":
        raise ValueError("an entry without a fileLocation or an MD5 checksum")
    name = location.get("href", "").removeprefix("./")
    return name, ManifestEntry(int(stream.get("size", "")), (checksum.text or "").strip().lower())
