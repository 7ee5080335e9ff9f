"""Simulated products on disk: described as the measured one, readable by ours and by satpy, true to their scene."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from preprocess.compose import make_scene
from preprocess.manifest import parse_manifest
from preprocess.product import read_product
from preprocess.simulation.images import S7_SATURATES_K
from preprocess.simulation.orbit import sun_distance_au
from preprocess.simulation.product import product_members, write_folder, write_product
from preprocess.simulation.quality import IRRADIANCES
from preprocess.simulation.radiance import RADIANCE_SCALE
from preprocess.simulation.regrid import make_regridding
from preprocess.simulation.scene import SimulatedScene
from tests.simulated import random_scene, small_plan

DAY, NIGHT, UNLABELLED, BASELINE_004 = 0, 2, 6, 3
"""Places of such products in an archive."""
VARYING = {
    "absolute_orbit_number", "comment", "creation_time", "history", "institution", "product_name", "source",
    "start_offset", "start_time", "stop_time", "track_offset",
}  # fmt: skip
"""Global attributes whose value is the product's own."""


@pytest.fixture(scope="module")
def scene() -> SimulatedScene:
    return random_scene(small_plan(DAY))


@pytest.fixture(scope="module")
def folder(scene: SimulatedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(scene, tmp_path_factory.mktemp("product"))


def raw(path: Path, name: str) -> np.ndarray:
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return np.asarray(file[name][...])


def arrays(members: dict[str, bytes]) -> dict[str, np.ndarray]:
    found = {}
    for name, data in members.items():
        if name.endswith(".nc"):
            with netCDF4.Dataset(name, memory=data) as file:
                file.set_auto_maskandscale(False)
                found |= {f"{name}/{key}": np.asarray(variable[...]) for key, variable in file.variables.items()}
    return found


def description(variable: netCDF4.Variable) -> dict[str, Any]:
    """Type, dimensions, compression and attributes, comparable: numpy values with their types."""
    attributes = {name: variable.getncattr(name) for name in variable.ncattrs()}
    filters = {name: variable.filters()[name] for name in ("zlib", "shuffle", "complevel")}
    return {
        "dtype": str(variable.dtype),
        "dimensions": variable.dimensions,
        **({} if variable.dtype is str else filters),
        **{name: (getattr(value, "dtype", str), np.asarray(value).tolist()) for name, value in attributes.items()},
    }


@pytest.mark.quick
def test_every_measured_file_is_described_alike(folder: Path, real_product: Path) -> None:
    """Each variable of each file that both have: name, type, dimensions, filters and every attribute; and global
    attributes, those that vary by type alone. Sizes scale with rows and columns.
    """
    measured = sorted(path.name for path in real_product.glob("*.nc"))
    assert len(measured) == 20
    for name in measured:
        with netCDF4.Dataset(folder / name) as ours, netCDF4.Dataset(real_product / name) as theirs:
            assert list(ours.dimensions) == list(theirs.dimensions), name
            assert sorted(ours.variables) == sorted(theirs.variables), name
            assert ours.data_model == theirs.data_model
            for key, variable in theirs.variables.items():
                # repr, as NaN fill values are not equal to themselves
                assert repr(description(ours[key])) == repr(description(variable)), f"{name}: {key}"
            assert sorted(ours.ncattrs()) == sorted(theirs.ncattrs()), name
            for key in theirs.ncattrs():
                found, expected = ours.getncattr(key), theirs.getncattr(key)
                assert type(found) is type(expected), f"{name}: {key}"
                if key not in VARYING:
                    assert found == expected, f"{name}: {key}"


def test_quality_files_name_the_measured_irradiances(folder: Path, real_product: Path) -> None:
    for channel, irradiance in enumerate(IRRADIANCES, start=1):
        name = f"S{channel}_quality_an.nc"
        key = f"S{channel}_solar_irradiance_an"
        assert raw(folder / name, key).tolist() == raw(real_product / name, key).tolist() == [irradiance] * 4
        key = f"S{channel}_scene_radiance_an"
        assert np.allclose(raw(folder / name, key), raw(real_product / name, key), rtol=1e-12)


def test_offsets_and_resolutions(folder: Path, scene: SimulatedScene) -> None:
    """start_offset is one number on every grid, track_offset doubles at 500 m."""
    expected = {"in": ("[ 1000 1000 ]", -300), "an": ("[ 500 500 ]", -600), "t": ("[ 16000 1000 ]", 64)}
    names = {"S7_BT_in": "in", "S1_radiance_an": "an", "geometry_tn": "t", "cartesian_tx": "t", "geodetic_in": "in"}
    for name, grid in names.items():
        with netCDF4.Dataset(folder / f"{name}.nc") as file:
            assert (file.resolution, file.track_offset) == expected[grid]
            assert file.start_offset == scene.geometry.start_offset


def test_the_manifest_tells_sizes_and_sums(folder: Path) -> None:
    entries = parse_manifest((folder / "xfdumanifest.xml").read_bytes(), "manifest")
    files = {path.name: path.read_bytes() for path in folder.glob("*.nc")}
    assert set(entries) == set(files)
    assert len(files) == 31
    for name, data in files.items():
        assert entries[name].size == len(data)
        assert entries[name].md5 == hashlib.md5(data).hexdigest()


def test_the_manifest_is_written_as_the_real_one(folder: Path, real_product: Path) -> None:
    """The pattern that finds entries in the real manifest (as the stand-in tool's does) finds ours."""
    entry = re.compile(
        r'<byteStream [^>]*size="(\d+)">\s*<fileLocation [^>]*href="\./([^"]+)"/>\s*'
        r'<checksum checksumName="MD5">([0-9a-f]{32})'
    )
    assert len(entry.findall((folder / "xfdumanifest.xml").read_text())) == 31
    assert len(entry.findall((real_product / "xfdumanifest.xml").read_text())) == 110


def test_the_manifest_counts_offsets_in_rows_of_each_grid(folder: Path, real_product: Path) -> None:
    """There startOffset doubles at 500 m, as rows and columns do; in the files' own attributes it does not."""
    size = re.compile(
        r'nadirImageSize grid="(1 km|0.5 km stripe A)">\s*<sentinel3:startOffset>(\d+)<.*?trackOffset>(-?\d+)<'
        r".*?rows>(\d+)<.*?columns>(\d+)<",
        re.DOTALL,
    )
    for product in (folder, real_product):
        coarse, fine = size.findall((product / "xfdumanifest.xml").read_text())
        assert (coarse[0], fine[0]) == ("1 km", "0.5 km stripe A")
        assert [int(number) for number in fine[1:]] == [2 * int(number) for number in coarse[1:]]


def test_our_reader_gives_what_was_written(tmp_path: Path, scene: SimulatedScene) -> None:
    """Measured pixels within float32; cosmetic ones hold a neighbour's, unfilled ones nothing."""
    product = read_product(write_product(scene, tmp_path))
    plan = scene.geometry.plan
    confidence = product.flags["confidence"]
    unfilled, cosmetic = confidence.holds("unfilled"), confidence.holds("cosmetic")
    measured = ~unfilled & ~cosmetic
    assert (product.name, product.collection, product.platform) == (plan.name, "002", "S3A")
    assert np.allclose(product.bt[:, measured], scene.observation.bt[:, measured], rtol=0, atol=1e-4)
    assert np.isnan(product.bt[:, unfilled]).all()
    assert np.isin(np.round(product.bt[1][cosmetic], 2), np.round(scene.observation.bt[1], 2)).all()
    own = product.radiance_exception[0] == 0
    assert own.any()
    assert np.allclose(
        np.stack([packed.values() for packed in product.radiances])[:, own],
        scene.observation.radiance[:, own],
        rtol=0,
        atol=1e-4,
    )
    assert np.abs(product.latitude - scene.geometry.latitude_in).max() < 1e-5  # float32 of degrees
    assert product.grid_500m.track_offset == 2 * product.grid_1km.track_offset == -600
    assert abs(product.sun_distance_au - sun_distance_au(plan.start)) < 1e-9
    assert np.array_equal(product.flags["bayes"].values[measured], scene.label.bayes[measured])
    assert (product.flags["bayes"].values[unfilled] == 255).all()


def test_shards_of_it_hold_the_reflectance_under_each_pixels_own_sun(folder: Path, scene: SimulatedScene) -> None:
    """Angles that the geometry computes at every pixel, not the tie points: those are interpolated to within 0.01
    degrees, which moves 1 / mu0 by 1e-3 at most while the sun stands below 75 degrees of zenith.
    """
    found = make_scene(read_product(folder))
    mu0 = np.cos(np.radians(scene.geometry.solar_zenith_in))
    plan = scene.geometry.plan
    blocks = raw(folder / "S3_radiance_an.nc", "S3_radiance_an").reshape(plan.rows, 2, plan.columns, 2)
    known = (blocks != -32768).all(axis=(1, 3))
    radiance = RADIANCE_SCALE[2] * blocks.mean(axis=(1, 3), dtype=np.float64)
    expected = np.pi * radiance / (IRRADIANCES[2] * mu0)
    assert known.mean() > 0.8
    assert mu0.min() > np.cos(np.radians(75))
    np.testing.assert_allclose(found.refs[..., 2][known], expected[known], rtol=1e-3)
    assert not found.refs[..., 2][(blocks == -32768).all(axis=(1, 3))].any()


def test_flags_of_geography_light_and_filling(folder: Path, scene: SimulatedScene) -> None:
    """By hand: land in the first four columns, coastline on both sides of its edge; everything is day or twilight,
    unfilled pixels too.
    """
    words = raw(folder / "flags_in.nc", "confidence_in")
    land, ocean, coast = (words & 8) > 0, (words & 2) > 0, (words & 1) > 0
    assert land[:, :4].all()
    assert ocean[:, 4:].all()
    assert not (land & ocean).any()
    assert np.argwhere(coast.any(axis=0)).ravel().tolist() == [3, 4]
    assert (((words & 1024) > 0) ^ ((words & 2048) > 0)).all()
    cells = make_regridding(scene.geometry.plan, "in", np.random.default_rng([scene.geometry.plan.seed, 7001]))
    assert np.array_equal((words & 32) > 0, cells.unfilled)
    assert np.array_equal((words & 256) > 0, cells.cosmetic)
    assert np.array_equal((words & 512) > 0, cells.duplicate)
    assert np.array_equal((words & 4096) > 0, scene.observation.glint & ocean)
    cloud = raw(folder / "flags_in.nc", "cloud_in")
    assert np.array_equal((words & 16384) > 0, cloud != 0)


def test_orphans_hold_the_measurements_that_cosmetic_pixels_lost(folder: Path, scene: SimulatedScene) -> None:
    """Row by row, in order of columns, while there is room; empty places are fill, exception 128, confidence 32."""
    image, orphan = raw(folder / "S8_BT_in.nc", "S8_BT_in"), raw(folder / "S8_BT_in.nc", "S8_BT_orphan_in")
    exception = raw(folder / "S8_BT_in.nc", "S8_exception_orphan_in")
    cosmetic = (raw(folder / "flags_in.nc", "confidence_in") & 256) > 0
    counts = np.round((scene.observation.bt[1].astype(np.float64) - 283.73) / 0.01).astype(np.int16)
    for row in range(image.shape[0]):
        lost = counts[row][cosmetic[row]][: orphan.shape[1]]
        assert orphan[row, : lost.size].tolist() == lost.tolist()
        assert (orphan[row, lost.size :] == -32768).all()
        assert (exception[row] == np.where(np.arange(orphan.shape[1]) < lost.size, 0, 128)).all()
        words = raw(folder / "flags_in.nc", "confidence_orphan_in")[row]
        assert (words[lost.size :] == 32).all()
        assert ((words[: lost.size] & 512) > 0).all()
    assert np.array_equal(raw(folder / "S8_BT_in.nc", "S8_exception_in") == 2, cosmetic)
    x = raw(folder / "cartesian_in.nc", "x_orphan_in")
    assert np.array_equal(np.isfinite(x), orphan != -32768)


def test_saturation_is_flagged() -> None:
    scene = random_scene(small_plan(DAY))
    bt = scene.observation.bt.copy()
    bt[0] = S7_SATURATES_K
    hot = replace(scene, observation=replace(scene.observation, bt=bt))
    found = arrays(dict(product_members(hot)))
    assert set(np.unique(found["S7_BT_in.nc/S7_exception_in"])) == {16, 18, 128}
    assert set(np.unique(found["S8_BT_in.nc/S8_exception_in"])) == {0, 2, 128}


def test_by_night_the_solar_channels_hold_fill() -> None:
    found = arrays(dict(product_members(random_scene(small_plan(NIGHT)))))
    assert (found["S1_radiance_an.nc/S1_radiance_an"] == -32768).all()
    exception = found["S1_radiance_an.nc/S1_exception_an"]
    assert np.isin(exception, [1, 3, 128]).all()  # absent, absent and cosmetic, unfilled
    assert (found["flags_in.nc/confidence_in"] & 1024 == 0).all()


def test_labels_and_probabilities_by_collection(scene: SimulatedScene) -> None:
    """255 everywhere where nothing was labelled; bayes_orphan_in has the image's shape; probabilities from 004 on."""
    unlabelled = arrays(dict(product_members(random_scene(small_plan(UNLABELLED)))))
    assert (unlabelled["flags_in.nc/bayes_in"] == 255).all()
    assert (unlabelled["flags_in.nc/bayes_orphan_in"] == 255).all()
    assert unlabelled["flags_in.nc/bayes_orphan_in"].shape == (24, 40)
    assert "flags_in.nc/probability_cloud_single_in" not in unlabelled
    copy = random_scene(small_plan(BASELINE_004))
    found = arrays(dict(product_members(copy)))
    known = (found["flags_in.nc/confidence_in"] & (32 | 256)) == 0
    probability = found["flags_in.nc/probability_cloud_single_in"][known] * 0.01
    assert np.abs(probability - copy.label.probability_single[known]).max() <= 0.005 + 1e-6
    # The same scene, processed twice.
    original = arrays(dict(product_members(scene)))
    assert np.array_equal(original["S8_BT_in.nc/S8_BT_in"], found["S8_BT_in.nc/S8_BT_in"])


def test_same_scene_same_arrays(tmp_path: Path, scene: SimulatedScene) -> None:
    first, second = arrays(dict(product_members(scene))), arrays(dict(product_members(scene)))
    assert list(first) == list(second)
    for name, array in first.items():
        assert array.dtype.kind == "O" or array.tobytes() == second[name].tobytes(), name


def test_zips_hold_one_folder_and_appear_whole(tmp_path: Path, scene: SimulatedScene) -> None:
    path = write_product(scene, tmp_path)
    (tmp_path / "other").mkdir()
    with zipfile.ZipFile(path) as bundle:
        assert {name.split("/")[0] for name in bundle.namelist()} == {f"{scene.geometry.plan.name}.SEN3"}
        assert len(bundle.namelist()) == 32
    broken = replace(scene, label=replace(scene.label, bayes=scene.label.bayes[:3]))
    with pytest.raises((ValueError, IndexError)):
        write_product(broken, path.with_name("other"))
    assert sorted(found.name for found in tmp_path.rglob("*")) == [path.name, "other"]


@pytest.fixture
def satpy_scene(folder: Path) -> Any:
    """The product in satpy, whose start-up warns of its own configuration and of chunks in dask."""
    satpy = pytest.importorskip("satpy")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="satpy|pyresample|pyproj|xarray|dask")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        found = satpy.Scene(reader="slstr_l1b", filenames=[str(path) for path in folder.glob("*.nc")])
        yield found


