"""The oblique view laid on the nadir grid by the offsets of both. Experimental: tested on simulated products alone."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from preprocess.conventions import native_irradiance, thermal_images
from preprocess.errors import UserError
from preprocess.grid import mean_channels
from preprocess.level1 import Grid, Oblique, Product
from preprocess.quality import measured_channels, valid_pixels
from preprocess.radiometry import cosine_of_sun, interpolate_zenith
from preprocess.scene import MISSING_REFLECTANCE, MISSING_TEMPERATURE_K
from preprocess.solar import solar_images

Shape = tuple[int, int]

DEGREE_KM = 111.195  # of a great circle on a sphere of 6371 km
CHECKED_EVERY = 16
FARTHEST_KM = 0.75
"""How far apart aligned pixels may lie, the median of pixels along each axis: those of either view lie up to half a
pixel off their cell, which averages out, and one row or column is 1 km."""


class Offset(NamedTuple):
    """How many rows and columns further a pixel of one grid lies on another."""

    down: int
    right: int


def offset_between(grid: Grid, onto: Grid) -> Offset:
    """From pixels of `grid` to pixels of `onto`, both of 1 km: the sub-satellite tracks meet, and so do the rows.

    As SNAP aligns them. Nothing is assumed of either offset: the 548 columns usual between the views aren't constant.
    """
    return Offset(grid.start_offset - onto.start_offset, onto.track_offset - grid.track_offset)


def place(image: np.ndarray, shape: Shape, at: Offset, missing: float) -> np.ndarray:
    """`image` (H, W, ...) moved by `at` into (*shape, ...): what falls outside is dropped, the rest is `missing`."""
    placed = np.full((*shape, *image.shape[2:]), missing, image.dtype)
    rows, columns = (_common(size, there, move) for size, there, move in zip(image.shape, shape, at, strict=False))
    placed[rows[1], columns[1]] = image[rows[0], columns[0]]
    return placed


def _common(size: int, there: int, move: int) -> tuple[slice, slice]:
    """The part of an axis of `size` that falls on one of size `there` when moved: where it is, and where it lands."""
    first, last = max(0, -move), min(size, there - move)
    last = max(first, last)
    return slice(first, last), slice(first + move, last + move) if last > first else slice(0, 0)


def oblique_arrays(product: Product, factors: np.ndarray) -> dict[str, np.ndarray]:
    """The oblique view on the product's nadir grid (R, C), missing outside what it saw; `factors` (6,) of S1..S6.

    `oblique_refs` (R, C, 6) f4, by the valid 2 x 2 mean, under the sun as the oblique tie points give it; `oblique_bts`
    (R, C, 3) f4, K; `oblique_valid` (R, C, 1) u1 where S8 and S9 hold data; `oblique_measured` (R, C) u2. Raises
    UserError if the product was read without its oblique view, or the views don't meet where their offsets say.
    """
    own = as_product(product)
    at = offset_between(own.grid_1km, product.grid_1km)
    check_alignment(product, own, at)
    zenith = interpolate_zenith(own.solar_zenith, own.grid_tie, own.grid_1km, *_shape(own))
    mu0 = cosine_of_sun(zenith)
    solar = solar_images(mean_channels(own), factors, native_irradiance(own), mu0)
    valid = valid_pixels(own)[..., None].astype(np.uint8)
    measured = measured_channels(own, solar.measured, mu0 > 0)
    size = _shape(product)
    return {
        "oblique_refs": place(solar.refs, size, at, MISSING_REFLECTANCE),
        "oblique_bts": place(thermal_images(own.bt), size, at, MISSING_TEMPERATURE_K),
        "oblique_valid": place(valid, size, at, 0),
        "oblique_measured": place(measured, size, at, 0),
    }


def as_product(product: Product) -> Product:
    """The oblique view as a product of its own, (Ro, Co): what is computed of nadir can be computed of it.

    Its flags are confidence_io and the names of exceptions; its tie points start at its first row. Raises UserError if
    the product was read without its oblique view, or that view's 500 m pixels aren't halves of its 1 km pixels.
    """
    view = product.oblique
    if view is None:
        raise UserError(f"{product.name}: no oblique view was read with it; ask for it, or use --views nadir")
    _check_halves(product.name, view)
    return replace(
        product,
        radiances=view.radiances,
        radiance_exception=view.radiance_exception,
        bt=view.bt,
        bt_exception=view.bt_exception,
        flags={"confidence": view.confidence, "exception": product.flags["exception"]},
        latitude=view.latitude,
        longitude=view.longitude,
        solar_zenith=_ties_from_first_row(view),
        irradiance=view.irradiance,
        detector=view.detector,
        grid_500m=view.grid_500m,
        grid_1km=view.grid_1km,
        grid_tie=replace(view.grid_tie, start_offset=view.grid_1km.start_offset),
        positions=None,
        oblique=None,
    )


def _check_halves(name: str, view: Oblique) -> None:
    coarse, fine = view.grid_1km, view.grid_500m
    if (fine.track_offset, fine.start_offset) != (2 * coarse.track_offset, coarse.start_offset):
        raise UserError(
            f"{name}: track_offset of the oblique 500 m grid must be twice that of 1 km, and start_offset the same; "
            f"found {fine.track_offset}, {coarse.track_offset} and {fine.start_offset}, {coarse.start_offset}: "
            "use --views nadir"
        )


def _ties_from_first_row(view: Oblique) -> np.ndarray:
    """The sun's zenith at tie rows that start where the 1 km grid does, NaN where there are none: (Ro, To) f8.

    Offsets count rows of 1 km, as far apart as the rows of tie points.
    """
    shift = view.grid_tie.start_offset - view.grid_1km.start_offset
    rows = view.bt.shape[1]
    return place(view.solar_zenith, (rows, view.solar_zenith.shape[1]), Offset(shift, 0), np.nan)


def check_alignment(product: Product, own: Product, at: Offset) -> None:
    """Raise UserError unless both views' pixels lie at the same places once moved by `at`; some must meet at all."""
    rows, columns = (
        _common(size, there, move) for size, there, move in zip(_shape(own), _shape(product), at, strict=True)
    )
    here, there = (
        tuple(slice(part[axis].start, part[axis].stop, CHECKED_EVERY) for part in (rows, columns)) for axis in (0, 1)
    )
    latitude = product.latitude[there].astype(np.float64)
    north = own.latitude[here] - latitude
    east = (own.longitude[here] - product.longitude[there] + 180.0) % 360.0 - 180.0
    known = np.isfinite(north) & np.isfinite(east)
    if not known.any():
        raise UserError(
            f"{product.name}: the oblique image lies outside the nadir one by its offsets ({at.down} rows down, "
            f"{at.right} columns to the right); fetch the product again, or use --views nadir"
        )
    km = DEGREE_KM * np.array(
        [np.median(north[known]), np.median((east * np.cos(np.radians(latitude)))[known])], np.float64
    )
    if np.hypot(*km) > FARTHEST_KM:
        raise UserError(
            f"{product.name}: moved by its offsets ({at.down} rows down, {at.right} columns to the right), the oblique "
            f"view lies {np.hypot(*km):.1f} km off the nadir view; fetch the product again, or use --views nadir"
        )


def _shape(product: Product) -> Shape:
    rows, columns = product.bt.shape[1:]
    return rows, columns
