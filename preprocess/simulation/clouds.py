"""Cloud layers of a simulated scene: stratus, cumulus, deep convection with its anvil, cirrus; and their parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from preprocess.simulation.fields import Extent, Field, Floats, Spectrum, gaussian_field, sample
from preprocess.simulation.surface import LAPSE_K_PER_KM, Surface

KINDS = ("clear", "stratus", "cumulus", "cirrus", "convection")
CLEAR, STRATUS, CUMULUS, CIRRUS, CONVECTION = range(5)

QUARTER_PIXEL_M = 250.0

Range = tuple[float, float]


@dataclass(frozen=True)
class KindParameters:
    """How one kind of cloud is drawn; pairs are ranges drawn from uniformly, `scale_km` log-uniformly.

    `presence` is the probability of the kind in a scene, `cover` its share of the scene then. Optical depth is
    tau_median exp(tau_spread (G - median of G in cloud)), within `tau_range`. `edge` is the width, in standard
    deviations of G, over which the cover fraction of a cell falls to 0. Tops: `height_km`, and either a temperature
    drawn from `top_k` (ice cloud) or 6.5 K a km below the low-cloud temperature plus `top_excess_k`.
    """

    kind: int
    presence: float
    cover: Range
    scale_km: Range
    tau_median: float
    tau_spread: float
    tau_range: Range
    edge: float
    height_km: Range
    top_k: Range | None = None
    top_excess_k: Range = (0.0, 0.0)
    stretch: Range = (1.0, 1.5)


@dataclass(frozen=True)
class PriorParameters:
    """How far the label's prior lies from the truth: see `preprocess.simulation.prior.make_prior`."""

    sea_bias_k: float = 0.3
    sea_spread_k: float = 0.8
    land_spread_k: float = 4.0
    water_spread: float = 0.2
    wind_spread_m_s: float = 2.0


@dataclass(frozen=True)
class CloudParameters:
    """The statistics of clouds (lowest first), aerosol (median and log spread of its depth) and prior."""

    kinds: tuple[KindParameters, ...]
    aerosol: tuple[float, float] = (0.1, 0.6)
    prior: PriorParameters = PriorParameters()


DEFAULT = CloudParameters(
    kinds=(
        KindParameters(
            STRATUS, 0.55, (0.1, 0.65), (20, 200), 8.0, 1.0, (0.3, 60), 0.1, (0.3, 1.5), top_excess_k=(0, 6)
        ),
        KindParameters(CUMULUS, 0.55, (0.03, 0.2), (0.5, 5), 10.0, 0.8, (0.5, 60), 0.5, (1, 3)),
        KindParameters(CONVECTION, 0.25, (0.05, 0.3), (40, 120), 12.0, 1.8, (0.3, 100), 0.1, (8, 15), (195, 230)),
        KindParameters(
            CIRRUS, 0.55, (0.1, 0.6), (15, 80), 0.3, 1.8, (0.02, 3), 0.1, (8, 13), (210, 240), stretch=(3, 10)
        ),
    )
)


def _shifted(kind: KindParameters, cover: float, scale: float, tau: float, height_km: float) -> KindParameters:
    return replace(
        kind,
        cover=(kind.cover[0] * cover, min(kind.cover[1] * cover, 0.95)),
        scale_km=(kind.scale_km[0] * scale, kind.scale_km[1] * scale),
        tau_median=kind.tau_median * tau,
        height_km=(kind.height_km[0] + height_km, kind.height_km[1] + height_km),
    )


HELD_OUT = CloudParameters(
    kinds=(
        _shifted(DEFAULT.kinds[0], 1.1, 0.7, 0.6, 0.3),
        _shifted(DEFAULT.kinds[1], 1.2, 1.4, 0.8, 0.2),
        _shifted(DEFAULT.kinds[2], 0.8, 1.3, 1.2, -0.5),
        _shifted(DEFAULT.kinds[3], 1.0, 1.5, 0.7, -0.5),
    ),
    aerosol=(0.14, 0.8),
    prior=PriorParameters(-0.2, 1.0, 5.0, 0.3, 2.5),
)

# The label's cloud densities come from yet other clouds, so that the label does not know this world's statistics.
LABEL_TABLE = CloudParameters(
    kinds=(
        _shifted(DEFAULT.kinds[0], 0.9, 1.3, 1.4, 0.2),
        _shifted(DEFAULT.kinds[1], 0.9, 0.8, 1.2, 0.1),
        _shifted(DEFAULT.kinds[2], 1.0, 0.8, 0.8, 0.3),
        _shifted(DEFAULT.kinds[3], 1.1, 0.7, 1.5, 0.2),
    ),
    aerosol=(0.08, 0.5),
)


