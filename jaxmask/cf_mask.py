"""Edge: a finished mask as a netCDF file by the CF conventions 1.11, on the product's own grid."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from h5py._objects import phil
from netCDF4 import Dataset
from numpy.typing import NDArray
from scipy.special import expit, logit

from jaxmask.maskfile import Mask
from jaxmask.probability import LogitLine
from preprocess.errors import UserError
from preprocess.files import whole_file
from preprocess.grid import nearest
from preprocess.names import parse_name
from preprocess.scene import SceneInfo

CONVENTIONS = "CF-1.11"
DIMENSIONS = ("row", "column")
COORDINATES = "time latitude longitude"
CLEAR, CLOUD, UNDECIDED = 0, 1, -1  # of the flag; the last where the pixel is invalid
COMPRESSION_LEVEL: Final = 1  # more would take longer for hardly smaller files
REFERENCES = "https://arxiv.org/abs/1505.04597 (U-Net); https://cfconventions.org"
SETTING_PREFIX = "mask_"  # of global attributes that repeat the mask file's
# Attributes of the mask file that are said otherwise here.
NO_SETTINGS = ("product", "rows", "columns", "probability_slope", "probability_intercept")


def write_cf_mask(
    path: Path, mask: Mask, info: SceneInfo, probability: NDArray[np.float32], line: LogitLine | None = None
) -> None:
    """Write `path`, whole or not at all: probability, flag, validity and position of each pixel, and the time.

    mask: its values, spread by the buffer, give the flag at its threshold; probability: (H, W) float32, P(cloud), not
    spread; line: how it came from the network's logits, if that is known. Native arrays are cut, or filled up with
    invalid pixels, to the product's rows and columns. Those of the reference convention are on the grid to which the
    original has stretched the product: each pixel of the product takes the nearest of them, which is one that has its
    position. A product of more pixels than that grid stays on it. The file says all this.
    Raises UserError naming the mask if the product's positions or its time are not known.
    """
    _check_positions(path, mask)
    variables = _arrays(mask, probability, info)
    attributes = _global_attributes(mask, info, line)
    time = _seconds_since_1970(path, info)
    with whole_file(path) as partial:
        try:
            _write(partial, variables, time, attributes, _flag_comment(mask, line))
        except RuntimeError:  # all that the netCDF library says of any disk: let this one speak for itself
            partial.write_bytes(bytes(sum(array.nbytes for array in variables.values())))
            raise


def _is_shrunk(mask: Mask, info: SceneInfo) -> bool:
    """Whether the original's grid has left out pixels of the product; so, too, if its size is unknown."""
    rows, columns = mask.probability.shape
    stretched = info.convention == "reference"
    return stretched and not (0 < info.rows <= rows and 0 < info.columns <= columns)


def _arrays(mask: Mask, probability: NDArray[np.float32], info: SceneInfo) -> dict[str, NDArray[Any]]:
    rows, columns = mask.probability.shape
    cloud = np.where(mask.valid, np.where(mask.probability > mask.threshold, CLOUD, CLEAR), UNDECIDED)
    arrays = {
        "cloud_probability": (np.where(mask.valid, probability, np.float32(np.nan)), np.nan),
        "cloud": (cloud.astype(np.int8), UNDECIDED),
        "valid": (mask.valid.astype(np.int8), 0),
        "latitude": (np.asarray(mask.latitude), np.nan),
        "longitude": (np.asarray(mask.longitude), np.nan),
    }
    if _is_shrunk(mask, info):
        return {name: array for name, (array, _) in arrays.items()}
    if info.convention == "reference":
        return {name: nearest(array, info.rows, info.columns) for name, (array, _) in arrays.items()}
    shape = info.rows or rows, info.columns or columns
    return {name: _fitted(array, shape, missing) for name, (array, missing) in arrays.items()}


def _fitted(array: NDArray[Any], shape: tuple[int, int], missing: float) -> NDArray[Any]:
    """Cut, or filled up with `missing`, at the bottom and right."""
    if array.shape == shape:
        return array
    kept = array[: shape[0], : shape[1]]
    fitted = np.full(shape, missing, array.dtype)
    fitted[: kept.shape[0], : kept.shape[1]] = kept
    return fitted


def _write(
    path: Path, arrays: dict[str, NDArray[Any]], time: float, attributes: dict[str, Any], flag_comment: str
) -> None:
    # Where h5py and netCDF4 share one HDF5 library, which knows no threads, this lock keeps readers out (h5py's
    # documentation, "Multi-threading").
    with phil, Dataset(path, "w") as file:
        file.setncatts(attributes)
        for name, length in zip(DIMENSIONS, arrays["cloud"].shape, strict=True):
            file.createDimension(name, length)
        file.createVariable("time", "f8").setncatts(TIME)
        file["time"][...] = time
        for name, array in arrays.items():
            kind, fill = array.dtype.newbyteorder("="), FILL.get(name)
            variable = file.createVariable(
                name, kind, DIMENSIONS, compression="zlib", complevel=COMPRESSION_LEVEL, fill_value=fill
            )
            variable.set_auto_maskandscale(False)
            variable.setncatts(VARIABLES[name] | ({"comment": flag_comment} if name == "cloud" else {}))
            variable[...] = array


