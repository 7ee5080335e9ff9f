"""Native scenes against an independent reader: satpy's `slstr_l1b`, on the completed real product and a simulated one.

satpy reads what the files hold and stays on the 500 m grid; where we average, its values are averaged here in float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from preprocess.compose import make_scene
from preprocess.level1 import SOLAR_CHANNELS, THERMAL_CHANNELS, Product
from preprocess.product import read_product
from preprocess.radiometry import cosine_of_sun, interpolate_zenith, tie_columns
from preprocess.scene import Scene
from preprocess.simulation.product import write_folder
from tests.real import complete_product
from tests.simulated import random_scene, small_plan

UNCALIBRATED = {f"{channel}_nadir": 1.0 for channel in SOLAR_CHANNELS}

# Shards hold float32, whose steps are 6e-8 of a value; sums of four, a factor and a quotient round a few times.
ROUNDING = 1e-6
# satpy takes the sun's irradiance from viscal.nc, we from S*_quality_an.nc; in the real product the two differ by up to
# 5e-5 (S5: 248.2145 and 248.2244).
IRRADIANCE_ROUNDING = 1e-4
# satpy fills missing tie points by 0 and interpolates all; a cubic spline forgets a knot by 2 - sqrt(3) a step, so that
# 90 degrees are less than 1e-3 degree ten tie points away.
TIE_POINTS_AWAY = 10


@dataclass(frozen=True)
class Case:
    """A product, our reading of it, and our native scenes of it, without calibration and with the notices'."""

    folder: Path
    product: Product
    plain: Scene
    calibrated: Scene


