"""Reading the oblique view: values, units and grids by hand, and errors that name the file and the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from preprocess.errors import UserError
from preprocess.level1 import Grid, Oblique
from preprocess.oblique import OBLIQUE_FILES
from preprocess.product import read_product
from tests.oblique_files import add_oblique, oblique_files
from tests.products import COSMETIC, FILL, TIE_TRACK, Files, product_files, write_product, zip_product

ROWS, COLUMNS, TRACK, START = 3, 4, -1, 4079


@pytest.fixture
def files() -> Files:
    return oblique_files(ROWS, COLUMNS)


def read(tmp_path: Path, files: Files) -> Oblique:
    folder = write_product(tmp_path, product_files(4, 6))
    add_oblique(folder, files, TRACK, START)
    view = read_product(folder, oblique=True).oblique
    assert view is not None
    return view


@pytest.mark.quick
def test_values_units_and_grids_are_those_of_the_oblique_files(tmp_path: Path, files: Files) -> None:
    """Counts put in by hand: S3 count 250 is 2.5, fill is nothing; S8 count -373 is 280.00 K."""
    files["S3_radiance_ao.nc"]["S3_radiance_ao"][0][0, :2] = 250, FILL
    files["S8_BT_io.nc"]["S8_BT_io"][0][2, 3] = -373
    files["S9_BT_io.nc"]["S9_BT_io"][0][1, 1] = FILL
    files["S1_radiance_ao.nc"]["S1_exception_ao"][0][5, 7] = 2
    files["S7_BT_io.nc"]["S7_exception_io"][0][0, 1] = 16
    files["flags_io.nc"]["confidence_io"][0][1, 2] |= COSMETIC
    files["geometry_to.nc"]["solar_zenith_to"][0][1, 3] = 61.5
    files["geodetic_io.nc"]["latitude_io"][0][0, 0] = 51_250_000
    view = read(tmp_path, files)
    s3 = view.radiances[2].values()
    assert s3[0, 0] == np.float32(2.5)
    assert np.isnan(s3[0, 1])
    assert s3.shape == (2 * ROWS, 2 * COLUMNS)
    assert view.bt[1, 2, 3] == np.float32(280.0)
    assert np.isnan(view.bt[2, 1, 1])
    assert view.bt[0, 0, 0] == np.float32(283.73)
    assert np.argwhere(view.radiance_exception).tolist() == [[0, 5, 7]]
    assert np.argwhere(view.bt_exception).tolist() == [[0, 0, 1]]
    assert np.argwhere(view.confidence.holds("cosmetic")).tolist() == [[1, 2]]
    assert (view.solar_zenith[1, 3], view.solar_zenith[0, 0]) == (61.5, 60.0)
    assert (view.latitude[0, 0], view.latitude[0, 1], view.longitude[0, 0]) == (51.25, 50.0, -10.5)
    assert (view.irradiance == 100).all()
    assert view.detector is None
    assert view.grid_1km == Grid(1000, 1000, TRACK, START)
    assert view.grid_500m == Grid(500, 500, 2 * TRACK, START)
    assert view.grid_tie == Grid(16000, 1000, TIE_TRACK, START)


def test_it_is_read_only_if_asked_for_and_from_a_zip_alike(tmp_path: Path, files: Files) -> None:
    folder = write_product(tmp_path, product_files(4, 6))
    assert read_product(folder).oblique is None
    add_oblique(folder, files, TRACK, START)
    assert read_product(folder).oblique is None
    zipped = read_product(zip_product(folder, tmp_path / "zips" / "one.zip"), oblique=True).oblique
    unzipped = read_product(folder, oblique=True).oblique
    assert zipped is not None
    assert unzipped is not None
    assert np.array_equal(zipped.bt, unzipped.bt)
    assert np.array_equal(zipped.radiances[5].counts, unzipped.radiances[5].counts)


def test_detectors_are_read_where_their_irradiances_differ(tmp_path: Path, files: Files) -> None:
    files["S5_quality_ao.nc"]["S5_solar_irradiance_ao"] = (np.array([100.0, 101.0, 100.0, np.nan]), {})
    detectors = np.arange(4 * ROWS * COLUMNS, dtype=np.uint8).reshape(2 * ROWS, 2 * COLUMNS) % 4
    files["indices_ao.nc"] = {"detector_ao": (detectors, {"_FillValue": np.uint8(255)})}
    view = read(tmp_path, files)
    assert np.array_equal(view.irradiance[4], [100, 101, 100, np.nan], equal_nan=True)
    assert view.detector is not None
    assert np.array_equal(view.detector, detectors)


@pytest.mark.parametrize("name", OBLIQUE_FILES)
def test_a_missing_file_is_named_with_the_way_out(name: str, tmp_path: Path, files: Files) -> None:
    del files[name]
    with pytest.raises(UserError, match=rf"{name} .*missing.*--views nadir"):
        read(tmp_path, files)


def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, files: Files) -> None:
    folder = write_product(tmp_path, product_files(4, 6))
    add_oblique(folder, files, TRACK, START)
    data = (folder / "S8_BT_io.nc").read_bytes()
    (folder / "S8_BT_io.nc").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"S8_BT_io\.nc.*--views nadir"):
        read_product(folder, oblique=True)


@pytest.mark.parametrize(
    ("file", "variable", "values", "said"),
    [
        ("S9_BT_io.nc", "S9_BT_io", np.zeros((ROWS, COLUMNS + 1), np.int16), r"S9_BT_io must be \(3, 4\)"),
        ("S2_radiance_ao.nc", "S2_radiance_ao", np.zeros((ROWS, COLUMNS), np.int16), "twice the oblique 1 km grid"),
        ("S6_quality_ao.nc", "S6_solar_irradiance_ao", np.zeros(4), "must be positive by detector"),
        ("geodetic_io.nc", "longitude_io", np.zeros((ROWS + 1, COLUMNS), np.int32), r"longitude_io must be \(3, 4\)"),
    ],
)
def test_what_does_not_fit_is_named(
    file: str, variable: str, values: np.ndarray, said: str, tmp_path: Path, files: Files
) -> None:
    files[file][variable] = (values, files[file][variable][1])
    with pytest.raises(UserError, match=f"{file}: .*{said}.*--views nadir"):
        read(tmp_path, files)


def test_confidence_without_the_cosmetic_flag_is_refused(tmp_path: Path, files: Files) -> None:
    values, about = files["flags_io.nc"]["confidence_io"]
    renamed = about | {"flag_meanings": about["flag_meanings"].replace("cosmetic", "spare")}
    files["flags_io.nc"]["confidence_io"] = (values, renamed)
    with pytest.raises(UserError, match=r"flags_io\.nc: .*confidence_io must include cosmetic; found coastline"):
        read(tmp_path, files)
