"""The simulated oblique view: its files, its own grid, its angles, and edges where surface and cloud put them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from preprocess.calibration import NOTICE_FACTORS
from preprocess.compose import make_scene
from preprocess.errors import EXIT_DONE, UserError
from preprocess.manifest import parse_manifest
from preprocess.product import read_product
from preprocess.radiometry import interpolate_zenith
from preprocess.scene import Scene
from preprocess.simulate import SimulateConfig, main
from preprocess.simulation import world as world_module
from preprocess.simulation.clouds import DEFAULT, CloudLayer
from preprocess.simulation.fields import Extent, Field
from preprocess.simulation.geometry import Geometry, first_row_m, make_geometry, oblique_zenith
from preprocess.simulation.label import Label
from preprocess.simulation.oblique import (
    MOST_FURTHER_ROWS,
    Layout,
    direction_of_flight,
    oblique_geometry,
    see_oblique,
    shared_pixels,
    usual_layout,
)
from preprocess.simulation.plan import ROW_M, plan_archive
from preprocess.simulation.product import product_members, write_folder
from preprocess.simulation.quality import IRRADIANCES
from preprocess.simulation.radiance import is_night
from preprocess.simulation.scene import SimulatedScene, simulate_scene
from preprocess.simulation.surface import SurfaceFields, make_surface_fields
from preprocess.simulation.world import make_world
from preprocess.views import as_product, oblique_arrays, offset_between
from tests.simulate_cases import small_geometry

ROWS, COLUMNS, FIRST_DUAL = 64, 48, 10
EDGE_ROW, CLOUD_KM = 40, 8.0
LAYOUT = Layout(down=-3, right=FIRST_DUAL, rows=ROWS, columns=COLUMNS - FIRST_DUAL)
"""Begins and ends three rows earlier than nadir."""
COVERED = (slice(0, ROWS - 3), slice(FIRST_DUAL, None))


def case_geometry() -> Geometry:
    """A sea by day of 64 x 48 pixels, whose oblique view begins in column 10."""
    plan = next(plan for plan in plan_archive(8, "small", 0) if (plan.theme, plan.illumination) == ("sea", "day"))
    return make_geometry(replace(plan, rows=ROWS, columns=COLUMNS, nadir_column=450 + FIRST_DUAL))


def step(edge_m: float) -> Field:
    """-5 before y = edge_m and 5 beyond, whatever x."""
    y = edge_m - 100e3 + 500.0 * np.arange(400)
    return Field(np.where(y >= edge_m, 5.0, -5.0).astype(np.float32)[:, None].repeat(2, 1), 0.0, float(y[0]), 500.0)


def edge_scene(what: str) -> SimulatedScene:
    """Sea before row 40, and beyond it land ("coast"), or the same sea under thick ice cloud at 8 km ("cloud")."""
    geometry = case_geometry()
    edge = step(first_row_m(geometry.plan) + EDGE_ROW * ROW_M)
    layer = CloudLayer(replace(DEFAULT.kinds[3], edge=0.01, tau_median=3.0), edge, 1.0, 5.0, CLOUD_KM, 220.0, 0.0)

    def fields(extent: Extent, theme: Any, rng: np.random.Generator) -> SurfaceFields:
        drawn = make_surface_fields(extent, theme, rng)
        none = float("inf")
        above = {"desert_above": none, "snow_above": none, "ice_above": none}
        return replace(drawn, land=edge, land_above=0.0 if what == "coast" else none, **above)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world_module, "make_surface_fields", fields)
        patch.setattr(world_module, "make_layers", lambda *_: (layer,) if what == "cloud" else ())
        world = make_world(geometry, IRRADIANCES, DEFAULT)
    own = oblique_geometry(geometry, LAYOUT)
    truth, observation = see_oblique(world, geometry, own, IRRADIANCES, DEFAULT)
    oblique = SimulatedScene(own, truth, observation, no_label(own))
    return SimulatedScene(geometry, world.truth, world.observation, no_label(geometry), oblique)


def no_label(geometry: Geometry) -> Label:
    none = np.zeros(geometry.x_in.shape, np.float32)
    return Label(none, none, none.astype(np.uint8))


@pytest.fixture(scope="module")
def scene() -> SimulatedScene:
    return edge_scene("cloud")


@pytest.fixture(scope="module")
def folder(scene: SimulatedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(scene, tmp_path_factory.mktemp("oblique"))


def both_views(folder: Path) -> Scene:
    return make_scene(read_product(folder, oblique=True), views=("nadir", "oblique"))


def edge_row(image: np.ndarray) -> float:
    """The row where an image (R, C) with two levels goes from one to the other, the median over columns."""
    first, last = np.median(image[:5]), np.median(image[-5:])
    beyond = np.abs(image - first) > abs(last - first) / 2
    return float(np.median(beyond.argmax(axis=0)))


@pytest.mark.quick
def test_high_cloud_is_displaced_along_the_track_by_z_tan_zenith(folder: Path, scene: SimulatedScene) -> None:
    """The cloud begins at row 40 in both; obliquely it is seen 8 km tan(54 degrees) earlier: 11 rows.

    Within a pixel, of rounding and the saw-tooth of positions. In temperatures and in reflectances alike.
    """
    found = both_views(folder)
    assert found.oblique_bts is not None
    assert found.oblique_refs is not None
    zenith = np.radians(scene.geometry.sat_zenith_oblique_in[COVERED].mean())
    displaced = 1000 * CLOUD_KM * np.tan(zenith) / ROW_M
    assert displaced > 10
    for nadir, oblique in (
        *((found.bts[..., channel], found.oblique_bts[..., channel]) for channel in range(3)),
        *((found.refs[..., channel], found.oblique_refs[..., channel]) for channel in (0, 2, 3, 4)),
    ):
        assert edge_row(nadir[COVERED]) == pytest.approx(EDGE_ROW, abs=1)
        assert edge_row(nadir[COVERED]) - edge_row(oblique[COVERED]) == pytest.approx(displaced, abs=1)


def test_a_coast_lies_at_the_same_pixels_in_both_views(tmp_path: Path) -> None:
    found = both_views(write_folder(edge_scene("coast"), tmp_path))
    assert found.oblique_bts is not None
    assert found.oblique_refs is not None
    for nadir, oblique in (
        (found.bts[..., 1], found.oblique_bts[..., 1]),
        (found.refs[..., 2], found.oblique_refs[..., 2]),
        (found.refs[..., 4], found.oblique_refs[..., 4]),
    ):
        assert edge_row(nadir[COVERED]) == pytest.approx(EDGE_ROW, abs=1)
        assert edge_row(oblique[COVERED]) == pytest.approx(edge_row(nadir[COVERED]), abs=1)


def test_what_the_oblique_view_did_not_see_is_missing(folder: Path) -> None:
    found = both_views(folder)
    assert found.oblique_valid is not None
    assert found.oblique_bts is not None
    assert found.oblique_measured is not None
    outside = np.ones((ROWS, COLUMNS), bool)
    outside[COVERED] = False
    assert not found.oblique_valid[outside].any()
    assert not found.oblique_measured[outside].any()
    assert (found.oblique_bts[outside] == 270).all()
    assert found.oblique_valid[COVERED].mean() > 0.9
    assert (found.info.oblique_track_offset, found.info.track_offset) == (450, 460)
    assert found.info.start_offset - found.info.oblique_start_offset == 3


def test_reflectance_is_that_of_the_observation_under_its_own_sun(folder: Path, scene: SimulatedScene) -> None:
    """pi L / (E mu0) of what the view saw, its four 500 m pixels averaged; mu0 two minutes after nadir's, which at 50
    degrees of zenith differs by up to 1 %. Angles come from tie points: 1e-3, as nadir's test has it.
    """
    assert scene.oblique is not None
    own = read_product(folder, oblique=True)
    refs = oblique_arrays(own, np.ones(6))["oblique_refs"]
    s3 = scene.oblique.observation.radiance[2].reshape(LAYOUT.rows, 2, LAYOUT.columns, 2).mean(axis=(1, 3))
    expected = np.pi * s3 / (IRRADIANCES[2] * np.cos(np.radians(scene.oblique.geometry.solar_zenith_in)))
    assert own.oblique is not None
    exceptions = own.oblique.radiance_exception[2].reshape(LAYOUT.rows, 2, LAYOUT.columns, 2)
    whole = (exceptions == 0).all(axis=(1, 3))[3:]
    assert whole.sum() > 100  # so far from the track four in ten 500 m pixels are cosmetic
    np.testing.assert_allclose(refs[: ROWS - 3, FIRST_DUAL:, 2][whole], expected[3:][whole], rtol=1e-3)


def test_the_usual_layout_is_the_dual_swath_and_a_few_rows_more() -> None:
    """At full size 900 columns from nadir's 548 on, the track in column 450, as in the measured manifest."""
    full = plan_archive(1, "full", 0)[0]
    layout = usual_layout(make_geometry(replace(full, rows=4)))
    assert (layout.right, layout.columns) == (548, 900)
    assert oblique_geometry(make_geometry(replace(full, rows=4))).plan.nadir_column == 450
    found = set()
    for seed in range(20):
        layout = usual_layout(make_geometry(replace(full, rows=4, columns=1000, seed=seed)))
        assert (layout.right, layout.columns) == (548, 452)
        assert 0 <= -layout.down <= MOST_FURTHER_ROWS
        assert 0 <= layout.rows + layout.down - 4 <= MOST_FURTHER_ROWS
        found.add((layout.down, layout.rows))
    assert len(found) > 4
    with pytest.raises(ValueError, match="no column of it"):
        usual_layout(make_geometry(replace(full, rows=4, columns=40)))