@dataclass(frozen=True)
class CloudLayer:
    """One layer of a scene: cloud where `field` > `threshold`; `median` is that of the field inside the cloud."""

    parameters: KindParameters
    field: Field
    threshold: float
    median: float
    height_km: float
    top_k: float | None
    top_excess_k: float

    @property
    def ice(self) -> bool:
        """Whether the layer consists of ice."""
        return self.top_k is not None


def make_layers(extent: Extent, parameters: CloudParameters, rng: np.random.Generator) -> tuple[CloudLayer, ...]:
    """Draw a scene's layers, lowest first: a random mix of kinds, at least one of them."""
    present = rng.random(len(parameters.kinds)) < [kind.presence for kind in parameters.kinds]
    if not present.any():
        present[rng.integers(len(present))] = True
    seeds = rng.spawn(len(present))
    return tuple(
        _make_layer(extent, kind, own)
        for kind, own, there in zip(parameters.kinds, seeds, present, strict=True)
        if there
    )


def _make_layer(extent: Extent, kind: KindParameters, rng: np.random.Generator) -> CloudLayer:
    scale_m = 1000 * np.exp(rng.uniform(*np.log(kind.scale_km)))
    spectrum = Spectrum(scale_m, stretch=rng.uniform(*kind.stretch), angle_rad=rng.uniform(0, np.pi))
    cover, height = rng.uniform(*kind.cover), rng.uniform(*kind.height_km)
    excess = rng.uniform(*kind.top_excess_k)
    top = None if kind.top_k is None else rng.uniform(*kind.top_k)
    field = gaussian_field(extent, spectrum, rng)
    threshold, median = np.quantile(field.values[::2, ::2], [1 - cover, 1 - cover / 2])
    return CloudLayer(kind, field, float(threshold), float(median), height, top, excess)


def sample_layer(
    layer: CloudLayer, x: NDArray[np.floating], y: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cover fraction 0..1 and in-cloud optical depth (0.55 um) at positions x, y (m); float32 of their shape."""
    kind = layer.parameters
    field = sample(layer.field, x, y)
    fraction = np.clip((field - np.float32(layer.threshold)) / np.float32(kind.edge), 0, 1)
    depth = kind.tau_median * np.exp(np.float32(kind.tau_spread) * (field - np.float32(layer.median)))
    return fraction, np.clip(depth, *kind.tau_range).astype(np.float32)


@dataclass(frozen=True)
class SeenLayer:
    """What a view sees of one layer: at each pixel its cover `fraction` 0..1, in-cloud optical `depth`, and `top_k`."""

    kind: int
    ice: bool
    height_km: float
    fraction: Floats
    depth: Floats
    top_k: Floats | None = None


def seen_points(layer: CloudLayer, x: NDArray[np.floating], y: NDArray[np.floating]) -> SeenLayer:
    """The layer at points x, y (m)."""
    return SeenLayer(layer.parameters.kind, layer.ice, layer.height_km, *sample_layer(layer, x, y))


def seen_footprints(layer: CloudLayer, x: NDArray[np.floating], y: NDArray[np.floating], surface: Surface) -> SeenLayer:
    """The layer averaged over four points 250 m off x, y (m) each way: a 1 km pixel sees an area, not a point.

    The depth is the mean in cloud, so that fraction times depth is the area's mean optical depth.
    """
    fraction = np.zeros(x.shape, np.float32)
    amount = np.zeros(x.shape, np.float32)
    for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        share, depth = sample_layer(layer, x + dx * QUARTER_PIXEL_M, y + dy * QUARTER_PIXEL_M)
        fraction += share / 4
        amount += share * depth / 4
    depth = np.where(fraction > 0, amount / np.maximum(fraction, np.float32(1e-6)), 0).astype(np.float32)
    return SeenLayer(
        layer.parameters.kind, layer.ice, layer.height_km, fraction, depth, top_temperature(layer, surface)
    )


def top_temperature(layer: CloudLayer, surface: Surface) -> Floats:
    """Temperature of the layer's top, K, of the surface's shape."""
    if layer.top_k is not None:
        return np.full(surface.skin_k.shape, layer.top_k, np.float32)
    below = LAPSE_K_PER_KM * layer.height_km - layer.top_excess_k
    return (surface.low_cloud_k - below).astype(np.float32)