def test_satpy_reads_channels_positions_and_angles(satpy_scene: Any, folder: Path, scene: SimulatedScene) -> None:
    """S8 and S1 are equal within packing; satpy multiplies S1 by 0.97, its calibration of the nadir view. Its angles
    are a spline of the tie points in sine and cosine: within 0.02 degrees of ours.
    """
    from satpy.dataset.dataid import DataQuery

    angles = {
        "solar_zenith_angle": scene.geometry.solar_zenith_in,
        "satellite_zenith_angle": scene.geometry.sat_zenith_in,
    }
    queries = [DataQuery(name="S8", view="nadir"), DataQuery(name="S1", view="nadir", calibration="radiance")]
    queries += [DataQuery(name=name, view="nadir", stripe="i", resolution=1000) for name in ("latitude", "longitude")]
    queries += [DataQuery(name=name, view="nadir", resolution=1000) for name in angles]
    satpy_scene.load(queries)
    s8, s1 = satpy_scene[queries[0]].values, satpy_scene[queries[1]].values
    own = raw(folder / "S8_BT_in.nc", "S8_exception_in") == 0
    assert np.abs(s8[own] - scene.observation.bt[1][own]).max() < 1e-3
    own = raw(folder / "S1_radiance_an.nc", "S1_exception_an") == 0
    assert np.abs(s1[own] - 0.97 * scene.observation.radiance[0][own]).max() < RADIANCE_SCALE[0] / 10
    assert np.abs(satpy_scene[queries[2]].values - scene.geometry.latitude_in).max() < 1e-5
    assert np.abs(satpy_scene[queries[3]].values - scene.geometry.longitude_in).max() < 1e-5
    for query, ours in zip(queries[4:], angles.values(), strict=True):
        assert np.abs(satpy_scene[query].values - ours).max() < 0.02
