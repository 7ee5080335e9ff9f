"""Edge: write one simulated scene as a product: a .SEN3 folder, or a zip that holds one."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from preprocess.files import whole_file, whole_folder
from preprocess.simulation.geometry import Geometry
from preprocess.simulation.images import image_files
from preprocess.simulation.manifest import MANIFEST, Member, make_manifest
from preprocess.simulation.oblique import on_ties_of
from preprocess.simulation.oblique_files import as_oblique, is_image_file
from preprocess.simulation.positions import position_files, tie_file
from preprocess.simulation.quality import quality_files
from preprocess.simulation.regrid import make_regridding
from preprocess.simulation.scene import SimulatedScene
from preprocess.simulation.schema import ProductFile, Variable

LIBRARY = threading.RLock()
"""Held while a netCDF file is open: the C library crashes when two threads use it, as those of a Dask worker would."""
REGRIDDING_STREAM = {"in": 7001, "an": 7002}
OBLIQUE_STREAM = {"in": 7003, "an": 7004}
"""Sets the draws of regridding apart from those of the scene, which start from the same seed."""
DEFLATE_LEVEL = 2
"""As in the measured files, with the shuffle filter."""
HALVED_ABOVE = 2000
"""Rows of an image from which its chunks are half of it in each direction: the measured 500 m grid."""


def write_product(scene: SimulatedScene, archive: Path) -> Path:
    """Write `archive`/NAME.zip holding NAME.SEN3/, whole or not at all, and return its path.

    Same scene, same arrays and attributes (not the same bytes: the HDF5 library stamps the time into each file).
    Members are stored: netCDF is compressed already.
    """
    path = archive / f"{scene.geometry.plan.name}.zip"
    created = datetime.strptime(scene.geometry.plan.name[48:63], "%Y%m%dT%H%M%S").timetuple()[:6]
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as bundle:
        for name, data in product_members(scene):
            info = zipfile.ZipInfo(f"{scene.geometry.plan.name}.SEN3/{name}", created)
            info.external_attr = 0o644 << 16
            bundle.writestr(info, data)
    return path


def write_folder(scene: SimulatedScene, parent: Path) -> Path:
    """Write `parent`/NAME.SEN3/, whole or not at all, and return its path."""
    path = parent / f"{scene.geometry.plan.name}.SEN3"
    with whole_folder(path) as partial:
        for name, data in product_members(scene):
            (partial / name).write_bytes(data)
    return path


def product_members(scene: SimulatedScene) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of the product, made one by one, the manifest last."""
    geometry, oblique = scene.geometry, scene.oblique
    members = []
    for file in chain(
        _view_files(scene, REGRIDDING_STREAM),
        () if oblique is None else _oblique_files(oblique, geometry),
    ):
        data = netcdf_bytes(file)
        members.append(Member(file.name, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest()))
        yield file.name, data
    yield MANIFEST, make_manifest(geometry, members, None if oblique is None else oblique.geometry).encode()


def _view_files(scene: SimulatedScene, streams: dict[str, int]) -> Iterator[ProductFile]:
    """The files of one view, named as nadir's, and those of no view."""
    geometry = scene.geometry
    draws = {grid: np.random.default_rng([geometry.plan.seed, stream]) for grid, stream in streams.items()}
    cells = {grid: make_regridding(geometry.plan, grid, draws[grid]) for grid in draws}
    yield from image_files(scene, cells["in"], cells["an"])
    yield from position_files(geometry, cells["in"], cells["an"])
    yield from quality_files(geometry.plan, geometry.start_offset)


def _oblique_files(oblique: SimulatedScene, nadir: Geometry) -> Iterator[ProductFile]:
    """The files of the oblique view: its images on its own grid, its angles on the tie grid that both views share."""
    for file in _view_files(oblique, OBLIQUE_STREAM):
        if is_image_file(file):
            yield as_oblique(file)
    yield as_oblique(tie_file(on_ties_of(oblique.geometry, nadir), "geometry"))


def netcdf_bytes(file: ProductFile) -> bytes:
    """The file in netCDF 4, made in memory."""
    with LIBRARY:
        dataset = netCDF4.Dataset(file.name, "w", memory=1)
        try:
            dataset.setncatts(file.attributes)
            for name, size in file.dimensions.items():
                dataset.createDimension(name, size)
            for variable in file.variables:
                _write_variable(dataset, variable)
        except BaseException:
            dataset.close()
            raise
        return bytes(dataset.close())


def _write_variable(dataset: netCDF4.Dataset, variable: Variable) -> None:
    text = isinstance(variable.data, list)
    data = np.asarray(variable.data, object) if text else np.asarray(variable.data)
    filters: dict[str, Any] = {} if text else {"zlib": True, "complevel": DEFLATE_LEVEL, "shuffle": True}
    made = dataset.createVariable(
        variable.name,
        str if text else data.dtype,
        variable.dimensions,
        fill_value=variable.fill,
        chunksizes=_chunks(data.shape),
        **filters,
    )
    made.set_auto_maskandscale(False)
    made.setncatts(variable.attributes)
    made[...] = data


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    large = len(shape) == 2 and min(shape) > HALVED_ABOVE
    return tuple(size // 2 for size in shape) if large else shape
