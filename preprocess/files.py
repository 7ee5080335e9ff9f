"""Edge: files that appear under their name only when complete, and folders that can be written."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from preprocess.errors import UserError

PARTIAL_MARK = ".partial-"
PARTIAL_NAME = "partial"  # not the name to be: a search of all folders must not find it
LOCK_NAME = "lock"
LOCK_FLAGS, LOCK_MODE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666
FOREIGN_IDLE_S = 86_400  # another host's writer whose files have not changed for a day is taken for dead
LIVING = (errno.EWOULDBLOCK, errno.EACCES)  # what flock says of a lock that someone holds


class AlreadyThereError(UserError):
    """A folder that was to be made is there: of an earlier run, or of another writer meanwhile."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it is synced and renamed to `path`, on failure removed.

    A reader therefore sees the old file, or none, or the whole new one, whenever the writer is killed. The temporary
    path lies in a hidden folder beside `path` that no other writer shares, even of the same process. An OSError of
    the disk names `path`.
    """
    with _workplace(path) as place:
        partial = place / PARTIAL_NAME
        yield partial
        _sync(partial)
        os.replace(partial, path)
        _sync(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; on success it is synced and renamed to `path`, on failure removed.

    Raises AlreadyThereError if `path` exists, then or at the end: a folder can't be replaced in one step.
    """
    already_there = AlreadyThereError(f"{path} exists already: remove it to have it made again")
    if path.exists():
        raise already_there
    path.parent.mkdir(parents=True, exist_ok=True)
    with _workplace(path) as place:
        partial = place / PARTIAL_NAME
        partial.mkdir()
        yield partial
        for file in (*partial.rglob("*"), partial):
            _sync(file)
        try:
            os.replace(partial, path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise already_there from error
            raise
        _sync(path.parent)


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside `path`, for files that are to be moved beside it together; then removed.

    An error about a file in it names the file where it was to be.
    """
    with _workplace(path) as place:
        stage = place / PARTIAL_NAME
        stage.mkdir()
        try:
            yield stage
        except UserError as error:
            raise type(error)(str(error).replace(str(stage), str(path.parent))) from error
        except OSError as error:
            if error.errno is None or not str(error.filename).startswith(f"{stage}{os.sep}"):
                raise
            raise OSError(
                error.errno, os.strerror(error.errno), str(path.parent / Path(error.filename).name)
            ) from error


def writable_folder(path: Path) -> Path:
    """Make `path`, clear what killed processes left in it; UserError if it can't be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with _workplace(path / "probe"):
            pass
    except OSError as error:
        raise UserError(
            f"{path}: the output folder can't be written ({error.strerror}); choose another or mend its permissions"
        ) from error
    clear_leftovers(path)
    return path


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary folders directly in `folder` whose writer has died.

    A living writer holds a lock that the kernel frees when it dies, however it dies, so those of this host go at
    once, whatever container or process they were of. Of other hosts, and where the file system has no locks,
    only those go that have also not changed for a day: not every network file system shows one host's locks
    to another.
    """
    for place in folder.glob(f".*{PARTIAL_MARK}*"):
        # What can't be looked at, or cleared, now is the next run's to clear; it must not end this one.
        with suppress(OSError):
            if _host(place) == socket.gethostname() or _is_idle(place):
                _remove_if_free(place)


def sync_folder(folder: Path) -> None:
    """Return when what was renamed in `folder` is on disk."""
    _sync(folder)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path`, locked while its writer lives and removed at its end."""
    place, lock = _claim(path)
    try:
        yield place
    except OSError as error:
        raise _naming(error, path, place) from error
    finally:
        # The lock goes first: network file systems keep the name of a removed file that is still open.
        os.close(lock)
        shutil.rmtree(place, ignore_errors=True)


def _claim(path: Path) -> tuple[Path, int]:
    while True:
        place = path.parent / f".{path.name}{PARTIAL_MARK}{socket.gethostname()}-{secrets.token_hex(4)}"
        place.mkdir()
        try:
            lock = os.open(place / LOCK_NAME, LOCK_FLAGS, LOCK_MODE)
        except FileNotFoundError:
            continue  # one who clears leftovers came between
        except OSError:
            with suppress(OSError):
                place.rmdir()
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            return place, lock  # a file system without locks: its leftovers go by their age
        if _is_same(lock, place / LOCK_NAME):
            return place, lock
        os.close(lock)  # one who clears leftovers came between


def _remove_if_free(place: Path) -> None:
    lock = _open_lock(place)
    if lock is None:
        return
    try:
        if _is_free(lock, place):
            shutil.rmtree(place, ignore_errors=True)
    finally:
        os.close(lock)
    with suppress(OSError):
        place.rmdir()  # what a network file system left while the lock was open; fails if it isn't empty


def _is_free(lock: int, place: Path) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in LIVING and _is_idle(place)
    # Not a lock that has been removed meanwhile: its folder would be that of a new writer.
    return _is_same(lock, place / LOCK_NAME)


def _open_lock(place: Path) -> int | None:
    """A descriptor of the lock in `place`; None if `place` has just gone, or is someone else's."""
    try:
        return os.open(place / LOCK_NAME, LOCK_FLAGS, LOCK_MODE)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _host(place: Path) -> str:
    return place.name.rpartition(PARTIAL_MARK)[2].rpartition("-")[0]


def _is_idle(place: Path) -> bool:
    try:
        changed = max(path.stat().st_mtime for path in (place, *place.rglob("*")) if path.name != LOCK_NAME)
    except FileNotFoundError:
        return False
    return time.time() - changed > FOREIGN_IDLE_S


def _naming(error: OSError, path: Path, place: Path) -> OSError:
    """The same error about `path`, where it says nothing, or the temporary name, of the file."""
    if error.errno is None or not (error.filename is None or str(error.filename).startswith(str(place))):
        return error
    return OSError(error.errno, os.strerror(error.errno), str(path))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems can't sync folders, and say so.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