def test_pixels_lie_where_nadirs_of_the_same_cell_do(scene: SimulatedScene) -> None:
    assert scene.oblique is not None
    nadir, own = scene.geometry, scene.oblique.geometry
    here, there = shared_pixels(own, nadir)
    assert there == (COVERED[0], slice(FIRST_DUAL, COLUMNS))
    for name in ("x_in", "y_in", "latitude_in", "longitude_in", "sat_zenith_oblique_in"):
        assert np.array_equal(getattr(own, name)[here], getattr(nadir, name)[there]), name
    fine = [tuple(slice(2 * part.start, 2 * part.stop) for part in parts) for parts in (here, there)]
    assert np.array_equal(own.x_an[fine[0]], nadir.x_an[fine[1]])
    assert np.array_equal(own.y_an[fine[0]], nadir.y_an[fine[1]])
    # What the label and the sea temperatures come from is what the files hold.
    assert np.array_equal(scene.oblique.observation.bt[1:][:, *here], scene.observation.bt_oblique[:, *there])


def test_angles_of_the_oblique_view(scene: SimulatedScene) -> None:
    """The satellite stands ahead, along the heading; the sun has moved by up to 15 degrees an hour for 137 s."""
    assert scene.oblique is not None
    nadir, own = scene.geometry, scene.oblique.geometry
    plan = nadir.plan
    middle = np.array([[first_row_m(plan) + plan.rows / 2 * ROW_M]])
    assert direction_of_flight(plan, np.zeros((1, 1)), middle).item() == pytest.approx(plan.heading_deg, abs=0.1)
    moved = np.abs(own.solar_zenith_tn - nadir.solar_zenith_tn)
    assert np.nanmedian(moved) > 0.05
    assert np.nanmax(moved) < 15 * 137 / 3600
    assert np.array_equal(own.sat_zenith_tn[:, :112], oblique_zenith(nadir.x_tx)[:, :112])
    assert 53 < own.sat_zenith_in.min() <= own.sat_zenith_in.max() < 55


