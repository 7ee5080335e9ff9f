"""One SLSTR Level-1 product in memory: its grids, its flags and its arrays, each on the grid it came on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from preprocess.errors import UserError

UNPACKED_AT_ONCE = 2**15
SOLAR_CHANNELS = ("S1", "S2", "S3", "S4", "S5", "S6")
THERMAL_CHANNELS = ("S7", "S8", "S9")

# confidence_in of the measured product (collection 002); the flags of scenes and shards always use these bits.
CONFIDENCE_BITS = {
    "coastline": 1,
    "ocean": 2,
    "tidal": 4,
    "land": 8,
    "inland_water": 16,
    "unfilled": 32,
    "cosmetic": 256,
    "duplicate": 512,
    "day": 1024,
    "twilight": 2048,
    "sun_glint": 4096,
    "snow": 8192,
    "summary_cloud": 16384,
    "summary_pointing": 32768,
}


@dataclass(frozen=True)
class Grid:
    """Where a grid lies: pixel sizes (m), the column of the sub-satellite track, and the row of the orbit it starts at.

    `start_offset` counts 1 km rows on every grid of the measured product (4081 on all three), so it
    cancels between grids and is never added to a row; `track_offset` doubles on the 500 m grid.
    """

    across_m: float
    along_m: float
    track_offset: int
    start_offset: int


@dataclass(frozen=True)
class FlagField:
    """A field of bit flags with the names that its file gives to the bits; names may repeat ("spare")."""

    values: np.ndarray
    masks: tuple[int, ...]
    meanings: tuple[str, ...]

    def mask(self, meaning: str) -> int:
        """The bits called `meaning`, joined if several are; raises UserError naming the known ones."""
        mask = 0
        for bit, name in zip(self.masks, self.meanings, strict=True):
            if name == meaning:
                mask |= bit
        if not mask:
            raise UserError(f"no flag is called '{meaning}'; expected one of: {', '.join(self.meanings)}")
        return mask

    def holds(self, meaning: str) -> np.ndarray:
        """Where any bit called `meaning` is set: bool, the shape of `values`."""
        return (self.values & self.values.dtype.type(self.mask(meaning))) != 0


@dataclass(frozen=True)
class Packed:
    """An image as its file stores it: counts * scale + offset in its units, nothing where the count is `fill`.

    Kept packed, a product takes half the memory, and counts can be averaged exactly.
    """

    counts: np.ndarray  # (rows, columns), i2 in every product seen
    scale: float = 1.0
    offset: float = 0.0
    fill: float | None = None

    def known(self) -> np.ndarray:
        """Where a value is stored: bool, the shape of `counts`; infinity, which no instrument measures, is none."""
        if self.counts.dtype.kind == "f":
            finite = np.isfinite(self.counts)
            return finite if self.fill is None else finite & (self.counts != self.fill)
        if self.fill is None:
            return np.ones(self.counts.shape, bool)
        # Compared as integers, many times faster than as float64; a fill that no integer equals marks nothing.
        known: np.ndarray = self.counts != (int(self.fill) if float(self.fill).is_integer() else self.fill)
        return known

    def values(self, dtype: str = "f4") -> np.ndarray:
        """The image in its units, unpacked in float64 and cast to `dtype`, NaN where nothing is known."""
        values = np.empty(self.counts.shape, dtype)
        # Some rows at a time, so that the intermediate float64 stay in the processor's cache: three times as fast.
        step = max(1, UNPACKED_AT_ONCE * len(values) // max(1, values.size))
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            values[rows] = replace(self, counts=self.counts[rows])._unpacked()
        return values

    def _unpacked(self) -> np.ndarray:
        values = self.counts.astype(np.float64)
        if self.scale != 1.0 or self.offset != 0.0:
            values *= self.scale
            values += self.offset
        known = self.known()
        if not known.all():
            values[~known] = np.nan
        return values


@dataclass(frozen=True)
class Oblique:
    """The oblique view of a product, on its own, narrower grid: Ro x Co pixels of 1 km; as `Product` otherwise."""

    radiances: tuple[Packed, ...]  # S1..S6 (2Ro, 2Co), mW m-2 sr-1 nm-1
    radiance_exception: np.ndarray  # (6, 2Ro, 2Co) u1
    bt: np.ndarray  # (3, Ro, Co) f4, K
    bt_exception: np.ndarray  # (3, Ro, Co) u1
    confidence: FlagField  # confidence_io (Ro, Co)
    solar_zenith: np.ndarray  # (Rt, To) f8, degrees, on the oblique tie grid, whose rows may be others than Ro
    irradiance: np.ndarray  # (6, detectors) f8
    detector: np.ndarray | None  # as Product.detector, (2Ro, 2Co)
    latitude: np.ndarray  # (Ro, Co) f4, degrees north
    longitude: np.ndarray  # (Ro, Co) f4, degrees east
    grid_500m: Grid
    grid_1km: Grid
    grid_tie: Grid


@dataclass(frozen=True)
class Positions:
    """Where pixels really lie (m across and along the track), and the measurements that found no cell: orphans."""

    x_1km: np.ndarray  # (R, C) f4
    y_1km: np.ndarray
    x_500m: np.ndarray  # (2R, 2C) f4
    y_500m: np.ndarray
    cosmetic_500m: np.ndarray  # (2R, 2C) bool: a neighbour's copy
    orphan_x: np.ndarray  # (2R, O) f4, NaN where there is none; O may be 0
    orphan_y: np.ndarray
    orphan_radiances: tuple[Packed, ...]  # S1..S6 (2R, O)
    orphan_exception: np.ndarray  # (6, 2R, O) u1
    orphan_detector: np.ndarray | None = None  # (2R, O) u1, as Product.detector, and read where that is


@dataclass(frozen=True)
class Product:
    """A nadir product: R x C pixels of 1 km, 2R x 2C of 500 m, R x T tie points; fill values are NaN."""

    name: str  # without .SEN3
    platform: str  # "S3A", "S3B", ...
    collection: str  # baseline collection: "002" .. "005", the last three digits of the name
    start_time: str  # ISO 8601, UTC
    radiances: tuple[Packed, ...]  # S1..S6 (2R, 2C), mW m-2 sr-1 nm-1
    radiance_exception: np.ndarray  # (6, 2R, 2C) u1
    bt: np.ndarray  # (3, R, C) f4, S7..S9, K
    bt_exception: np.ndarray  # (3, R, C) u1
    flags: dict[str, FlagField]  # "confidence", "bayes", if wanted "cloud": (R, C); "exception": their bits
    probability_single: np.ndarray | None  # (R, C) f4, P(cloud); from collection 004
    latitude: np.ndarray  # (R, C) f4, degrees north
    longitude: np.ndarray  # (R, C) f4, degrees east
    solar_zenith: np.ndarray  # (R, T) f8, degrees
    irradiance: np.ndarray  # (6, 4) f8, by detector, mW m-2 nm-1
    sun_distance_au: float  # NaN if not given
    grid_500m: Grid
    grid_1km: Grid
    grid_tie: Grid
    manifest_md5: str = ""  # of xfdumanifest.xml, which holds the MD5 of every file; "" without one
    verified: str = ""  # by what sums every file read is what the manifest lists: "md5", "crc32" of its zip, or ""
    detector: np.ndarray | None = None  # (2R, 2C) u1, 255 unknown; read only where detectors' irradiances differ
    positions: Positions | None = None  # read only for regridding by neighbours
    oblique: Oblique | None = None  # read only if asked for

    def flag(self, field: str, meaning: str) -> np.ndarray:
        """Where the flag `meaning` of `field` ("confidence", "cloud", "bayes") is set: bool (R, C)."""
        return self.flags[field].holds(meaning)
