"""Where the sun stands, by the Astronomical Almanac's low-precision formulas; and the time that a product's name tells.

Good to 0.01 degrees between 1950 and 2050 (Michalsky 1988, Solar Energy 40, 227-235), without refraction and parallax.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from jaxmask.split import PRODUCT_NAME

J2000_S = datetime(2000, 1, 1, 12, tzinfo=UTC).timestamp()
DAY_S, HOUR_S = 86_400.0, 3_600.0
DEGREES_AN_HOUR = 15.0
HORIZON_DEG = 90.0
NAME_TIME = "%Y%m%dT%H%M%S"
ROW_S = 0.15  # between two rows of 1 km: half a scan of SLSTR, which sees two at once (time_in of the measured product)
HALF_GRANULE_S = 90.0  # a granule of SLSTR is three minutes of the orbit


class SunPlace(NamedTuple):
    """Where the sun stands in the zenith, radians north and east (not wrapped)."""

    latitude: np.ndarray
    longitude: np.ndarray


def sun_place(time_s: np.ndarray | float) -> SunPlace:
    """The place below the sun at `time_s`, seconds since 1970-01-01 UTC, (N,) or one."""
    days = (np.asarray(time_s, np.float64) - J2000_S) / DAY_S
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic))
    sidereal_hours = 6.697375 + 0.0657098242 * days + (days * 24 + 12) % 24
    longitude = ascension - np.radians(DEGREES_AN_HOUR * sidereal_hours)
    return SunPlace(np.arcsin(np.sin(obliquity) * np.sin(ecliptic)), longitude)


def sun_zenith_deg(time_s: np.ndarray | float, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Zenith angle of the sun's centre (N,) float64, degrees.

    time_s: seconds since 1970-01-01 UTC, (N,) or one for all; latitude, longitude: (N,) degrees north and east. NaN
    where any of them is.
    """
    sun = sun_place(time_s)
    hour_angle = np.radians(np.asarray(longitude, np.float64)) - sun.longitude
    north = np.radians(np.asarray(latitude, np.float64))
    cosine = np.sin(north) * np.sin(sun.latitude) + np.cos(north) * np.cos(sun.latitude) * np.cos(hour_angle)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def cos_sun_zenith(start_s: float, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Cosine of the sun's zenith angle over an image, (R, C) float32, NaN where the position is; within 1e-5.

    start_s: when row 0 was sensed, as time_s above; each row is ROW_S later, in which time the sun goes west (0.75
    degrees from the first to the last row of a product). latitude, longitude: (R, C), degrees north and east.
    """
    sun = sun_place(start_s + ROW_S * np.arange(len(latitude)))
    north, east = (np.radians(np.asarray(angle, np.float32)) for angle in (latitude, longitude))
    overhead = np.remainder(sun.longitude, 2 * np.pi).astype(np.float32)
    declination = sun.latitude.astype(np.float32)
    cosine: np.ndarray = np.cos(east - overhead[:, None]) * np.cos(north) * np.cos(declination)[:, None]
    cosine += np.sin(north) * np.sin(declination)[:, None]
    return cosine


def local_solar_hours(time_s: np.ndarray | float, longitude: np.ndarray) -> np.ndarray:
    """Local mean solar time (N,) float64, hours from 0 to 24: UTC and four minutes for each degree east."""
    hours = np.asarray(time_s, np.float64) % DAY_S / HOUR_S + np.asarray(longitude, np.float64) / DEGREES_AN_HOUR
    return hours % 24.0


def product_time_s(name: str) -> float:
    """The middle of a product's sensing, seconds since 1970-01-01 UTC, from its name; NaN if that tells none."""
    found = PRODUCT_NAME.match(name)
    try:
        start = datetime.strptime(found["start"], NAME_TIME).replace(tzinfo=UTC) if found else None
    except ValueError:  # digits that are no date
        start = None
    return float("nan") if start is None else start.timestamp() + HALF_GRANULE_S
