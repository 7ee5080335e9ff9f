"""The oblique files of a small product for tests: laid out as the measured manifest and satpy's reader name them."""

from __future__ import annotations

import re
from pathlib import Path

import netCDF4
import numpy as np

from tests.products import START_OFFSET, TIE_TRACK, Files, product_files, write_manifest, write_variable


def oblique_files(rows: int, columns: int) -> Files:
    """As `product_files`, of the oblique view: radiance 10.00, 283.73 K, sun at 60 degrees, 50 N 10.5 W."""
    return {
        _oblique(file): {_oblique(name): variable for name, variable in variables.items()}
        for file, variables in product_files(rows, columns).items()
    }


def add_oblique(folder: Path, files: Files, track: int, start: int = START_OFFSET) -> None:
    """Write the oblique files into a product's folder, and its manifest anew; `track` and `start` are of 1 km."""
    for file, variables in files.items():
        attributes = {"resolution": "[ 1000 1000 ]", "track_offset": np.int32(track), "start_offset": np.int32(start)}
        if "_ao" in file:
            attributes |= {"resolution": "[ 500 500 ]", "track_offset": np.int32(2 * track)}
        elif "_to" in file:
            attributes |= {"resolution": "[ 16000 1000 ]", "track_offset": np.int32(TIE_TRACK)}
        with netCDF4.Dataset(folder / file, "w") as dataset:
            dataset.setncatts(attributes)
            for name, (data, about) in variables.items():
                write_variable(dataset, name, data, about)
    write_manifest(folder)


def _oblique(name: str) -> str:
    return re.sub(r"_([ait])n(\.nc)?$", r"_\1o\2", name)
