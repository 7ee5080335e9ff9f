"""One simulated world before anyone judges it: truth, observation, and the prior the label will start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.clouds import CloudLayer, CloudParameters, make_layers, seen_footprints
from preprocess.simulation.fields import Extent, stream
from preprocess.simulation.geometry import Geometry
from preprocess.simulation.prior import make_prior
from preprocess.simulation.radiance import (
    GLINT_FLAG_ABOVE,
    Observation,
    observe_oblique,
    observe_solar,
    observe_thermal,
)
from preprocess.simulation.solar import make_angles, sea_glint
from preprocess.simulation.surface import Surface, SurfaceFields, make_surface_fields, sample_surface
from preprocess.simulation.truth import Truth, make_truth

# What each stream of random numbers is for; a purpose keeps its number for ever.
SURFACE, CLOUDS, SOLAR_NOISE, NADIR_NOISE, OBLIQUE_NOISE, PRIOR, BUOYS = range(1, 8)
OBLIQUE_SOLAR_NOISE, OBLIQUE_THERMAL_NOISE = 8, 9

HIGHEST_CLOUD_KM = 16.0


@dataclass(frozen=True)
class World:
    """Truth and observation of a scene, the forecast (`prior`, a Surface (R, C)) that goes with it, and what all of it
    was sampled from: the continuous surface and the clouds.
    """

    truth: Truth
    observation: Observation
    prior: Surface
    fields: SurfaceFields
    layers: tuple[CloudLayer, ...]


def make_world(geometry: Geometry, irradiances: Sequence[float], parameters: CloudParameters) -> World:
    """Draw surface, clouds and prior of a scene from the plan's seed and observe them.

    `irradiances` of S1-S6, mW m-2 nm-1. Each purpose has its own random stream: the same seed gives the same bits.
    """
    seed = geometry.plan.seed
    extent = _extent(geometry)
    fields = make_surface_fields(extent, geometry.plan.theme, stream(seed, SURFACE))
    layers = make_layers(extent, parameters, stream(seed, CLOUDS))
    angles = make_angles(geometry.solar_zenith_in, geometry.sat_zenith_in, geometry.relative_azimuth_in)
    x, y = geometry.x_in, geometry.y_in
    surface = sample_surface(fields, x, y, geometry.latitude_in, angles.mu_sun, parameters.aerosol)
    seen = [seen_footprints(layer, x, y, surface) for layer in layers]
    glint = sea_glint(surface, angles)
    radiance = observe_solar(geometry, fields, layers, irradiances, parameters.aerosol, stream(seed, SOLAR_NOISE))
    bt, cooling = observe_thermal(surface, seen, geometry, glint, stream(seed, NADIR_NOISE))
    oblique = observe_oblique(surface, layers, geometry, stream(seed, OBLIQUE_NOISE))
    prior = make_prior(surface, x, y, extent, parameters.prior, stream(seed, PRIOR))
    observation = Observation(radiance, bt, oblique, glint_flag(prior, geometry))
    return World(make_truth(surface, seen, cooling), observation, prior, fields, layers)


def glint_flag(prior: Surface, geometry: Geometry) -> NDArray[np.bool_]:
    """Where a sea with the forecast wind would mirror the sun."""
    angles = make_angles(geometry.solar_zenith_in, geometry.sat_zenith_in, geometry.relative_azimuth_in)
    return sea_glint(prior, angles) > GLINT_FLAG_ABOVE


def _extent(geometry: Geometry) -> Extent:
    """All that either view sees: the oblique one looks at high cloud far ahead along the track."""
    ahead = 1000 * HIGHEST_CLOUD_KM * float(np.tan(np.radians(geometry.sat_zenith_oblique_in.max())))
    return Extent(
        x_low=float(min(geometry.x_in.min(), geometry.x_an.min())),
        x_high=float(max(geometry.x_in.max(), geometry.x_an.max())),
        y_low=float(min(geometry.y_in.min(), geometry.y_an.min())),
        y_high=float(max(geometry.y_in.max(), geometry.y_an.max())) + ahead,
    )
