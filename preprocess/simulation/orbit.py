"""Sentinel-3's orbit and the sun, to the accuracy that a simulated product needs (about a degree, and a hundredth)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

EARTH_RADIUS_M = 6_371_000.0
INCLINATION_DEG = 98.65
"""Of the orbit; Sentinel-3 user handbook, as the node's local time and the repeat cycle below."""
NODE_LOCAL_HOURS = 22.0
"""Mean local solar time of the ascending node."""
ORBITS_PER_CYCLE = 385
PERIOD_S = 27 * 86400.0 / ORBITS_PER_CYCLE
FIRST_NODE = datetime(2017, 3, 15, 11, 10, 20, 772776, UTC)
"""Ascending node of S3A's orbit 5600: cycle 15, relative orbit 237 (manifest of the measured product)."""
FIRST_ORBIT, FIRST_CYCLE, FIRST_RELATIVE = 5600, 15, 237
S3B_ORBITS_LATER = 11393
"""S3A had flown about so many orbits when S3B was launched (2018-04-25)."""
S3B_PHASE = 140.0 / 360.0
"""S3B flies 140 degrees from S3A."""
SUN_RATE_DEG_S = 360.0 / 86400.0
J2000 = datetime(2000, 1, 1, 12, 0, 0, 0, UTC)


@dataclass(frozen=True)
class Orbit:
    """One revolution: its numbers and the time of its ascending node (UTC)."""

    absolute: int
    relative: int
    cycle: int
    node: datetime


def orbit_at(platform: str, time: datetime) -> Orbit:
    """The orbit that `platform` ("S3A" or "S3B") is in at `time` (UTC, aware)."""
    phase = S3B_PHASE if platform == "S3B" else 0.0
    count = int(np.floor((time - FIRST_NODE).total_seconds() / PERIOD_S - phase))
    node = FIRST_NODE + timedelta(seconds=(count + phase) * PERIOD_S)
    cycles, relative = divmod(FIRST_RELATIVE - 1 + count, ORBITS_PER_CYCLE)
    absolute = FIRST_ORBIT + count - (S3B_ORBITS_LATER if platform == "S3B" else 0)
    later_cycles = S3B_ORBITS_LATER // ORBITS_PER_CYCLE + FIRST_CYCLE - 1 if platform == "S3B" else 0
    return Orbit(absolute, relative + 1, FIRST_CYCLE + cycles - later_cycles, node)


def sub_satellite_point(orbit: Orbit, seconds: ArrayLike) -> tuple[Array, Array]:
    """Latitude and longitude (degrees) below the satellite, `seconds` after the node: a circular orbit whose plane
    keeps its angle to the mean sun, over a sphere that turns once a solar day (spherical trigonometry).
    """
    seconds = np.asarray(seconds, np.float64)
    angle, inclination = 2 * np.pi * seconds / PERIOD_S, np.radians(INCLINATION_DEG)
    latitude = np.degrees(np.arcsin(np.sin(inclination) * np.sin(angle)))
    hours = (orbit.node - orbit.node.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds() / 3600.0
    along = np.degrees(np.arctan2(np.cos(inclination) * np.sin(angle), np.cos(angle)))
    return latitude, wrap(15.0 * (NODE_LOCAL_HOURS - hours) + along - seconds * SUN_RATE_DEG_S)


def heading(orbit: Orbit, seconds: float) -> float:
    """Direction of the ground track, degrees clockwise from north, 0..360."""
    latitude, longitude = sub_satellite_point(orbit, np.array([seconds - 1.0, seconds + 1.0]))
    east = wrap(longitude[1] - longitude[0]) * np.cos(np.radians(latitude.mean()))
    return float(np.degrees(np.arctan2(east, latitude[1] - latitude[0])) % 360.0)


def solar_angles(time: datetime, seconds: ArrayLike, latitude: ArrayLike, longitude: ArrayLike) -> tuple[Array, Array]:
    """Zenith angle and azimuth of the sun (degrees; azimuth clockwise from north, 0..360), `seconds` after `time`.

    Broadcasts. Low-precision formulas of the Astronomical Almanac (section C: right ascension, declination, 0.01
    degrees); refraction and parallax are neglected.
    """
    days = (time - J2000).total_seconds() / 86400.0 + np.asarray(seconds, np.float64) / 86400.0
    right_ascension, declination = _solar_coordinates(days)
    sidereal = np.radians(15.0 * ((18.697374558 + 24.06570982441908 * days) % 24.0))
    latitude, longitude = (np.radians(np.asarray(angle, np.float64)) for angle in (latitude, longitude))
    hour = sidereal + longitude - right_ascension
    cosine = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(latitude) * np.sin(declination) - np.sin(latitude) * np.cos(declination) * np.cos(hour)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))), np.degrees(np.arctan2(east, north)) % 360.0


def solar_declination(time: datetime) -> float:
    """Declination of the sun at `time`, degrees."""
    days = np.asarray((time - J2000).total_seconds() / 86400.0)
    return float(np.degrees(_solar_coordinates(days)[1]))


def sun_distance_au(time: datetime) -> float:
    """Distance of the sun at `time` in astronomical units (Astronomical Almanac, section C)."""
    anomaly = np.radians(357.528 + 0.9856003 * (time - J2000).total_seconds() / 86400.0)
    return float(1.00014 - 0.01671 * np.cos(anomaly) - 0.00014 * np.cos(2 * anomaly))


def wrap(longitude: ArrayLike) -> Array:
    """Longitude, or a difference of two, as -180..180 degrees."""
    return (np.asarray(longitude, np.float64) + 180.0) % 360.0 - 180.0


def _solar_coordinates(days: Array) -> tuple[Array, Array]:
    """Right ascension and declination of the sun in radians, `days` after J2000."""
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 4e-7 * days)
    return (
        np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic)),
        np.arcsin(np.sin(obliquity) * np.sin(ecliptic)),
    )
