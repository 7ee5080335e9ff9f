"""Edge: the masks' values at the pixels of match-ups, with a count of the rows that have none and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxmask.maskfile import read_points
from jaxmask.matchups import Table, pixel_indices, product_names
from preprocess.command import Failure, log
from preprocess.errors import UserError
from preprocess.pool import one_line


@dataclass(frozen=True)
class MaskSamples:
    """At each of N match-ups: value (N,) float64, NaN where there is none; valid (N,) bool; threshold (N,) float64.

    excluded: reason -> number of rows without a decision; failures: masks that could not be read.
    """

    value: np.ndarray
    valid: np.ndarray
    threshold: np.ndarray
    excluded: dict[str, int]
    failures: tuple[Failure, ...]

    @property
    def clear(self) -> np.ndarray:
        """Rows (N,) bool that the mask calls clear: below the threshold, as the original has it."""
        return self.valid & (self.value < self.threshold)


def sample_masks(table: Table, masks: Sequence[Path], threshold: float | None = None) -> MaskSamples:
    """Read each mask once, at the match-ups of its product, by (y_cems, x_cems).

    Whether these count rows of the product or of the original's stretched image is not documented; they are used as
    they are, which is exact where the two agree. threshold: instead of the masks' own. Raises UserError if
    no match-up names a mask, with an example from either side.
    """
    names, of_row = product_names(table["cems_path"])
    paths = {path.stem: path for path in masks}
    named = [name for name in names if name in paths]
    if not named:
        raise UserError(
            f"no match-up names a mask: the table names {_example(names)}, {masks[0].parent} holds "
            f"{_example(np.array(sorted(paths)))}; run jaxmask.infer on the products that the table names"
        )
    rows, columns = pixel_indices(table)
    samples = _Samples(len(rows))
    for index, members in _groups(of_row, len(names)):
        if names[index] in paths:
            samples.read(paths[names[index]], members, rows, columns)
    return samples.finish(np.isin(names, named)[of_row], threshold)


class _Samples:
    """The arrays of MaskSamples while they are being filled."""

    def __init__(self, count: int) -> None:
        self.value = np.full(count, np.nan)
        self.threshold = np.full(count, np.nan)
        self.valid = np.zeros(count, bool)
        self.inside = np.ones(count, bool)
        self.unread = np.zeros(count, bool)
        self.failures: list[Failure] = []

    def read(self, path: Path, members: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
        try:
            value, valid, inside, threshold = read_points(path, rows[members], columns[members])
        except (UserError, OSError) as error:
            self.failures.append(Failure(path.name, one_line(error)))
            self.unread[members] = True
            return
        self.value[members], self.valid[members], self.inside[members] = value, valid, inside
        self.threshold[members] = threshold

    def finish(self, named: np.ndarray, threshold: float | None) -> MaskSamples:
        read = named & ~self.unread
        excluded = {
            "without_mask": int((~named).sum()),
            "mask_unreadable": int(self.unread.sum()),
            "outside_mask": int((read & ~self.inside).sum()),
            "invalid_pixel": int((read & self.inside & ~self.valid).sum()),
        }
        if excluded["outside_mask"]:
            log.warning(
                "warning: %d match-ups lie beyond their mask's rows and columns; excluded", excluded["outside_mask"]
            )
        chosen = self.threshold if threshold is None else np.full(len(named), threshold)
        return MaskSamples(self.value, self.valid, chosen, excluded, tuple(self.failures))


def _groups(of_row: np.ndarray, count: int) -> list[tuple[int, np.ndarray]]:
    """(group, the rows that belong to it) for each of `count` groups, sorting once."""
    order = np.argsort(of_row, kind="stable")
    parts = np.split(order, np.searchsorted(of_row[order], np.arange(1, count)))
    return list(enumerate(parts))


def _example(names: np.ndarray) -> str:
    return f"{names[0]} ({len(names)} in all)"


def cloud_at(cloud_of: Callable[[str], np.ndarray | None], table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Look up (H, W) bool images, one product's at a time: cloud (N,) bool and known (N,) bool at each match-up."""
    names, of_row = product_names(table["cems_path"])
    rows, columns = pixel_indices(table)
    cloud, known = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    for index, members in _groups(of_row, len(names)):
        image = cloud_of(str(names[index]))
        if image is None:
            continue
        y, x = rows[members], columns[members]
        inside = (y >= 0) & (y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
        cloud[members[inside]] = image[y[inside], x[inside]]
        known[members] = inside
    return cloud, known