TIME = {
    "standard_name": "time",
    "long_name": "start of sensing of the product",
    "units": "seconds since 1970-01-01 00:00:00",
    "calendar": "standard",
    "units_metadata": "leap_seconds: none",
}
FILL = {name: np.float32(np.nan) for name in ("cloud_probability", "latitude", "longitude")} | {
    "cloud": np.int8(UNDECIDED)
}
VARIABLES: dict[str, dict[str, Any]] = {
    "cloud_probability": {
        "long_name": "probability that the pixel is cloudy",
        "units": "1",
        "valid_range": np.array([0, 1], np.float32),
        "coordinates": COORDINATES,
        "ancillary_variables": "valid",
    },
    "cloud": {
        "standard_name": "cloud_binary_mask",
        "long_name": "cloud mask",
        "flag_values": np.array([CLEAR, CLOUD], np.int8),
        "flag_meanings": "clear cloud",
        "coordinates": COORDINATES,
        "ancillary_variables": "valid",
    },
    "valid": {
        "standard_name": "status_flag",
        "long_name": "whether the pixel holds measurements that can be judged",
        "flag_values": np.array([0, 1], np.int8),
        "flag_meanings": "invalid valid",
        "coordinates": COORDINATES,
    },
    "latitude": {"standard_name": "latitude", "long_name": "latitude of the centre", "units": "degrees_north"},
    "longitude": {
        "standard_name": "longitude",
        "long_name": "longitude of the centre",
        "units": "degrees_east",
    },
}


def _global_attributes(mask: Mask, info: SceneInfo, line: LogitLine | None) -> dict[str, Any]:
    settings = {name: value for name, value in mask.attributes.items() if name not in NO_SETTINGS}
    version = settings.pop("jaxmask", "of unknown version")
    satellite = f"Sentinel-{info.platform[1:]}" if info.platform else "Sentinel-3"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Conventions": CONVENTIONS,
        "title": f"Cloud mask of {satellite} SLSTR, 1 km, nadir view",
        "source": f"{satellite} SLSTR level 1 product {info.product}; U-Net {settings.get('model', 'unknown')}",
        "history": f"{now} made by jaxmask {version}",
        "references": REFERENCES,
        "comment": _grid_comment(mask, info),
        "product": info.product,
        "platform": satellite,
        "instrument": "SLSTR",
        "track_offset": np.int32(info.track_offset),
        "start_offset": np.int32(info.start_offset),
        "jaxmask_version": version,
        **{f"{SETTING_PREFIX}{name}": _plain(value) for name, value in settings.items()},
        **({"probability_slope": line.slope, "probability_intercept": line.intercept} if line else {}),
    }


def _grid_comment(mask: Mask, info: SceneInfo) -> str:
    rows, columns = mask.probability.shape
    stretch = (
        f"the product stretched from {info.rows} x {info.columns} to {rows} x {columns}, as the original program does"
    )
    if _is_shrunk(mask, info):
        return f"Row and column are those of {stretch}; positions are those of the nearest pixel of the product."
    own = "Row and column are those of the product's 1 km nadir grid (files *_in.nc), counted from 0."
    if info.convention != "reference" or (rows, columns) == (info.rows, info.columns):
        return own
    return f"{own} Each value is that of the nearest pixel of {stretch}."


def _flag_comment(mask: Mask, line: LogitLine | None) -> str:
    """What the flag means, in terms of this file's probability as far as they are known."""
    threshold, quantity = mask.threshold, mask.attributes.get("quantity", "q")
    words = f"cloud where the network's output exceeds {threshold:g}"
    if quantity == "P":
        words = f"cloud where cloud_probability exceeds {threshold:g}"
    elif line is not None:
        same = expit(line.slope * logit(threshold) + line.intercept)
        words += f", which is a cloud_probability of {same:.4g}"
    if buffer := int(mask.attributes.get("buffer", 0)):
        words += f", and within {buffer} pixels of such a valid pixel"
    return f"{words}; missing where the pixel is not valid"


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool | np.bool_) else value


def _check_positions(path: Path, mask: Mask) -> None:
    if mask.latitude is None or mask.longitude is None or not np.isfinite(mask.latitude).any():
        raise UserError(
            f"{path}: a netCDF file needs the pixels' positions, which shards of the original's program do not hold; "
            "leave out --netcdf, or give infer the raw product"
        )


def _seconds_since_1970(path: Path, info: SceneInfo) -> float:
    text = info.start_time or parse_name(info.product).start_time
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{path}: a netCDF file needs the product's start time, as 2018-05-31T10:23:38Z; found {text!r}: "
            "leave out --netcdf, or convert the product again"
        ) from None
    seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return math.floor(seconds * 1e6 + 0.5) / 1e6
