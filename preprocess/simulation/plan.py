"""What a simulated archive holds: one plan a product, made from the size of the archive and a seed alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np

from preprocess.simulation.orbit import (
    EARTH_RADIUS_M,
    PERIOD_S,
    Orbit,
    heading,
    orbit_at,
    solar_angles,
    solar_declination,
    sub_satellite_point,
)

Illumination = Literal["day", "twilight", "night"]
Theme = Literal["sea", "coast", "land", "snow", "ice", "glint"]
Size = Literal["small", "full"]

FULL_COLUMNS, FULL_NADIR_COLUMN = 1500, 998
SMALL_COLUMNS = 384
ROWS = {"small": (256, 260), "full": (1198, 1202)}
"""Fewest and most 1 km rows; the measured product has 1198."""
FRAME_S = 180.0
"""Products are cut from an orbit every three minutes after the node (measured product: frame 1439)."""
ROW_S, ROW_M = 0.1499925, 1002.04354
"""Time and ground distance from one 1 km row to the next, in the measured product."""
TRIES = 4000


@dataclass(frozen=True)
class ProductPlan:
    """Everything that decides one simulated product; equal plans give equal products.

    `name` has no .SEN3. `start` is UTC, aware. `nadir_column` is the 1 km column of the sub-satellite track
    (`track_offset`): a small product is a window cut from a full swath, so it may lie outside the image, even below 0.
    `centre_*` is the sub-satellite point of the middle row, degrees, and `heading_deg` the direction of flight there,
    clockwise from north. `copy_of` names the product whose scene this one repeats (equal `seed`, platform and
    start, later creation and collection), else None.
    """

    name: str
    platform: str
    collection: str
    start: datetime
    cycle: int
    relative_orbit: int
    absolute_orbit: int
    frame: int
    rows: int
    columns: int
    nadir_column: int
    illumination: Illumination
    theme: Theme
    labelled: bool
    seed: int
    copy_of: str | None
    centre_latitude: float
    centre_longitude: float
    heading_deg: float


@dataclass(frozen=True)
class _Wish:
    """What the product in one place of the archive should be like; `after`: so many frames after its block's first."""

    illumination: Illumination
    theme: Theme
    platform: str
    collection: str
    labelled: bool = True
    after: int | None = None
    copy: bool = False


BLOCK: tuple[tuple[tuple[Illumination, tuple[Theme, ...]], str, str], ...] = (
    (("day", ("sea", "coast", "sea")), "S3A", "002"),
    (("day", ("coast", "sea", "land")), "S3A", "002"),
    (("night", ("sea", "coast", "sea")), "S3B", "004"),
    (("day", ("sea", "glint", "coast")), "S3A", "002"),
    (("twilight", ("ice", "sea", "snow")), "S3A", "005"),
    (("day", ("glint", "snow", "sea")), "S3B", "005"),
    (("day", ("land", "ice", "snow")), "S3A", "002"),
    (("night", ("snow", "sea", "ice")), "S3B", "004"),
)
"""Eight products with every kind in them; the themes turn from block to block. Five of eight by day."""
FOLLOWERS = {1: 1}
COPY_PLACE, UNLABELLED_PLACE, UNLABELLED_EVERY = 3, 6, 12
YEARS = {"002": (2018, 2019), "004": (2020, 2023), "005": (2024, 2025)}
"""Sensing years given to each baseline collection."""
COPY_COLLECTION, COPY_DELAY = "004", timedelta(days=900)
LATITUDES: dict[Theme, tuple[float, float]] = {
    "sea": (0, 55),
    "coast": (5, 60),
    "land": (5, 50),
    "snow": (45, 70),
    "ice": (66, 80),
    "glint": (0, 45),
}
"""Least and greatest distance of the product's centre from the equator, degrees."""
GLINT_FROM_SUBSOLAR_DEG = 12.0
DAY_ZENITH_DEG, TWILIGHT_HALF_WIDTH_DEG, NIGHT_ZENITH_DEG = 75.0, 0.6, 106.0
"""By day the middle of the image has the sun higher than the first (so that all of it has the sun up), at twilight the
terminator runs through the middle, and by night the sun is below the last (so that it is nowhere within 6 degrees of
the horizon)."""
WINDOWS: dict[Theme, tuple[int, int]] = {"glint": (1040, 1116)}
"""First column of a small window in the full swath, least and most; 548 is the dual swath's edge, 998 the nadir."""
USUAL_WINDOW = (300, 760)


def plan_archive(products: int, size: Size, seed: int) -> tuple[ProductPlan, ...]:
    """Plans of `products` products: platforms, collections, illumination, themes, one orbit twice or more in a row,
    a reprocessed copy (the fourth), and one product in about twelve that was never labelled.

    The first eight show every kind; a longer archive begins with the products of a shorter one of the same seed.
    """
    plans: list[ProductPlan] = []
    for index in range(products):
        wish = _wish(index)
        draws = np.random.default_rng([seed, index])
        if wish.copy:
            plans.append(_reprocessed(plans[0]))
            continue
        leader = plans[index - index % len(BLOCK)] if wish.after is not None else None
        plans.append(_plan(wish, size, draws, leader, {(plan.platform, plan.start) for plan in plans}))
    return tuple(plans)


def _wish(index: int) -> _Wish:
    block, place = divmod(index, len(BLOCK))
    (illumination, themes), platform, collection = BLOCK[place]
    unlabelled = index % UNLABELLED_EVERY == UNLABELLED_PLACE
    return _Wish(
        illumination,
        themes[block % len(themes)],
        "S3A" if unlabelled else platform,
        "002" if unlabelled else collection,
        labelled=not unlabelled,
        after=FOLLOWERS.get(place),
        copy=index == COPY_PLACE,
    )


