"""The oblique view of a simulated scene: its own grid, its angles, what it sees of surface and displaced clouds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from preprocess.simulation.clouds import CloudParameters, seen_footprints
from preprocess.simulation.fields import stream
from preprocess.simulation.geometry import (
    Geometry,
    Grid,
    cell_positions,
    first_row_m,
    oblique_zenith,
    positions_on_sphere,
    without_outer_columns,
)
from preprocess.simulation.orbit import solar_angles, wrap
from preprocess.simulation.plan import ROW_M, ROW_S, ProductPlan
from preprocess.simulation.radiance import GLINT_FLAG_ABOVE, Observation, looked_up, observe_solar, observe_thermal
from preprocess.simulation.solar import make_angles, sea_glint
from preprocess.simulation.surface import sample_surface
from preprocess.simulation.truth import Truth, make_truth
from preprocess.simulation.world import OBLIQUE_SOLAR_NOISE, OBLIQUE_THERMAL_NOISE, World

Window = tuple[slice, slice]

LAYOUT_STREAM = 7005
MOST_FURTHER_ROWS = 3
"""Rows that the oblique image may begin earlier and end later than nadir's. In the measured manifest both begin and
end alike; readers must heed the offsets all the same."""
LATER_S = 137.0
"""The oblique view passes a place so much later than nadir (457 scans in the measured time_in.nc); the sun moves on by
half a degree."""
AHEAD_M = 10_000.0


@dataclass(frozen=True)
class Layout:
    """Where the oblique 1 km grid lies: its pixel (0, 0) is nadir's (down, right), which may be outside; its size."""

    down: int
    right: int
    rows: int
    columns: int


def usual_layout(geometry: Geometry) -> Layout:
    """The columns of the dual swath (900 at full size, from nadir's 548), and up to MOST_FURTHER_ROWS more rows.

    Raises ValueError for an image that the dual swath doesn't touch; no archive has one.
    """
    plan = geometry.plan
    dual = np.flatnonzero(geometry.in_dual_swath[0])
    if not dual.size:
        raise ValueError(f"{plan.name}: no column of it lies in the oblique view's swath")
    earlier, later = np.random.default_rng([plan.seed, LAYOUT_STREAM]).integers(0, MOST_FURTHER_ROWS + 1, 2).tolist()
    return Layout(-earlier, int(dual[0]), plan.rows + earlier + later, dual.size)


def oblique_geometry(geometry: Geometry, layout: Layout | None = None) -> Geometry:
    """The oblique view's own positions and angles; its `_in`, `_an` and `_tn` are what files call `_io`, `_ao`, `_to`.

    Pixels lie where nadir's of the same cell do. The tie grid is nadir's: `_tn` keeps its rows, and `_tx` stays. The
    view looks backward along the track, so the satellite stands in the direction of flight.
    """
    plan, layout = geometry.plan, layout or usual_layout(geometry)
    rows, columns = layout.down + np.arange(layout.rows), layout.right + np.arange(layout.columns)
    fine_rows, fine_columns = (
        2 * layout.down + np.arange(2 * layout.rows),
        2 * layout.right + np.arange(2 * columns.size),
    )
    x_in, y_in = cell_positions(plan, "in", rows, columns)
    x_an, y_an = cell_positions(plan, "an", fine_rows, fine_columns)
    latitude_in, longitude_in = positions_on_sphere(plan, x_in, y_in)
    latitude_an, longitude_an = positions_on_sphere(plan, x_an, y_an)
    sun_zenith, sun_azimuth = sun_at(plan, x_in, y_in, LATER_S)
    x_tx, y_tx = geometry.x_tx, geometry.y_tx
    solar_zenith_tn, solar_azimuth_tn = map(without_outer_columns, sun_at(plan, x_tx, y_tx, LATER_S))
    zenith = oblique_zenith(x_in)
    nadir_column = plan.nadir_column - layout.right
    return replace(
        geometry,
        plan=replace(plan, rows=layout.rows, columns=layout.columns, nadir_column=nadir_column, labelled=False),
        x_in=x_in,
        y_in=y_in,
        latitude_in=latitude_in,
        longitude_in=longitude_in,
        x_an=x_an,
        y_an=y_an,
        latitude_an=latitude_an,
        longitude_an=longitude_an,
        solar_zenith_tn=solar_zenith_tn,
        solar_azimuth_tn=solar_azimuth_tn,
        sat_zenith_tn=without_outer_columns(oblique_zenith(x_tx)),
        sat_azimuth_tn=without_outer_columns(direction_of_flight(plan, x_tx, y_tx)),
        solar_zenith_in=sun_zenith,
        sat_zenith_in=zenith,
        relative_azimuth_in=np.abs(wrap(sun_azimuth - direction_of_flight(plan, x_in, y_in))),
        sat_zenith_oblique_in=zenith,
        in_dual_swath=np.ones(x_in.shape, bool),
        start_offset=geometry.start_offset + layout.down,
    )


