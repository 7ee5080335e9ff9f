"""Images looked up at the pixels of match-ups, one product's at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxmask.matchups import Table, pixel_indices, product_names

Pixels = tuple[np.ndarray, np.ndarray]  # rows and columns, (N,) int64


def cloud_at(
    cloud_of: Callable[[str], np.ndarray | None], table: Table, at: Pixels | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Look up (H, W) bool images, one product's at a time: cloud (N,) bool and known (N,) bool at each match-up.

    at: rows and columns (N,) int64, -1 for none; by default (y_cems, x_cems).
    """
    names, of_row = product_names(table["cems_path"])
    rows, columns = pixel_indices(table) if at is None else at
    cloud, known = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    for index, members in row_groups(of_row, len(names)):
        image = cloud_of(str(names[index]))
        if image is None:
            continue
        inside = inside_image(image, (rows[members], columns[members]))
        there = members[inside]
        cloud[there] = image[rows[there], columns[there]]
        known[members] = inside
    return cloud, known


def inside_image(image: np.ndarray, at: Pixels) -> np.ndarray:
    """Which of the pixels `at` (N,) an image (H, W, ...) has, (N,) bool."""
    return (at[0] >= 0) & (at[0] < image.shape[0]) & (at[1] >= 0) & (at[1] < image.shape[1])


def row_groups(of_row: np.ndarray, count: int) -> list[tuple[int, np.ndarray]]:
    """(group, the rows that belong to it) for each of `count` groups, sorting once; greater numbers are of none."""
    order = np.argsort(of_row, kind="stable")
    parts = np.split(order, np.searchsorted(of_row[order], np.arange(1, count + 1)))
    return list(enumerate(parts[:count]))