def _plan(
    wish: _Wish, size: Size, draws: np.random.Generator, leader: ProductPlan | None, taken: set[tuple[str, datetime]]
) -> ProductPlan:
    least, most = ROWS[size]
    rows = int(draws.integers(least, most + 1))
    columns, first = FULL_COLUMNS, 0
    if size == "small":
        columns, first = SMALL_COLUMNS, int(draws.integers(*WINDOWS.get(wish.theme, USUAL_WINDOW)))
    nadir = FULL_NADIR_COLUMN - first
    seed = int(draws.integers(2**62))
    if leader is not None and wish.after is not None:
        orbit = orbit_at(leader.platform, leader.start)
        frame = leader.frame + wish.after * int(FRAME_S)
    else:
        orbit, frame = _search(wish, draws, rows, nadir - columns // 2, taken)
    middle = frame + rows / 2 * ROW_S
    latitude, longitude = sub_satellite_point(orbit, middle)
    start = orbit.node + timedelta(seconds=frame)
    plan = ProductPlan(
        "", wish.platform, wish.collection, start, orbit.cycle, orbit.relative, orbit.absolute, frame, rows, columns,
        nadir, wish.illumination, wish.theme, wish.labelled, seed, None, float(latitude), float(longitude),
        heading(orbit, middle),
    )  # fmt: skip
    return replace(plan, name=_name(plan, start + timedelta(hours=30, minutes=int(draws.integers(600)))))


def _search(
    wish: _Wish, draws: np.random.Generator, rows: int, columns_off_track: int, taken: set[tuple[str, datetime]]
) -> tuple[Orbit, int]:
    """A random orbit of the collection's years and one of its frames that fit the wish."""
    first, last = YEARS[wish.collection]
    if wish.platform == "S3B":
        first, last = max(first, 2019), max(last, 2019)  # launched in 2018
    begin = datetime(first, 1, 1, tzinfo=UTC)
    span_s = (datetime(last + 1, 1, 1, tzinfo=UTC) - begin).total_seconds()
    frames = np.arange(FRAME_S, PERIOD_S - 2 * FRAME_S, FRAME_S)
    for _ in range(TRIES):
        orbit = orbit_at(wish.platform, begin + timedelta(seconds=span_s * float(draws.random())))
        fits = np.flatnonzero(_fits(wish, orbit, frames, rows, columns_off_track))
        frame = int(frames[draws.choice(fits)]) if fits.size else 0
        if frame and (wish.platform, orbit.node + timedelta(seconds=frame)) not in taken:
            return orbit, frame
    raise RuntimeError(f"no {wish.illumination} {wish.theme} frame in {TRIES} orbits")


def _fits(wish: _Wish, orbit: Orbit, frames: np.ndarray, rows: int, columns_off_track: int) -> np.ndarray:
    """Which frames have the wished sun and latitude at the middle of the image; (F,) bool."""
    seconds = frames + rows / 2 * ROW_S
    latitude, longitude = sub_satellite_point(orbit, seconds)
    if wish.illumination == "twilight":
        latitude, longitude = _beside_track(orbit, seconds, latitude, longitude, columns_off_track)
    zenith, _ = solar_angles(orbit.node, seconds, latitude, longitude)
    least, most = LATITUDES[wish.theme]
    if wish.illumination == "twilight":  # where the terminator runs, whatever the theme: by season, near the poles
        return np.abs(zenith - 90.0) < TWILIGHT_HALF_WIDTH_DEG
    if wish.illumination == "day":  # the frame after it too, for the product that follows
        lit = np.maximum(zenith, np.append(zenith[1:], 180.0)) < DAY_ZENITH_DEG
    else:
        lit = zenith > NIGHT_ZENITH_DEG
    fits = lit & (np.abs(latitude) >= least) & (np.abs(latitude) <= most)
    if wish.theme == "glint":
        fits &= np.abs(latitude - solar_declination(orbit.node)) < GLINT_FROM_SUBSOLAR_DEG
    return fits


def _beside_track(
    orbit: Orbit, seconds: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """The points `columns` km to the right of the track (a flat map is near enough to find the terminator)."""
    bearing = np.radians([heading(orbit, float(second)) + 90.0 for second in seconds])
    degrees = np.degrees(columns * 1000.0 / EARTH_RADIUS_M)
    north = latitude + degrees * np.cos(bearing)
    return north, longitude + degrees * np.sin(bearing) / np.cos(np.radians(latitude))


def _reprocessed(plan: ProductPlan) -> ProductPlan:
    copy = replace(plan, collection=COPY_COLLECTION, copy_of=plan.name)
    return replace(copy, name=_name(copy, plan.start + COPY_DELAY))


def _name(plan: ProductPlan, creation: datetime) -> str:
    """The product's name by the S3 PDGS file naming convention (GMES-S3GS-EOPG-TN-09-0009), without .SEN3."""
    moments = "_".join(
        moment.strftime("%Y%m%dT%H%M%S") for moment in (plan.start, plan.start + timedelta(seconds=FRAME_S), creation)
    )
    orbit = f"{int(FRAME_S) - 1:04d}_{plan.cycle:03d}_{plan.relative_orbit:03d}_{plan.frame:04d}"
    return f"{plan.platform}_SL_1_RBT____{moments}_{orbit}_LN2_O_NT_{plan.collection}"