@pytest.mark.parametrize(("theme", "light"), [("coast", "day"), ("sea", "night")])
def test_nadir_files_are_the_same_with_and_without_it(theme: str, light: str) -> None:
    """Every array of every nadir file, and every attribute."""
    geometry = make_geometry(replace(small_geometry(theme, light).plan, nadir_column=460))
    alone, both = (
        dict(product_members(simulate_scene(geometry, IRRADIANCES, views=views)))
        for views in (("nadir",), ("nadir", "oblique"))
    )
    assert set(alone) < set(both)
    for name, data in alone.items():
        if name.endswith(".nc"):
            assert repr(contents(name, data)) == repr(contents(name, both[name])), name
    if light == "night":
        assert is_night(geometry)
        radiance = contents("S1_radiance_ao.nc", both["S1_radiance_ao.nc"])["S1_radiance_ao"]
        assert radiance[0] == np.full(radiance[1], -32768, np.int16).tobytes()


def contents(name: str, data: bytes) -> dict[str, Any]:
    with netCDF4.Dataset(name, memory=data) as file:
        file.set_auto_maskandscale(False)
        found: dict[str, Any] = {key: repr(file.getncattr(key)) for key in file.ncattrs()}
        for key, variable in file.variables.items():
            values = np.asarray(variable[...])
            about = {attribute: repr(variable.getncattr(attribute)) for attribute in variable.ncattrs()}
            found[key] = (values.astype(str).tobytes() if values.dtype == object else values.tobytes(), values.shape)
            found[f"{key}:"] = about
    return found


def test_files_and_manifest_are_as_the_measured_manifest_names_them(folder: Path, real_product: Path) -> None:
    names = {path.name for path in folder.glob("*.nc")}
    manifest = (real_product / "xfdumanifest.xml").read_bytes()
    measured = set(parse_manifest(manifest, "measured"))
    oblique = {name for name in names if re.search(r"_([ai]|t)o\.nc$", name)}
    stripes = re.compile(r"_([bc]o)\.nc$")
    unread = {name for name in measured if name.startswith("F") or stripes.search(name)}
    assert names <= measured
    assert {name for name in measured if re.search(r"_[ait]o\.nc$", name)} - unread == oblique
    own = parse_manifest((folder / "xfdumanifest.xml").read_bytes(), "ours")
    assert set(own) == names
    size = re.compile(
        r'obliqueImageSize grid="(1 km|0.5 km stripe A)">\s*<sentinel3:startOffset>(\d+)<.*?trackOffset>(-?\d+)<'
        r".*?rows>(\d+)<.*?columns>(\d+)<",
        re.DOTALL,
    )
    for text in ((folder / "xfdumanifest.xml").read_text(), manifest.decode()):
        coarse, fine = size.findall(text)
        assert (coarse[0], fine[0]) == ("1 km", "0.5 km stripe A")
        assert [int(number) for number in fine[1:]] == [2 * int(number) for number in coarse[1:]]