def sun_at(plan: ProductPlan, x: Grid, y: Grid, later_s: float = 0.0) -> tuple[Grid, Grid]:
    """Zenith angle and azimuth of the sun at x, y (m), `later_s` after nadir passed there; degrees."""
    seconds = (y - first_row_m(plan)) / ROW_M * ROW_S + later_s
    return solar_angles(plan.start, seconds, *positions_on_sphere(plan, x, y))


def direction_of_flight(plan: ProductPlan, x: Grid, y: Grid) -> Grid:
    """Bearing of a point further along the track from x, y (m): degrees clockwise from north, 0..360."""
    latitude, longitude = map(np.radians, positions_on_sphere(plan, x, y))
    further, beside = map(np.radians, positions_on_sphere(plan, x, y + AHEAD_M))
    turn = beside - longitude
    east = np.cos(further) * np.sin(turn)
    north = np.cos(latitude) * np.sin(further) - np.sin(latitude) * np.cos(further) * np.cos(turn)
    bearing: Grid = np.degrees(np.arctan2(east, north)) % 360.0
    return bearing


def see_oblique(
    world: World,
    nadir: Geometry,
    oblique: Geometry,
    irradiances: Sequence[float],
    parameters: CloudParameters,
) -> tuple[Truth, Observation]:
    """What lies in the oblique view's pixels as it looks at them, and what it measures, on its own grid.

    S8 and S9 of pixels that nadir has too are those of the nadir `Observation`, from which the label's dual bits and
    the sea temperatures come. Surfaces are as when nadir passed; the light is that of its own time.
    """
    seed, x, y = nadir.plan.seed, oblique.x_in, oblique.y_in
    then = np.cos(np.radians(sun_at(nadir.plan, x, y)[0])).astype(np.float32)
    surface = sample_surface(world.fields, x, y, oblique.latitude_in, then, parameters.aerosol)
    angles = make_angles(oblique.solar_zenith_in, oblique.sat_zenith_in, oblique.relative_azimuth_in)
    glint = sea_glint(surface, angles)
    seen = [seen_footprints(layer, x, looked_up(layer, y, oblique.sat_zenith_in), surface) for layer in world.layers]
    bt, cooling = observe_thermal(surface, seen, oblique, glint, stream(seed, OBLIQUE_THERMAL_NOISE))
    radiance = observe_solar(
        oblique,
        world.fields,
        world.layers,
        irradiances,
        parameters.aerosol,
        stream(seed, OBLIQUE_SOLAR_NOISE),
        oblique=True,
    )
    here, there = shared_pixels(oblique, nadir)
    bt[1:][:, here[0], here[1]] = world.observation.bt_oblique[:, there[0], there[1]]
    return make_truth(surface, seen, cooling), Observation(radiance, bt, bt[1:], glint > GLINT_FLAG_ABOVE)


def shared_pixels(one: Geometry, other: Geometry) -> tuple[Window, Window]:
    """Rows and columns of the pixels that both have, in `one` and in `other`."""
    moves = (one.start_offset - other.start_offset, other.plan.nadir_column - one.plan.nadir_column)
    ranges = [
        (max(0, -move), min(size, limit - move), move)
        for size, limit, move in zip(one.x_in.shape, other.x_in.shape, moves, strict=True)
    ]
    rows, columns = (slice(first, last) for first, last, _ in ranges)
    there_rows, there_columns = (slice(first + move, last + move) for first, last, move in ranges)
    return (rows, columns), (there_rows, there_columns)


def on_ties_of(oblique: Geometry, nadir: Geometry) -> Geometry:
    """The oblique view's angles on the tie grid, whose rows and start are nadir's."""
    return replace(oblique, plan=nadir.plan, start_offset=nadir.start_offset)
