"""Things of various shapes put together into batches of one shape."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], shape: Callable[[T], Hashable], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items of one `shape`, each as soon as it is full, and what is left over in the end.

    No more than 2 * `size` items ever wait: then the fullest list goes as it is.
    """
    waiting: dict[Hashable, list[T]] = {}
    for item in items:
        group = waiting.setdefault(shape(item), [])
        group.append(item)
        if len(group) == size:
            yield waiting.pop(shape(item))
        elif sum(map(len, waiting.values())) > 2 * size:
            yield waiting.pop(max(waiting, key=lambda each: len(waiting[each])))
    yield from waiting.values()
