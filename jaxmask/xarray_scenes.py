"""Scenes as xarray holds them, to arrays and back. xarray itself is imported only by who has its arrays."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jaxmask.channels import CHANNELS, REFLECTANCE_CHANNELS, TEMPERATURE_CHANNELS
from jaxmask.physical import CHANNEL_NAMES
from preprocess.errors import UserError

if TYPE_CHECKING:
    import xarray

CHANNEL_DIMENSIONS = ("channel", "channels", "band", "bands")
GRID_DIMENSIONS = ("y", "x")
PHONY = "phony_dim_"  # what netCDF4 calls the dimensions of HDF5 files that name none
SHARD_VARIABLES = ("refs", "bts")
POSITIONS = ("latitude", "longitude")
KIND = ("convention", "calibration", "regridding")
DESCRIBED = {
    "output": "output of the network, between 0 and 1",
    "probability": "probability of cloud",
    "mask": "cloud",
    "valid": "pixel with S8 and S9, of which something is said",
}


@dataclass(frozen=True, eq=False)
class Grid:
    """Nine channels and where they lie.

    image: (H, W, 9) or (B, H, W, 9); valid: (H, W) or (B, H, W) bool, None where only NaN tells; dimensions: names of
    the axes but the channels'; coordinates: on these; kind: convention, calibration and regridding, where known.
    """

    image: NDArray[Any]
    valid: NDArray[np.bool_] | None
    dimensions: tuple[Hashable, ...]
    coordinates: Mapping[Hashable, xarray.DataArray]
    kind: tuple[str, str, str] | None


def from_xarray(data: xarray.DataArray | xarray.Dataset) -> Grid:
    """Take the channels of a DataArray, of a shard opened as a Dataset, or of a Dataset of variables S1 to S9.

    A DataArray's channels lie along a dimension "channel" or "band", or the only one of length 9; if that has names as
    coordinates (S1, S8_BT_in), they are put in order. Other dimensions: rows and columns, and before them at most one.
    Raises UserError if there is no such thing.
    """
    import xarray

    if isinstance(data, xarray.DataArray):
        return _of_array(data)
    if all(name in data for name in SHARD_VARIABLES):
        return _of_shard(data)
    if all(name in data for name in CHANNEL_NAMES):
        return _of_array(data[list(CHANNEL_NAMES)].to_dataarray(CHANNEL_DIMENSIONS[0]))
    raise UserError(
        f"the Dataset: expected variables refs and bts, as in a shard, or S1 to S9; found {', '.join(map(str, data))}"
    )


def to_xarray(grid: Grid, values: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> xarray.Dataset:
    """Return `values`, arrays on the grid, as a Dataset with its dimensions and coordinates."""
    import xarray

    described = {
        name: (grid.dimensions, array, {"long_name": DESCRIBED[name], "units": "1"}) for name, array in values.items()
    }
    return xarray.Dataset(described, dict(grid.coordinates), dict(attributes))


def _of_array(data: xarray.DataArray) -> Grid:
    channel = _channel_dimension(data)
    others: list[Hashable] = [name for name in data.dims if name != channel]
    if set(GRID_DIMENSIONS) <= set(others):  # whatever their order
        others.sort(key=lambda name: GRID_DIMENSIONS.index(str(name)) if name in GRID_DIMENSIONS else -1)
    if len(others) not in (2, 3):
        raise UserError(f"the DataArray: expected rows, columns, '{channel}', or a batch of those; found {data.dims}")
    ordered = _in_order(data, channel).transpose(*others, channel)
    return Grid(ordered.values, None, tuple(others), _coordinates(ordered.coords, others), None)


def _of_shard(data: xarray.Dataset) -> Grid:
    refs, bts = (data[name] for name in SHARD_VARIABLES)
    grid: list[Hashable] = [name for name in refs.dims if name in bts.dims]
    channels = [[name for name in array.dims if name not in grid] for array in (refs, bts)]
    sizes = [[int(data.sizes[name]) for name in names] for names in channels]
    if len(grid) != 2 or sizes != [[REFLECTANCE_CHANNELS], [TEMPERATURE_CHANNELS]]:
        raise UserError(f"the Dataset: expected refs (y, x, 6) and bts (y, x, 3); found {refs.dims} and {bts.dims}")
    image = np.concatenate([array.transpose(*grid, ...).values for array in (refs, bts)], axis=-1)
    positions = {name: data[name] for name in POSITIONS if name in data}
    kept = _coordinates({**data.coords, **positions}, grid)
    named = dict(zip(grid, GRID_DIMENSIONS, strict=True)) if all(str(name).startswith(PHONY) for name in grid) else {}
    return Grid(
        image,
        _valid(data, grid),
        tuple(named.get(name, name) for name in grid),
        {name: _renamed(array, named) for name, array in kept.items()},
        _kind(data.attrs),
    )


def _valid(data: xarray.Dataset, grid: list[Hashable]) -> NDArray[np.bool_] | None:
    if "valid" not in data:
        return None
    valid = data["valid"]
    found: NDArray[np.bool_] = valid.isel(dict.fromkeys(set(valid.dims) - set(grid), 0)).transpose(*grid).values > 0
    return found


def _renamed(array: xarray.DataArray, names: Mapping[Hashable, Hashable]) -> xarray.DataArray:
    return array.rename({old: new for old, new in names.items() if old in array.dims})


def _kind(attributes: Mapping[str, Any]) -> tuple[str, str, str] | None:
    if not all(name in attributes for name in KIND):
        return None
    convention, calibration, regridding = (str(attributes[name]) for name in KIND)
    return convention, calibration, regridding


def _channel_dimension(data: xarray.DataArray) -> Hashable:
    named: list[Hashable] = [name for name in data.dims if name in CHANNEL_DIMENSIONS]
    found = named or [name for name in data.dims if data.sizes[name] == CHANNELS]
    if len(found) != 1 or data.sizes[found[0]] != CHANNELS:
        raise UserError(
            f"the DataArray: expected one dimension 'channel' of length {CHANNELS}, S1 to S9; found {dict(data.sizes)}"
        )
    return found[0]


def _in_order(data: xarray.DataArray, channel: Hashable) -> xarray.DataArray:
    """S1 to S9 by the names of the channels, where they have names."""
    if channel not in data.coords or data.coords[channel].dtype.kind not in "UOT":
        return data
    names = [str(name).split("_")[0].upper() for name in data.coords[channel].values.tolist()]
    if sorted(names) != sorted(CHANNEL_NAMES):
        raise UserError(f"the DataArray: expected the channels {', '.join(CHANNEL_NAMES)}; found {', '.join(names)}")
    return data.isel({channel: [names.index(wanted) for wanted in CHANNEL_NAMES]})


def _coordinates(
    coordinates: Mapping[Any, xarray.DataArray], dimensions: list[Hashable]
) -> dict[Hashable, xarray.DataArray]:
    """Those that lie on the dimensions alone, without what else hangs on them."""
    return {
        name: array.reset_coords(drop=True) for name, array in coordinates.items() if set(array.dims) <= set(dimensions)
    }
