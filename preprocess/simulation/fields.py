"""Random fields of the simulated world: Gaussian, power-law, on a continuous surface, sampled anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

FINE_SPACING_M = 500.0
COARSE_SPACING_M = 4000.0
MARGIN_CELLS = 4

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Extent:
    """The part of the continuous surface that a product needs, metres."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float


@dataclass(frozen=True)
class Field:
    """Values (ny, nx) float32 at x = x_origin_m + spacing_m * column, y likewise; between them linear."""

    values: Floats
    x_origin_m: float
    y_origin_m: float
    spacing_m: float


@dataclass(frozen=True)
class Spectrum:
    """The shape of a field's spectrum.

    Amplitude (1 + (k scale / 2 pi)^2)^(-slope / 2): white beyond `scale_m`, falling as k^-slope below it, so that the
    one-dimensional power spectrum falls as k^(1 - 2 slope): slope 4/3 gives the -5/3 seen in cloud water (Davis et
    al. 1996, J. Atmos. Sci. 53), slope 2 the -3 of smooth large-scale fields. `stretch` > 1 lengthens structures
    along `angle_rad` from the x axis, as wind draws out cirrus.
    """

    scale_m: float
    slope: float = 4.0 / 3.0
    stretch: float = 1.0
    angle_rad: float = 0.0


def stream(seed: int, *purpose: int) -> np.random.Generator:
    """A generator of its own for each purpose, so that one more draw in one place changes nothing elsewhere."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


def amplitude(shape: tuple[int, int], spacing_m: float, spectrum: Spectrum) -> Floats:
    """Amplitude of each mode of a real two-dimensional transform: (ny, nx // 2 + 1) float32, see `Spectrum`."""
    ky = 2 * np.pi * np.fft.fftfreq(shape[0], spacing_m).astype(np.float32)[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(shape[1], spacing_m).astype(np.float32)[None, :]
    cos, sin = np.float32(np.cos(spectrum.angle_rad)), np.float32(np.sin(spectrum.angle_rad))
    along = (kx * cos + ky * sin) * np.float32(np.sqrt(spectrum.stretch))
    across = (ky * cos - kx * sin) / np.float32(np.sqrt(spectrum.stretch))
    scaled = (along**2 + across**2) * np.float32((spectrum.scale_m / (2 * np.pi)) ** 2)
    return ((1 + scaled) ** np.float32(-spectrum.slope / 2)).astype(np.float32)


def expected_variance(modes: Floats, columns: int) -> float:
    """Variance that unit white noise of a (ny, columns) grid has after its modes are multiplied by `modes`."""
    power = modes.astype(np.float64) ** 2
    twice = np.full(power.shape[1], 2.0)
    twice[0] = 1.0
    if columns % 2 == 0:
        twice[-1] = 1.0
    return float((power * twice).sum() / (power.shape[0] * columns))


def gaussian_field(
    extent: Extent, spectrum: Spectrum, rng: np.random.Generator, spacing_m: float = FINE_SPACING_M
) -> Field:
    """A Gaussian field of expected mean 0 and expected variance 1 that covers the extent.

    Its own mean and variance over the extent differ from that where the scale nears the extent: as weather does.
    """
    rows, columns = (
        fft.next_fast_len(int(np.ceil((high - low) / spacing_m)) + 1 + 2 * MARGIN_CELLS, real=True)
        for low, high in ((extent.y_low, extent.y_high), (extent.x_low, extent.x_high))
    )
    modes = amplitude((rows, columns), spacing_m, spectrum)
    modes /= np.float32(np.sqrt(expected_variance(modes, columns)))
    noise = rng.standard_normal((rows, columns), dtype=np.float32)
    values = fft.irfft2(fft.rfft2(noise) * modes, s=(rows, columns))
    origin = MARGIN_CELLS * spacing_m
    return Field(values.astype(np.float32, copy=False), extent.x_low - origin, extent.y_low - origin, spacing_m)


def smooth_field(extent: Extent, scale_km: float, rng: np.random.Generator) -> Field:
    """A Gaussian field without structure below a few km, cheap because it is kept every 4 km."""
    return gaussian_field(extent, Spectrum(1000.0 * scale_km, slope=2.0), rng, COARSE_SPACING_M)


def sample(field: Field, x: ArrayLike, y: ArrayLike) -> Floats:
    """Values at positions x, y (m), linear between grid points, the edge's beyond; float32 of their shape."""
    rows = (np.asarray(y, np.float64) - field.y_origin_m) / field.spacing_m
    columns = (np.asarray(x, np.float64) - field.x_origin_m) / field.spacing_m
    return ndimage.map_coordinates(
        field.values, np.stack([rows, columns]), output=np.float32, order=1, mode="nearest", prefilter=False
    )
