"""Edge: files that appear under their name only when complete, and folders that can be written."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from preprocess.errors import UserError

PARTIAL_MARK = ".partial-"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`, on failure removed.

    A reader therefore sees the old file, or none, or the whole new one, whenever the writer is killed.
    """
    partial = _partial_name(path)
    try:
        yield partial
        _sync(partial)
        os.replace(partial, path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it is renamed to `path`, on failure removed.

    Raises UserError if `path` exists already: a folder can't be replaced in one step.
    """
    if path.exists():
        raise UserError(f"{path} exists already: remove it to have it made again")
    partial = _partial_name(path)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in partial.rglob("*"):
            _sync(file)
        os.replace(partial, path)
        _sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def writable_folder(path: Path) -> Path:
    """Make `path`, clear what killed processes of this machine left in it; UserError if it can't be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = _partial_name(path / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{path}: the output folder can't be written ({error.strerror}); choose another or mend its permissions"
        ) from error
    clear_leftovers(path)
    return path


def clear_leftovers(folder: Path) -> None:
    """Remove partial files and folders directly in `folder` whose writer on this machine is no longer alive."""
    for partial in folder.glob(f".*{PARTIAL_MARK}*"):
        host, _, pid = partial.name.rpartition(PARTIAL_MARK)[2].rpartition("-")
        if host != socket.gethostname() or _is_alive(pid):
            continue
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def _partial_name(path: Path) -> Path:
    return path.parent / f".{path.name}{PARTIAL_MARK}{socket.gethostname()}-{os.getpid()}"


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
