"""The textbook way from an SLSTR product to an HDF shard, for others to be measured against.

    python benchmarks/peer.py PRODUCT.SEN3 FOLDER

What a competent user of xarray, scipy and scikit-image writes, and what the original program computes: the channels are
opened by xarray, decoded, and stacked as an image (rows, columns, channels) of float64; the sun's angle is interpolated
by a bicubic spline to the 500 m grid for each channel; the image is resized to 1200 x 1500; everything is
stored as uncompressed float64 (245 MB a product). Fill counts as 0, and the spline is evaluated `start_offset` rows too
far down, as in the original: its faults are part of its numbers (`preprocess.convert --convention reference` gives the
same ones).

It does less than the original, which opens each geometry and irradiance file several times over. It
neither checks the product's MD5 sums nor syncs its output, which `preprocess.convert` does.

`--bands` is the same, tightened: one band at a time is resized, so that no image of six bands (345 MB) is ever made. It
is the peer of those who mind their memory; the numbers are the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from scipy.interpolate import RectBivariateSpline
from skimage.transform import resize

SIZE = (1200, 1500)
SOLAR, THERMAL = range(1, 7), range(7, 10)
SUMMARY_CLOUD, DAY = "summary_cloud", "day"  # of confidence_in


def main(argv: list[str] | None = None) -> int:
    """Convert one product and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("product", type=Path, help=".SEN3 folder")
    parser.add_argument("folder", type=Path, help="where day/ or night/NAME.hdf is written")
    parser.add_argument("--bands", action="store_true", help="resize one band at a time")
    options = parser.parse_args(argv)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    path = convert(options.product, options.folder, bands=options.bands)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB in {seconds:.2f} s, {cpu:.2f} s of CPU")
    return 0


def convert(product: Path, folder: Path, *, bands: bool = False) -> Path:
    """Convert a .SEN3 folder to `folder`/day or night/NAME.hdf, as the original does; `bands`: one band at a time."""
    resize_image = resize_bands if bands else resize_stack
    radiances = [open_variable(product, f"S{channel}_radiance_an.nc", f"S{channel}_radiance_an") for channel in SOLAR]
    reflectances = (reflectance(product, channel, image) for channel, image in zip(SOLAR, radiances, strict=True))
    temperatures = [open_variable(product, f"S{channel}_BT_in.nc", f"S{channel}_BT_in") for channel in THERMAL]
    bayes = open_variable(product, "flags_in.nc", "bayes_in")
    arrays = {
        "bts": resize_image(temperatures),
        "rads": resize_image(radiances),
        "refs": resize_image(reflectances),
        "bayes": resize_flag(bayes.values > 0),
        "summary": resize_flag(confidence_flag(product, SUMMARY_CLOUD)),
    }
    part = "day" if confidence_flag(product, DAY).all() else "night"
    path = folder / part / f"{product.resolve().stem}.hdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    return path


def reflectance(product: Path, channel: int, radiance: xr.DataArray) -> xr.DataArray:
    """Reflectance of one of S1..S6 on the 500 m grid."""
    irradiance = open_variable(product, f"S{channel}_quality_an.nc", f"S{channel}_solar_irradiance_an").values[0]
    zenith = sun_zenith(product, radiance)
    mu0 = np.where(zenith < 90, np.cos(0.017453292 * zenith), 1.0)
    return np.pi * radiance / (irradiance * mu0)


def resize_stack(channels: Iterable[xr.DataArray]) -> np.ndarray:
    """The channels as one image, resized: (1200, 1500, channels) f8."""
    image = np.stack([channel.values for channel in channels], axis=-1).astype(np.float64)
    return resize(np.nan_to_num(image), SIZE)


def resize_bands(channels: Iterable[xr.DataArray]) -> np.ndarray:
    """The channels, resized one by one, as one image: (1200, 1500, channels) f8."""
    resized = [resize(np.nan_to_num(channel.values.astype(np.float64)), SIZE) for channel in channels]
    return np.stack(resized, axis=-1)


def sun_zenith(product: Path, image: xr.DataArray) -> np.ndarray:
    """The sun's zenith angle (degrees) at every pixel of `image`, by a bicubic spline through the tie points: f8."""
    ties = open_variable(product, "geometry_tn.nc", "solar_zenith_tn")
    zenith = np.nan_to_num(ties.values.astype(np.float64))
    across, along = resolution(image)
    tie_across, tie_along = resolution(ties)
    columns = (np.arange(image.shape[1]) - image.attrs["track_offset"]) * across / tie_across
    rows = np.arange(image.shape[0]) * along / tie_along
    spline = RectBivariateSpline(np.arange(zenith.shape[0]), np.arange(zenith.shape[1]), zenith)
    return spline(rows + ties.attrs["start_offset"], columns + ties.attrs["track_offset"])


def confidence_flag(product: Path, meaning: str) -> np.ndarray:
    """Where a flag of confidence_in is set: bool (rows, columns)."""
    field = open_variable(product, "flags_in.nc", "confidence_in")
    masks = dict(zip(field.attrs["flag_meanings"].split(), np.atleast_1d(field.attrs["flag_masks"]), strict=True))
    return (field.values & masks[meaning]) > 0


def resize_flag(flag: np.ndarray) -> np.ndarray:
    """A flag as 0..255, greys at the edges: (1200, 1500, 1) f8."""
    image = np.where(flag, 255.0, 0.0)[..., None]
    return resize(image, SIZE, anti_aliasing=False, preserve_range=True)


def open_variable(product: Path, file: str, variable: str) -> xr.DataArray:
    """A variable in its units, fill as NaN; the file's own attributes are added to it. Flags stay integers."""
    decode = file != "flags_in.nc"
    with xr.open_dataset(product / file, mask_and_scale=decode, decode_times=False) as dataset:
        return dataset[variable].load().assign_attrs(dataset.attrs)


def resolution(image: xr.DataArray) -> tuple[float, float]:
    """Across and along the track, m."""
    across, along = (float(part) for part in image.attrs["resolution"].strip("[] ").split())
    return across, along


if __name__ == "__main__":
    sys.exit(main())
