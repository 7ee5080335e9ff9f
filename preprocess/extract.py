"""Edge: the command that unpacks zips of products: each appears whole and checked, or not at all."""

from __future__ import annotations

import functools
import hashlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from preprocess.archive import DAMAGE, Archive, open_archive
from preprocess.command import Parallel, finish, run, sort_out
from preprocess.errors import DiskFullError, UserError
from preprocess.files import AlreadyThereError, clear_leftovers, whole_folder, writable_folder
from preprocess.manifest import ManifestEntry, parse_manifest
from preprocess.pool import map_items
from preprocess.product import REQUIRED_FILES
from preprocess.sources import MANIFEST, find_zips

Verify = Literal["md5", "size", "none"]


@dataclass(frozen=True)
class ExtractConfig(Parallel):
    """Unpack zips of SLSTR products into .SEN3 folders, each checked against its manifest and whole, or not there."""

    zips: Positional[Annotated[Path, arg(metavar="ZIPS")]]
    """Text file with one path of a zip a line (# comments), a folder of zips, or one zip."""
    output: Positional[Annotated[Path, arg(metavar="OUTPUT")]]
    """Folder for the .SEN3 folders; those already there are kept."""
    verify: Verify = "md5"
    """What every file is compared in with the manifest: its size and MD5 sum, its size, or nothing."""


@dataclass(frozen=True)
class Extracted:
    """One product in the output folder: whether it was there before, and the manifest's files that the zip left out."""

    name: str
    reused: bool
    absent: tuple[str, ...]


def main(config: ExtractConfig) -> int:
    """Unpack every zip that can be; return the exit code."""
    zips = find_zips(config.zips)
    output = writable_folder(config.output)
    if config.scheduler is not None:  # its workers may run in other folders
        zips, output = [path.absolute() for path in zips], output.absolute()
    work = functools.partial(extract_zip, output=output, verify=config.verify)
    try:
        outcomes = map_items(
            work, zips, workers=config.workers, scheduler=config.scheduler,
            label="extract", unit="zips", quiet=config.quiet,
        )  # fmt: skip
        done, failures = sort_out(outcomes)
    finally:
        clear_leftovers(output)  # of workers that died
    return finish(config, _summary(done, len(zips), output), failures, output)


def extract_zip(path: Path, output: Path, verify: Verify = "md5") -> Extracted:
    """Unpack the product in one zip to `output`/NAME.SEN3, unless it is there already.

    Raises UserError if the zip is missing, damaged or hostile, lacks a required file, or holds a file that the
    manifest does not know as it is; then nothing of it remains.
    """
    with open_archive(path) as archive:
        entries = _check_files(archive)
        absent = tuple(sorted(set(entries) - set(archive.members)))
        folder = output / archive.name
        if folder.exists():
            _check_same(archive, folder)
            return Extracted(archive.name, reused=True, absent=absent)
        output.mkdir(parents=True, exist_ok=True)
        _check_space(archive, output)
        try:
            with whole_folder(folder) as partial:
                for file in archive.members:
                    entry = entries.get(file) if verify != "none" else None
                    _unpack(archive, partial / file, entry, md5=verify == "md5")
        except AlreadyThereError:  # another zip of the same product was unpacked meanwhile
            _check_same(archive, folder)
            return Extracted(archive.name, reused=True, absent=absent)
    return Extracted(archive.name, reused=False, absent=absent)


def _check_files(archive: Archive) -> dict[str, ManifestEntry]:
    """The manifest's entries, once every required file is there and every file there is listed."""
    missing = [file for file in (MANIFEST, *REQUIRED_FILES) if file not in archive.members]
    if missing:
        raise UserError(f"{archive.path}: {archive.name} in it lacks {', '.join(missing)}; fetch the whole product")
    entries = parse_manifest(archive.read(MANIFEST), f"{archive.path}: {MANIFEST}")
    unlisted = sorted(set(archive.members) - set(entries) - {MANIFEST})
    if unlisted:
        raise UserError(f"{archive.path}: the manifest does not list {', '.join(unlisted)}; fetch the zip again")
    return entries


def _check_same(archive: Archive, folder: Path) -> None:
    """Raise UserError unless `folder` holds this version of the product, every file at its full size."""
    for file, info in archive.members.items():
        path = folder / file
        if not path.is_file() or path.stat().st_size != info.file_size:
            raise UserError(
                f"{path} is missing, or is not the {info.file_size} bytes that {archive.path} holds: {folder} is "
                "damaged, or another version of the product; remove it to have it made again"
            )
    if (folder / MANIFEST).read_bytes() != archive.read(MANIFEST):
        raise UserError(
            f"{folder} holds another version of the product than {archive.path}; "
            "remove the folder to have it made again"
        )


def _check_space(archive: Archive, output: Path) -> None:
    needed, free = sum(info.file_size for info in archive.members.values()), shutil.disk_usage(output).free
    if needed > free:
        raise DiskFullError(
            f"{output}: {archive.name} needs {needed} bytes and {free} are free; make room and run again"
        )


def _unpack(archive: Archive, target: Path, entry: ManifestEntry | None, *, md5: bool) -> None:
    """Copy one file out of the zip, hashing it on the way; `entry` is what the manifest says of it, if that counts."""
    label = f"{archive.path}: {target.name}"
    size = archive.size(target.name)
    if entry is not None and size != entry.size:
        raise UserError(f"{label} has {size} bytes; the manifest says {entry.size}: fetch the zip again")
    digest = hashlib.md5(usedforsecurity=False)
    with target.open("wb") as unpacked:
        for block in _blocks(archive, target.name, label):
            unpacked.write(block)
            if md5:
                digest.update(block)
    if md5 and entry is not None and digest.hexdigest() != entry.md5:
        raise UserError(
            f"{label} has the MD5 sum {digest.hexdigest()}; the manifest says {entry.md5}: fetch the zip again"
        )


def _blocks(archive: Archive, file: str, label: str) -> Iterator[bytes]:
    try:
        yield from archive.blocks(file)
    except (*DAMAGE, OSError) as error:
        raise UserError(f"{label} is truncated or damaged in it ({error}); fetch the zip again") from error


def _summary(done: list[Extracted], zips: int, output: Path) -> dict[str, object]:
    reused = sum(item.reused for item in done)
    absent = sum(len(item.absent) for item in done)
    products = len({item.name for item in done})
    return {
        "message": f"{products} products of {zips} zips are in {output}: {len(done) - reused} extracted, "
        f"{reused} reused; {absent} optional files that their manifests list are absent",
        "zips": zips,
        "products": products,
        "extracted": len(done) - reused,
        "reused": reused,
        "absent_optional_files": {item.name: list(item.absent) for item in done if item.absent},
        "output": str(output),
    }


if __name__ == "__main__":
    sys.exit(run("preprocess.extract", ExtractConfig, main))