def test_oblique_files_are_described_as_nadirs(folder: Path) -> None:
    for name in ("S8_BT_io", "S3_radiance_ao", "flags_io", "geodetic_io", "S2_quality_ao", "geometry_to", "indices_ao"):
        twin = re.sub("o$", "n", name)
        with netCDF4.Dataset(folder / f"{name}.nc") as ours, netCDF4.Dataset(folder / f"{twin}.nc") as nadirs:
            assert len(ours.variables) == len(nadirs.variables)
            for key, variable in nadirs.variables.items():
                own = ours[re.sub("n$", "o", key)] if key[-3:] in ("_an", "_in", "_tn") else ours[key]
                assert own.dtype == variable.dtype
                assert own.dimensions == variable.dimensions
                assert own.ncattrs() == variable.ncattrs()
                for text in ("long_name", "scale_factor", "flag_meanings"):
                    if text in own.ncattrs():
                        expected = variable.getncattr(text)
                        if isinstance(expected, str):
                            expected = expected.replace("nadir", "oblique")
                        assert own.getncattr(text) == expected


def test_the_command_simulates_it_and_keeps_archives_apart(tmp_path: Path) -> None:
    """From command to scene: all of product 0 lies within the oblique view's swath."""
    config = SimulateConfig(tmp_path / "both", products=1, views="nadir,oblique", workers=0, quiet=True)
    assert main(config) == EXIT_DONE
    path = tmp_path / "both" / f"{plan_archive(1, 'small', 0)[0].name}.zip"
    found = make_scene(read_product(path, oblique=True), views=("nadir", "oblique"))
    assert found.oblique_valid is not None
    assert found.oblique_valid.mean() > 0.9
    with pytest.raises(UserError, match=r"views nadir,oblique; this run asks for .*simulator \d+: give"):
        main(replace(config, views="nadir"))


@pytest.fixture
def satpy_scene(folder: Path) -> Iterator[Any]:
    """The product in satpy, whose start-up warns of its own configuration and of chunks in dask."""
    satpy = pytest.importorskip("satpy")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="satpy|pyresample|pyproj|xarray|dask")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield satpy.Scene(reader="slstr_l1b", filenames=[str(path) for path in folder.glob("*.nc")])


def test_satpy_reads_the_same_oblique_view(satpy_scene: Any, folder: Path) -> None:
    """Temperatures, radiances (times satpy's own calibration of the oblique view) and positions; sun angles within 0.01
    degrees: satpy's spline through the same tie points is not ours.
    """
    from satpy.dataset.dataid import DataQuery

    product = read_product(folder, oblique=True)
    assert product.oblique is not None
    bts = [DataQuery(name=f"S{channel}", view="oblique") for channel in (7, 8, 9)]
    solar = [DataQuery(name=f"S{c}", view="oblique", stripe="a", calibration="radiance") for c in range(1, 7)]
    places = [DataQuery(name=name, view="oblique", stripe="i", resolution=1000) for name in ("latitude", "longitude")]
    sun = DataQuery(name="solar_zenith_angle", view="oblique", resolution=1000)
    satpy_scene.load([*bts, *solar, *places, sun])
    for query, ours in zip(bts, product.oblique.bt, strict=True):
        assert np.array_equal(satpy_scene[query].values.astype(np.float32), ours, equal_nan=True)
    for query, ours, factor in zip(solar, product.oblique.radiances, NOTICE_FACTORS["oblique"], strict=True):
        np.testing.assert_allclose(satpy_scene[query].values, factor * ours.values("f8"), rtol=1e-6)
    for query, ours in zip(places, (product.oblique.latitude, product.oblique.longitude), strict=True):
        np.testing.assert_allclose(satpy_scene[query].values, ours, rtol=0, atol=1e-5)
    own = as_product(product)
    zenith = interpolate_zenith(own.solar_zenith, own.grid_tie, own.grid_1km, LAYOUT.rows, LAYOUT.columns)
    assert offset_between(own.grid_1km, product.grid_1km).down == -3
    assert np.isnan(zenith[:3]).all()  # before the first tie point
    assert np.abs(satpy_scene[sun].values - zenith)[3:].max() < 0.01
