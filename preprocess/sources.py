"""Edge: which products or zips a command was given: one, a folder of them, or a text file that lists them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from preprocess.errors import UserError
from preprocess.names import SUFFIX, parse_name

MANIFEST = "xfdumanifest.xml"


def find_products(path: Path) -> list[Path]:
    """The products at `path`: a .SEN3 folder (or its manifest), a zip, a folder of either, or a list; sorted by name.

    A product that is there both unpacked and as a zip is taken unpacked. Raises UserError if there is none.
    """
    if path.name == MANIFEST and path.is_file():
        return [path.parent]
    if is_product_folder(path):
        return [path]
    if path.is_dir():
        return _one_each(_inside(path, zips_only=False), path, f"zips or {SUFFIX} folders")
    return _from_file(path)


def find_zips(path: Path) -> list[Path]:
    """The zips at `path`: one zip, a folder of them, or a text file with one path a line; each once, in order.

    Raises UserError if there is none.
    """
    if path.is_dir():
        return _one_each(_inside(path, zips_only=True), path, "zips")
    return _from_file(path)


def is_product_folder(path: Path) -> bool:
    """Whether `path` is a folder that is, or claims to be, one product."""
    return path.is_dir() and (path.name.endswith(SUFFIX) or (path / MANIFEST).exists())


def read_list(path: Path) -> list[Path]:
    """The paths that a text file lists, one a line, without blank lines and # comments; each product once.

    A relative path is looked for in the current folder, then in the list's own. Raises UserError if the
    file isn't text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UserError(f"{path}: expected a zip, or a text file that lists one path a line; found other binary data")
    lines = (line.strip() for line in text.splitlines())
    listed = (Path(line) for line in lines if line and not line.startswith("#"))
    return _distinct(_resolve(entry, path.parent) for entry in listed)


def _from_file(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected a zip, a .SEN3 folder, a folder of them or a list")
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return [path]
    listed = read_list(path)
    if not listed:
        raise UserError(f"{path}: lists nothing; expected one path a line")
    return listed


def _resolve(entry: Path, folder: Path) -> Path:
    # os.path.exists takes any text, however long, for a path; one bad line must not end the run.
    if entry.is_absolute() or os.path.exists(entry) or not os.path.exists(folder / entry):
        return entry
    return folder / entry


def _inside(folder: Path, *, zips_only: bool) -> Iterable[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if (path.suffix.lower() == ".zip" and path.is_file()) or (not zips_only and is_product_folder(path)):
            yield path


def _one_each(paths: Iterable[Path], folder: Path, wanted: str) -> list[Path]:
    # Unpacked products come first, so that of two with one name the unpacked one stays.
    distinct = _distinct(sorted(paths, key=lambda path: (path.is_file(), path.name)))
    if not distinct:
        raise UserError(f"{folder}: nothing to do: no {wanted} in it; give a folder that holds some, or a list of them")
    return sorted(distinct, key=lambda path: path.name)


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """The first path of each product; a path whose name isn't a product's stands for itself."""
    first: dict[str, Path] = {}
    for path in paths:
        name = (path.name[: -len(".zip")] if path.name.lower().endswith(".zip") else path.name).removesuffix(SUFFIX)
        first.setdefault(name if parse_name(name).platform else str(path), path)
    return list(first.values())
