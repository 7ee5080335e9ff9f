"""Edge: how far a command is: a bar where standard error is a terminal, elsewhere a line now and then."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from preprocess.terminal import is_terminal, log

Advance = Callable[[int, str], None]

# Of a log, so that a night's run stays readable: short runs leave no line at all, long ones a line at each 5 %, but no
# more than one a minute, and one in ten minutes at least.
LEAST_SECONDS, MOST_SECONDS, LEAST_SHARE = 60.0, 600.0, 0.05
ITEMS_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}, {elapsed} gone, {remaining} left"
WORDS_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {unit}"


@contextmanager
def progress(
    total: int, label: str, unit: str, *, quiet: bool = False, done: int = 0, passing: bool = False
) -> Iterator[Advance]:
    """Yield what is to be told of progress: how many more of `total` are done, and words that replace the usual ones.

    unit: of what `total` counts, in the plural; done: of them, before. passing: the bar has words of its own, and is
    taken away at the end.
    """
    if quiet or not is_terminal(sys.stderr):
        yield _nothing if quiet else _Lines(total, label, unit, done).advance
        return
    shape = WORDS_FORMAT if passing else ITEMS_FORMAT
    with tqdm(
        total=total, initial=done, desc=label, unit="" if passing else unit, leave=not passing, dynamic_ncols=True,
        bar_format=shape, file=sys.stderr,
    ) as bar:  # fmt: skip

        def advance(count: int, words: str) -> None:
            bar.unit = words if passing else unit
            bar.update(count)

        yield advance


def _nothing(count: int, words: str) -> None:
    """Nobody is told."""


class _Lines:
    def __init__(self, total: int, label: str, unit: str, done: int) -> None:
        self._total, self._label, self._unit = total, label, unit
        self._done = self._begun = self._told = done
        self._began_s = self._told_s = time.monotonic()

    def advance(self, count: int, words: str) -> None:
        """Count, and write a line if it is time to."""
        self._done += count
        now = time.monotonic()
        due = now - self._told_s >= LEAST_SECONDS and self._done < self._total
        further = self._done - self._told >= LEAST_SHARE * self._total
        if due and (further or now - self._told_s >= MOST_SECONDS):
            self._told, self._told_s = self._done, now
            log.info("%s", self._line(now - self._began_s, words))

    def _line(self, gone_s: float, words: str) -> str:
        left_s = gone_s * (self._total - self._done) / (self._done - self._begun)
        share = 100 * self._done / self._total
        told = words or f"{_clock(gone_s)} gone, {_clock(left_s)} left"
        return f"{self._label}: {self._done} of {self._total} {self._unit} ({share:.0f} %), {told}"


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
