"""Edge: the masks' values at the pixels of match-ups, with a count of the rows that have none and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxmask.fair_masks import RowSamples
from jaxmask.granules import assign_masks
from jaxmask.image_points import inside_image, row_groups
from jaxmask.mask_pixels import MaskPixels, map_mask
from jaxmask.matchups import Table, pixel_indices, product_names
from jaxmask.nearest_pixel import Located, nearest_pixels
from jaxmask.pixel_decisions import CODES, DECIDED, REASONS, UNKNOWN, day_by_flags, day_by_sun, night_rows, undecided
from jaxmask.place_offset import offset_summary
from jaxmask.sampling_notes import MADE, Made, warn_of_pixels, warn_of_stands
from jaxmask.split import granule_of
from jaxmask.sun import local_solar_hours, product_time_s
from jaxmask.threads import map_threads
from preprocess.command import Failure
from preprocess.errors import UserError
from preprocess.outcome import Outcome

Locate = Literal["index", "position"]
THREADS = 4  # hide the waiting for disks


@dataclass(frozen=True)
class MaskSamples:
    """At each of N match-ups what its mask says.

    value: (N,) float64, NaN where there is none; valid: (N,) bool, whether it is a decision: every mask is judged on
    these rows alone; threshold: (N,) float64; indexed: (N,) float64, the value at (y_cems, x_cems) of the mask that the
    row names, valid or not, as the original has it, else NaN; rows, columns: (N,) int64, the pixel, -1 where there is
    none; night: (N,) bool; scene: (N,) int64, the number of its granule; local_hours: (N,) float64, local mean solar
    time, NaN where unknown. excluded: reason -> number of rows without a decision; offset: of the positions from the
    table's rows and columns, pixels; located: how many masks were read by what; made: how many are of which model,
    quantity, threshold and part; time_of_day: how many rows were told to be of night or day by what; failures: masks
    that could not be read.
    """

    value: np.ndarray
    valid: np.ndarray
    threshold: np.ndarray
    indexed: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    night: np.ndarray
    scene: np.ndarray
    local_hours: np.ndarray
    excluded: dict[str, int]
    offset: dict[str, Any]
    located: dict[str, int]
    made: list[dict[str, Any]]
    time_of_day: dict[str, int]
    failures: tuple[Failure, ...]

    @property
    def clear(self) -> np.ndarray:
        """Rows (N,) bool that the mask calls clear: below the threshold, as the original has it."""
        return self.valid & (self.value < self.threshold)

    @property
    def row_samples(self) -> RowSamples:
        """What statistics need of it."""
        return RowSamples(self.scene, self.valid, self.night, self.value, self.threshold, self.local_hours)


def sample_masks(
    table: Table, masks: Sequence[Path], threshold: float | None = None, locate: Locate | None = None
) -> MaskSamples:
    """Read each mask once, at the match-ups of its product.

    locate: "index", the pixel is (y_cems, x_cems), rows and columns of which it is not documented whether they count in
    the product or in the original's stretched image; "position", it is the one nearest to (latitude_an, longitude_an),
    where the satellite's temperature was taken: not to (slat, slon), where the buoy was, which filters let lie half
    a pixel off. None: by position in masks of the product's own grid that hold positions, else by index.
    threshold: instead of the masks' own. Raises UserError if no match-up names a mask, with an example of either.
    """
    names, of_row = product_names(table["cems_path"])
    paths = {path.stem: path for path in masks}
    assigned, stands = assign_masks([str(name) for name in names], paths)
    if not any(assigned):
        raise UserError(
            f"no match-up names a mask: the table names {_example(names)}, {masks[0].parent} holds "
            f"{_example(np.array(sorted(paths)))}; run jaxmask.infer on the products that the table names"
        )
    warn_of_stands(stands)
    samples = _Samples(table, locate)
    used = sorted({mask for mask in assigned if mask is not None})
    number = {mask: index for index, mask in enumerate(used)}
    of_name = np.array([len(used) if mask is None else number[mask] for mask in assigned])
    own = np.array([mask == name for mask, name in zip(assigned, names, strict=True)])[of_row]
    groups = row_groups(of_name[of_row], len(used))
    jobs = [_Job(paths[used[index]], members, own[members]) for index, members in groups]
    for outcome in map_threads(samples.read, jobs, THREADS):
        samples.note(outcome)
    return samples.finish([str(name) for name in names], of_row, threshold)


class _Job(NamedTuple):
    """A mask, its rows (n,) int64, and which of them name it, (n,) bool: not another of its granule."""

    path: Path
    members: np.ndarray
    own: np.ndarray


class _Samples:
    """The arrays of MaskSamples while they are being filled."""

    def __init__(self, table: Table, locate: Locate | None) -> None:
        self.index = pixel_indices(table)
        self.place = tuple(np.asarray(table[name], np.float64) for name in ("latitude_an", "longitude_an"))
        self.algorithm = table["sst_algorithm_type"]
        self.locate = locate
        count = len(self.index[0])
        self.value, self.indexed, self.threshold = np.full((3, count), np.nan)
        self.rows, self.columns = np.full((2, count), -1)
        self.away = np.full((2, count), np.nan)  # exact rows and columns less the table's
        self.reason = np.full(count, CODES["without_mask"], np.int8)
        self.day = np.full(count, UNKNOWN, np.int8)
        self.located = {"position": 0, "index": 0}
        self.made: dict[Made, int] = {}
        self.failures: list[Failure] = []

    def read(self, job: _Job) -> tuple[str, Made]:
        """Fill in the rows of one mask, which are no other's; by what its pixels were located, and how it was made."""
        pixels, members = map_mask(job.path), job.members
        by_position = self._by_position(job.path, pixels)
        index = self.index[0][members], self.index[1][members]
        indexed = inside_image(pixels.value, index)
        rows = indexed & job.own
        self.indexed[members[rows]] = pixels.value[index[0][rows], index[1][rows]]
        found = self._located(pixels, members, index)
        if found is not None:
            away = np.stack([found.exact_rows - index[0], found.exact_columns - index[1]])
            self.away[:, members] = np.where(indexed, away, np.nan)
        at = (found.rows, found.columns) if by_position and found is not None else index
        self._decide(pixels, members, at, by_position=by_position)
        return "position" if by_position else "index", (pixels.model, pixels.quantity, pixels.threshold, pixels.part)

    def note(self, outcome: Outcome[_Job, tuple[str, Made]]) -> None:
        """Count a mask that was read, or failed."""
        if outcome.value is None:
            self.failures.append(Failure(outcome.item.path.name, outcome.error or "unknown"))
            self.reason[outcome.item.members] = CODES["mask_unreadable"]
            return
        how, made = outcome.value
        self.located[how] += 1
        self.made[made] = self.made.get(made, 0) + 1

    def _by_position(self, path: Path, pixels: MaskPixels) -> bool:
        if self.locate == "position" and not pixels.holds_positions:
            raise UserError(
                f"{path} doesn't hold where its pixels lie; make it again by this version of jaxmask.infer, or take "
                "--locate index"
            )
        return self.locate == "position" or (self.locate is None and pixels.native and pixels.holds_positions)

    def _located(self, pixels: MaskPixels, members: np.ndarray, index: tuple[np.ndarray, ...]) -> Located | None:
        if not pixels.holds_positions:
            return None
        positions = pixels.fields["latitude"], pixels.fields["longitude"]
        return nearest_pixels(*positions, self.place[0][members], self.place[1][members], (index[0], index[1]))

    def _decide(
        self, pixels: MaskPixels, members: np.ndarray, at: tuple[np.ndarray, np.ndarray], *, by_position: bool
    ) -> None:
        """Take over what the mask says at the pixels `at`, and why some of it is no decision."""
        inside = inside_image(pixels.value, at)
        rows, columns, there = at[0][inside], at[1][inside], members[inside]
        value = pixels.value[rows, columns].astype(np.float64)
        valid = None if pixels.valid is None else pixels.valid[rows, columns]
        measured, flags = (
            pixels.fields[name][rows, columns] if name in pixels.fields else None for name in ("measured", "flags")
        )
        padded = (rows >= pixels.rows) | (columns >= pixels.columns)
        self.value[there], self.rows[there], self.columns[there] = value, rows, columns
        self.threshold[members] = pixels.threshold
        self.reason[members] = CODES["outside_mask"]
        self.reason[there] = undecided(value, valid, padded, measured, flags)
        if by_position:
            unplaced = ~np.isfinite(self.place[0][members] + self.place[1][members])
            self.reason[members[unplaced]] = CODES["without_position"]
        if flags is not None:
            self.day[there] = day_by_flags(flags)

    def finish(self, names: Sequence[str], of_row: np.ndarray, threshold: float | None) -> MaskSamples:
        excluded = {reason: int((self.reason == code).sum()) for code, reason in enumerate(REASONS)}
        offset = offset_summary(*self.away)
        warn_of_pixels(excluded["outside_mask"], offset, list(self.made))
        time_s = np.array([product_time_s(name) for name in names])[of_row]
        night, told = night_rows(self.day, day_by_sun(time_s, *self.place), self.algorithm)
        granules = {name: number for number, name in enumerate(sorted({granule_of(name) for name in names}))}
        return MaskSamples(
            value=self.value,
            valid=self.reason == DECIDED,
            threshold=self.threshold if threshold is None else np.full(len(of_row), threshold),
            indexed=self.indexed,
            rows=self.rows,
            columns=self.columns,
            night=night,
            scene=np.array([granules[granule_of(name)] for name in names])[of_row],
            local_hours=local_solar_hours(time_s, self.place[1]),
            excluded=excluded,
            offset=offset,
            located=self.located,
            made=[dict(zip(MADE, made, strict=True)) | {"masks": count} for made, count in sorted(self.made.items())],
            time_of_day=told,
            failures=tuple(self.failures),
        )


def _example(names: np.ndarray) -> str:
    return f"{names[0]} ({len(names)} in all)"
