"""Small SLSTR products for tests, laid out as the measured one: in memory, in a folder, or in a zip."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from preprocess.level1 import CONFIDENCE_BITS, FlagField, Grid, Packed, Product

NAME = "S3A_SL_1_RBT____20180531T102338_20180531T102638_20180601T151044_0179_031_336_2160_LN2_O_NT_002"
BITS = (1, 2, 4, 8, 16, 32, 64, 128)
EXCEPTIONS = (
    "ISP_absent pixel_absent not_decompressed no_signal saturation invalid_radiance no_parameters unfilled_pixel"
)
BAYES = "single_low single_moderate dual_low dual_moderate spare spare spare spare"
CONFIDENCE = (
    "coastline ocean tidal land inland_water unfilled spare spare cosmetic duplicate day twilight sun_glint snow "
    "summary_cloud summary_pointing"
)
CLOUD = (
    "visible 1.37_threshold 1.6_small_histogram 1.6_large_histogram 2.25_small_histogram 2.25_large_histogram "
    "11_spatial_coherence gross_cloud thin_cirrus medium_high fog_low_stratus 11_12_view_difference "
    "3.7_11_view_difference thermal_histogram spare spare"
)
DAY, UNFILLED, COSMETIC, SUMMARY = (CONFIDENCE_BITS[name] for name in ("day", "unfilled", "cosmetic", "summary_cloud"))
SATURATION, UNFILLED_PIXEL = 16, 128
FILL = -32768
START_OFFSET = 4081
TIES = 8
TIE_TRACK = 4

Variable = tuple[np.ndarray, dict[str, Any]]
Files = dict[str, dict[str, Variable]]


def make_product(rows: int = 4, columns: int = 4, **changes: Any) -> Product:
    """Radiance 100 (all channels), 280 K, sun at 60 degrees, day, clear, bayes computed; `changes` replace fields."""
    fine, coarse, ties = (6, 2 * rows, 2 * columns), (rows, columns), (rows, TIES)
    fields: dict[str, Any] = {
        "name": NAME,
        "platform": "S3A",
        "collection": "002",
        "start_time": "2018-05-31T10:23:38Z",
        "radiances": tuple(Packed(np.full(fine[1:], 100, np.float32)) for _ in range(6)),
        "radiance_exception": np.zeros(fine, np.uint8),
        "bt": np.full((3, *coarse), 280, np.float32),
        "bt_exception": np.zeros((3, *coarse), np.uint8),
        "flags": flag_fields(np.full(coarse, DAY, np.uint16), np.zeros(coarse, np.uint8)),
        "probability_single": None,
        "latitude": np.full(coarse, 50, np.float32),
        "longitude": np.full(coarse, 10, np.float32),
        "solar_zenith": np.full(ties, 60.0),
        "irradiance": np.full((6, 4), 200 * np.pi),
        "sun_distance_au": 1.0,
        "grid_500m": Grid(500, 500, columns, START_OFFSET),
        "grid_1km": Grid(1000, 1000, columns // 2, START_OFFSET),
        "grid_tie": Grid(16000, 1000, TIE_TRACK, START_OFFSET),
    }
    return Product(**(fields | changes))


def flag_fields(confidence: np.ndarray, bayes: np.ndarray) -> dict[str, FlagField]:
    """The flags of a product with these two and a clear cloud_in."""
    masks16 = tuple(2**bit for bit in range(16))
    return {
        "confidence": FlagField(confidence, masks16, tuple(CONFIDENCE.split())),
        "cloud": FlagField(np.zeros_like(confidence), masks16, tuple(CLOUD.split())),
        "bayes": FlagField(bayes, BITS, tuple(BAYES.split())),
        "exception": FlagField(np.zeros_like(bayes), BITS, tuple(EXCEPTIONS.split())),
    }


def product_files(rows: int = 4, columns: int = 6) -> Files:
    """The variables of every file that is read, as stored (packed), with their attributes; change them at will.

    Radiance counts 1000 (10.00), BT counts 0 (283.73 K), sun at 60 degrees, ocean by day, bayes computed and clear.
    """
    fine, coarse, ties = (2 * rows, 2 * columns), (rows, columns), (rows, TIES)
    packed = {"_FillValue": np.int16(FILL), "scale_factor": 0.01}
    exception = {"flag_masks": np.array(BITS, np.uint8), "flag_meanings": EXCEPTIONS}
    files: Files = {}
    for channel in ("S1", "S2", "S3", "S4", "S5", "S6"):
        files[f"{channel}_radiance_an.nc"] = {
            f"{channel}_radiance_an": (np.full(fine, 1000, np.int16), packed | {"add_offset": 0.0}),
            f"{channel}_exception_an": (np.zeros(fine, np.uint8), exception),
        }
        files[f"{channel}_quality_an.nc"] = {
            f"{channel}_solar_irradiance_an": (np.full(4, 100.0), {"_FillValue": np.nan}),
        }
    for channel in ("S7", "S8", "S9"):
        files[f"{channel}_BT_in.nc"] = {
            f"{channel}_BT_in": (np.zeros(coarse, np.int16), packed | {"add_offset": 283.73}),
            f"{channel}_exception_in": (np.zeros(coarse, np.uint8), exception),
        }
    masks16 = np.array([2**bit for bit in range(16)], np.uint16)
    bayes = {"flag_masks": np.array(BITS, np.uint8), "flag_meanings": BAYES}
    files["flags_in.nc"] = {
        "confidence_in": (np.full(coarse, DAY | 2, np.uint16), {"flag_masks": masks16, "flag_meanings": CONFIDENCE}),
        "cloud_in": (np.zeros(coarse, np.uint16), {"flag_masks": masks16, "flag_meanings": CLOUD}),
        "bayes_in": (np.zeros(coarse, np.uint8), bayes),
    }
    files["geometry_tn.nc"] = {
        name: (np.full(ties, 60.0), {"_FillValue": np.nan})
        for name in ("solar_zenith_tn", "sat_zenith_tn", "solar_azimuth_tn", "sat_azimuth_tn")
    } | {"solar_path_tn": (np.full(ties, 1.5e11), {"_FillValue": np.nan})}
    degrees = {"_FillValue": np.int32(-(2**31)), "scale_factor": 1e-6, "add_offset": 0.0}
    files["geodetic_in.nc"] = {
        "latitude_in": (np.full(coarse, 50_000_000, np.int32), degrees),
        "longitude_in": (np.full(coarse, -10_500_000, np.int32), degrees),
    }
    return files


def write_product(folder: Path, files: Files | None = None, name: str = NAME, columns: int = 6) -> Path:
    """Write `files` and their manifest to `folder`/NAME.SEN3; returns that folder."""
    target = folder / f"{name}.SEN3"
    target.mkdir(parents=True)
    for file, variables in (files or product_files(columns=columns)).items():
        with netCDF4.Dataset(target / file, "w") as dataset:
            dataset.setncatts({"product_name": f"{name}.SEN3", "start_time": "2018-05-31T10:23:38.123456Z"})
            dataset.setncatts(grid_attributes(file, columns))
            for variable, (data, attributes) in variables.items():
                write_variable(dataset, variable, data, attributes)
    write_manifest(target)
    return target


def grid_attributes(file: str, columns: int) -> dict[str, Any]:
    """Resolution and offsets of the grid of `file`."""
    resolution, track = "[ 1000 1000 ]", columns // 2
    if "_an" in file:
        resolution, track = "[ 500 500 ]", columns // 2 * 2
    elif "_tn" in file:
        resolution, track = "[ 16000 1000 ]", TIE_TRACK
    return {"resolution": resolution, "track_offset": np.int32(track), "start_offset": np.int32(START_OFFSET)}


def write_variable(dataset: netCDF4.Dataset, name: str, data: np.ndarray, attributes: dict[str, Any]) -> None:
    dimensions = []
    for size in data.shape:
        dimension = f"size_{size}"
        if dimension not in dataset.dimensions:
            dataset.createDimension(dimension, size)
        dimensions.append(dimension)
    variable = dataset.createVariable(
        name, data.dtype, dimensions, zlib=data.ndim > 0, fill_value=attributes.get("_FillValue")
    )
    variable.set_auto_maskandscale(False)
    variable.setncatts({key: value for key, value in attributes.items() if key != "_FillValue"})
    variable[...] = data


def write_manifest(folder: Path, absent: tuple[str, ...] = ("met_tx.nc",)) -> None:
    """Write xfdumanifest.xml for the files in `folder`, and for some that are not there."""
    entries = [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.nc"))]
    entries += [(name, b"elsewhere") for name in absent]
    streams = "".join(
        f'<dataObject><byteStream mimeType="application/x-netcdf" size="{len(data)}">'
        f'<fileLocation locatorType="URL" href="./{name}"/>'
        f'<checksum checksumName="MD5">{hashlib.md5(data, usedforsecurity=False).hexdigest()}</checksum>'
        "</byteStream></dataObject>"
        for name, data in entries
    )
    head = '<?xml version ="1.0" encoding="UTF-8"?>\n<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1">'
    (folder / "xfdumanifest.xml").write_text(f"{head}{streams}</xfdu:XFDU>")


def zip_product(product: Path, path: Path, leading: str = "") -> Path:
    """Zip a product's folder to `path`, its members named `leading`NAME.SEN3/file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(product.iterdir()):
            archive.write(file, f"{leading}{product.name}/{file.name}")
    return path
