"""What became of one item of many: its value, or the reason why there is none."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from preprocess.errors import DiskFullError, UserError

T = TypeVar("T")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Outcome(Generic[Item, T]):
    """What became of one item: its value, or the one-line reason why there is none."""

    item: Item
    value: T | None = None
    error: str | None = None
    disk_full: bool = False  # what `error` says: the items after this one would fail likewise


def attempt(function: Callable[[Item], T], item: Item) -> Outcome[Item, T]:
    """The outcome of `function` on `item`, whatever it raises."""
    try:
        return Outcome(item, value=function(item))
    except Exception as error:
        return Outcome(item, error=one_line(error), disk_full=_is_disk_full(error))


def _is_disk_full(error: Exception) -> bool:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, DiskFullError)


def one_line(error: BaseException) -> str:
    """The reason a user reads: a UserError's own words, which file the system refused, else type and text; one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; mend this and run again"
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