@pytest.fixture(scope="module", params=["real", "simulated"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """400 rows of the real product, from -5 degrees of sun to 8; by day 24 x 40 pixels of random counts."""
    if request.param == "real":
        tool = request.getfixturevalue("complete_product_tool")
        folder = complete_product(tool, tmp_path_factory, "--seed", "0", "--labels", "cloud", "--rows", "400")
    else:
        folder = write_folder(random_scene(small_plan(0)), tmp_path_factory.mktemp("simulated"))
    product = read_product(folder)
    return Case(folder, product, make_scene(product, rads=True), make_scene(product, calibration="notice", rads=True))


@contextmanager
def quiet() -> Iterator[None]:
    """satpy warns of its own configuration, of chunks in dask and of what its libraries will change."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="satpy|pyresample|pyproj|xarray|dask")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


def in_satpy(
    folder: Path, names: tuple[str, ...], calibration: str = "", files: str = "*.nc", **options: Any
) -> list[np.ndarray]:
    """These nadir datasets as satpy reads them from `files` of the folder."""
    satpy = pytest.importorskip("satpy")
    from satpy.dataset.dataid import DataQuery

    with quiet():
        scene = satpy.Scene(reader="slstr_l1b", filenames=sorted(map(str, folder.glob(files))), **options)
        found = []
        for name in names:
            query: dict[str, Any] = {"name": name, "view": "nadir"}
            if calibration:
                query["calibration"] = calibration
            if name in ("latitude", "longitude"):
                query["stripe"] = "i"
            if name not in (*SOLAR_CHANNELS, *THERMAL_CHANNELS):
                query["resolution"] = 1000
            scene.load([DataQuery(**query)])
            found.append(np.asarray(scene[DataQuery(**query)].values))
        return found


def mean_of_known(fine: np.ndarray) -> np.ndarray:
    """The mean of the finite of each 2 x 2 pixels, float64; NaN where there is none."""
    blocks = fine.astype(np.float64).reshape(fine.shape[0] // 2, 2, fine.shape[1] // 2, 2)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    total = np.where(known, blocks, 0).sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def named_detectors(folder: Path) -> np.ndarray:
    """Where all four 500 m pixels of a 1 km pixel know which detector saw them: bool (R, C)."""
    with netCDF4.Dataset(folder / "indices_an.nc") as file:
        detector = np.ma.filled(file["detector_an"][...].astype(np.int64), 255)
    blocks: np.ndarray = (detector < 4).reshape(detector.shape[0] // 2, 2, detector.shape[1] // 2, 2)
    return blocks.all(axis=(1, 3))


def test_brightness_temperatures_are_the_same(case: Case) -> None:
    """Exactly, once satpy's are cast to float32; where it has none, so have we."""
    for index, found in enumerate(in_satpy(case.folder, THERMAL_CHANNELS, "brightness_temperature")):
        expected = found.astype(np.float32)
        known = np.isfinite(expected)
        assert known.mean() > 0.5
        np.testing.assert_array_equal(case.product.bt[index], expected)
        np.testing.assert_array_equal(case.plain.bts[..., index][known], expected[known])
        assert (case.plain.bts[..., index][~known] == 270).all()
        assert not (case.plain.measured[~known] & (1 << (index + 6))).any()


def test_radiances_are_the_same(case: Case) -> None:
    """Uncalibrated, exactly, on the 500 m grid; their means over 2 x 2 within float32."""
    # Only satpy's reader of radiances understands the option, and it is given to the readers of all files there are.
    options = {"files": "S*_radiance_an.nc", "reader_kwargs": {"user_calibration": UNCALIBRATED}}
    radiances = in_satpy(case.folder, SOLAR_CHANNELS, "radiance", **options)
    for index, found in enumerate(radiances):
        np.testing.assert_array_equal(case.product.radiances[index].values(), found.astype(np.float32))
        expected = mean_of_known(found)
        assert np.isfinite(expected).mean() > 0.5
        np.testing.assert_allclose(
            case.plain.rads[..., index],
            np.nan_to_num(expected),
            rtol=ROUNDING,
            atol=ROUNDING,  # type: ignore[index]
        )


def test_calibrated_radiances_are_the_same(case: Case) -> None:
    """satpy's own default is the notices' factors, whatever the collection; both products are of 002."""
    assert case.product.collection == "002"
    for index, found in enumerate(in_satpy(case.folder, SOLAR_CHANNELS, "radiance")):
        expected = np.nan_to_num(mean_of_known(found))
        np.testing.assert_allclose(
            case.calibrated.rads[..., index],
            expected,
            rtol=ROUNDING,
            atol=ROUNDING,  # type: ignore[index]
        )


def test_reflectances_are_the_same(case: Case) -> None:
    """satpy's are per cent, calibrated, and not yet divided by the cosine of the sun's zenith angle: by ours, here."""
    product = case.product
    shape = product.bt.shape[1:]
    zenith = interpolate_zenith(product.solar_zenith, product.grid_tie, product.grid_1km, *shape)
    mu0 = cosine_of_sun(zenith)
    lit = mu0 > 0
    # Where no detector is named, satpy leaves a radiance undivided: 500 m pixels that are fill or lost.
    compared = lit & named_detectors(case.folder)
    assert compared.mean() > 0.3
    for index, found in enumerate(in_satpy(case.folder, SOLAR_CHANNELS, "reflectance")):
        expected = np.nan_to_num(mean_of_known(found) / 100)[compared] / mu0[compared]
        refs = case.calibrated.refs[..., index]
        np.testing.assert_allclose(refs[compared], expected, rtol=IRRADIANCE_ROUNDING, atol=ROUNDING)
        assert not refs[~lit].any()


def test_the_sun_stands_where_satpy_sees_it(case: Case) -> None:
    """Within 0.01 degree, though satpy interpolates sine and cosine by cartesian positions, we angles by columns."""
    product = case.product
    shape = product.bt.shape[1:]
    ours = interpolate_zenith(product.solar_zenith, product.grid_tie, product.grid_1km, *shape)
    (theirs,) = in_satpy(case.folder, ("solar_zenith_angle",))
    missing = np.flatnonzero(~np.isfinite(product.solar_zenith).all(axis=0))
    at = tie_columns(shape[1], product.grid_1km, product.grid_tie)
    away = (np.abs(at[:, None] - missing).min(axis=1, initial=np.inf) >= TIE_POINTS_AWAY) & np.isfinite(ours).all(
        axis=0
    )
    assert away.mean() > 0.9
    assert np.abs(ours - theirs)[:, away].max() < 0.01


def test_positions_are_the_same(case: Case) -> None:
    """Exactly, once satpy's are cast to float32."""
    latitude, longitude = in_satpy(case.folder, ("latitude", "longitude"))
    np.testing.assert_array_equal(case.plain.latitude, latitude.astype(np.float32))
    np.testing.assert_array_equal(case.plain.longitude, longitude.astype(np.float32))
