"""The least that any reader of a product must do, each alone: read the bytes, check them, inflate them."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import deflate
import h5py

from preprocess.level1 import SOLAR_CHANNELS, THERMAL_CHANNELS

# What a native shard is made of, by file.
NEEDED = {
    **{f"{name}_radiance_an.nc": (f"{name}_radiance_an", f"{name}_exception_an") for name in SOLAR_CHANNELS},
    **{f"{name}_quality_an.nc": (f"{name}_solar_irradiance_an",) for name in SOLAR_CHANNELS},
    **{f"{name}_BT_in.nc": (f"{name}_BT_in", f"{name}_exception_in") for name in THERMAL_CHANNELS},
    "flags_in.nc": ("confidence_in", "bayes_in"),
    "geodetic_in.nc": ("latitude_in", "longitude_in"),
    "geometry_tn.nc": ("solar_zenith_tn",),
}


def floors(product: Path) -> dict[str, Callable[[], object]]:
    """Work by name, on the needed files of a .SEN3 folder (warm in the system's cache)."""
    data = [(product / file).read_bytes() for file in NEEDED]
    chunks = compressed_chunks(product)
    return {
        "read the bytes": lambda: [(product / file).read_bytes() for file in NEEDED],
        "MD5 of the bytes": lambda: [hashlib.md5(part, usedforsecurity=False).digest() for part in data],
        "inflate, zlib": lambda: [zlib.decompress(chunk) for chunk, _ in chunks],
        "inflate, libdeflate": lambda: [deflate.zlib_decompress(chunk, size) for chunk, size in chunks],
        "read the arrays, h5py": partial(read_arrays, product),
    }


def needed_bytes(product: Path) -> int:
    """The size of the needed files."""
    return sum((product / file).stat().st_size for file in NEEDED)


def read_arrays(product: Path) -> None:
    """Read every needed array with h5py, as stored."""
    for file, variables in NEEDED.items():
        with h5py.File(product / file) as opened:
            for variable in variables:
                opened[variable][...]


def compressed_chunks(product: Path) -> list[tuple[bytes, int]]:
    """The deflated chunks of every needed array, as stored, each with its size once inflated."""
    chunks = []
    for file, variables in NEEDED.items():
        with h5py.File(product / file) as opened:
            for dataset in (opened[variable] for variable in variables):
                if dataset.compression == "gzip":
                    chunks += [_deflated(dataset, index) for index in range(dataset.id.get_num_chunks())]
    return chunks


def _deflated(dataset: h5py.Dataset, index: int) -> tuple[bytes, int]:
    chunk: bytes = dataset.id.read_direct_chunk(dataset.id.get_chunk_info(index).chunk_offset)[1]
    return chunk, math.prod(dataset.chunks) * dataset.dtype.itemsize
