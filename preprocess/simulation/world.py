"""One simulated world before anyone judges it: truth, observation, and the prior the label will start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preprocess.simulation.clouds import CloudParameters, make_layers, seen_footprints
from preprocess.simulation.fields import Extent, stream
from preprocess.simulation.geometry import Geometry
from preprocess.simulation.prior import make_prior
from preprocess.simulation.radiance import GLINT_FLAG_ABOVE, Observation, observe_nadir, observe_oblique, observe_solar
from preprocess.simulation.solar import make_angles, sea_glint
from preprocess.simulation.surface import Surface, make_surface_fields, sample_surface
from preprocess.simulation.truth import Truth, make_truth

# What each stream of random numbers is for; a purpose keeps its number for ever.
SURFACE, CLOUDS, SOLAR_NOISE, NADIR_NOISE, OBLIQUE_NOISE, PRIOR, BUOYS = range(1, 8)

HIGHEST_CLOUD_KM = 16.0


@dataclass(frozen=True)
class World:
    """Truth and observation of a scene, and the forecast (`prior`, a Surface (R, C)) that goes with it."""

    truth: Truth
    observation: Observation
    prior: Surface


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
    bt, cooling = observe_nadir(surface, seen, geometry, glint, stream(seed, NADIR_NOISE))
    oblique = observe_oblique(surface, layers, geometry, stream(seed, OBLIQUE_NOISE))
    prior = make_prior(surface, x, y, extent, parameters.prior, stream(seed, PRIOR))
    return World(
        make_truth(surface, seen, cooling), Observation(radiance, bt, oblique, _glint_flag(prior, geometry)), prior
    )


def _glint_flag(prior: Surface, geometry: Geometry) -> np.ndarray:
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
