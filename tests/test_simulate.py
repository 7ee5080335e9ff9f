"""The command `simulate`: whole archives, gone on with, refused when they are others', the same for any workers."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from jaxmask.matchup_table import read_table
from preprocess import simulate
from preprocess.command import run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE, UserError
from preprocess.extract import find_zips
from preprocess.product import read_product
from preprocess.simulate import Job, SimulateConfig, main, make_product
from preprocess.simulation.plan import plan_archive
from preprocess.simulation.tables import (
    MATCHUP_COLUMNS,
    label_error_lines,
    write_label_errors,
    write_matchups,
    write_truth,
)
from tests.simulated import random_scene, small_plan

PRODUCTS = 4
COPY = 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulate") / "archive"
    assert main(SimulateConfig(folder, products=PRODUCTS, workers=0, quiet=True)) == EXIT_DONE
    return folder


def stored(path: Path, file: str = "S8_BT_in.nc", name: str = "S8_BT_in") -> np.ndarray:
    with zipfile.ZipFile(path) as bundle:
        member = next(member for member in bundle.namelist() if member.endswith(f"/{file}"))
        with netCDF4.Dataset(file, memory=bundle.read(member)) as dataset:
            dataset.set_auto_maskandscale(False)
            return np.asarray(dataset[name][...])


def truth(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: item[...] for name, item in file.items() if isinstance(item, h5py.Dataset)}


@pytest.mark.quick
def test_an_archive_is_what_design_says(archive: Path) -> None:
    plans = plan_archive(PRODUCTS, "small", 0)
    zips = find_zips(archive / "file_list.txt")
    assert sorted(path.stem for path in zips) == sorted(plan.name for plan in plans)
    assert {path.name for path in archive.iterdir()} == {
        "archive.json", "file_list.txt", "label_errors.json", "sst_matchups.h5", "truth", *(path.name for path in zips),
    }  # fmt: skip
    assert {path.stem for path in (archive / "truth").iterdir()} == {plan.name for plan in plans}
    for plan in plans:
        product = read_product(archive / f"{plan.name}.zip")
        found = truth(archive / "truth" / f"{plan.name}.h5")
        assert product.bt.shape == (3, plan.rows, plan.columns)
        assert {name: array.dtype.str[1:] for name, array in found.items()} == {
            "optical_depth": "f4", "cover_fraction": "f4", "top_height_km": "f4", "dbt8_k": "f4",
            "kind": "u1", "surface": "u1", "cloud": "u1",
        }  # fmt: skip
        assert all(array.shape == (plan.rows, plan.columns) for array in found.values())
        cloud = found["cover_fraction"] * found["optical_depth"] >= 0.15
        assert np.array_equal(found["cloud"] > 0, cloud)
        with h5py.File(archive / "truth" / f"{plan.name}.h5") as file:
            assert file.attrs["product"] == plan.name
            assert json.loads(file.attrs["kinds"])[0] == "clear"
            assert json.loads(file.attrs["surfaces"])[0] == "sea"


def test_a_reprocessed_copy_shows_the_same_scene(archive: Path) -> None:
    plans = plan_archive(PRODUCTS, "small", 0)
    first, copy = (archive / f"{plans[place].name}.zip" for place in (0, COPY))
    assert np.array_equal(stored(first), stored(copy))
    one, other = (truth(archive / "truth" / f"{plans[place].name}.h5") for place in (0, COPY))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_match_ups_are_in_the_originals_layout_and_at_their_pixels(archive: Path) -> None:
    """Column order of the original; each row's position is that of pixel (2 y, 2 x) of its product's 500 m grid."""
    with h5py.File(archive / "sst_matchups.h5") as file:
        assert [name.decode() for name in file["data/axis0"][...]] == list(MATCHUP_COLUMNS)
        assert file["data"].attrs["pandas_type"] == b"frame"
    table = read_table(archive / "sst_matchups.h5")
    names = [Path(str(path)).name.removesuffix(".SEN3") for path in table["cems_path"]]
    plans = plan_archive(PRODUCTS, "small", 0)
    assert set(names) <= {plan.name for plan in plans if plan.copy_of is None}
    assert len(names) > 100
    plan = plans[0]
    rows = np.array([name == plan.name for name in names])
    latitude = stored(archive / f"{plan.name}.zip", "geodetic_an.nc", "latitude_an") * 1e-6
    y, x = (np.asarray(table[name])[rows].astype(int) for name in ("y_cems", "x_cems"))
    assert np.abs(latitude[2 * y, 2 * x] - np.asarray(table["latitude_an"])[rows]).max() < 1e-6
    confidence = stored(archive / f"{plan.name}.zip", "flags_in.nc", "confidence_in")
    assert ((confidence[y, x] & 2) > 0).all()  # buoys float


def test_columns_are_the_originals(reference: Path) -> None:
    with h5py.File(reference / "sst_matchups_A.h5") as file:
        assert [name.decode() for name in file["data/axis0"][...]] == list(MATCHUP_COLUMNS)


def test_a_second_run_makes_what_is_missing_alone(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = SimulateConfig(archive, products=PRODUCTS, workers=0, quiet=True, json=True)
    before = {path: path.stat().st_mtime_ns for path in archive.rglob("*") if path.suffix in (".zip", ".h5")}
    tables = [(archive / name).read_bytes() for name in ("file_list.txt", "label_errors.json")]
    lost = archive / f"{plan_archive(PRODUCTS, 'small', 0)[2].name}.zip"
    counts = stored(lost)
    lost.write_bytes(lost.read_bytes()[:1000])  # as a copy of the archive cut short
    assert main(config) == EXIT_DONE
    assert json.loads(capsys.readouterr().out)["reused"] == PRODUCTS - 1
    assert np.array_equal(stored(lost), counts)
    assert tables == [(archive / name).read_bytes() for name in ("file_list.txt", "label_errors.json")]
    kept = {path for path, time in before.items() if path.stat().st_mtime_ns == time}
    assert {path.name for path in before.keys() - kept} == {lost.name, f"{lost.stem}.h5", "sst_matchups.h5"}


def test_workers_do_not_change_the_products(archive: Path, tmp_path: Path) -> None:
    assert main(SimulateConfig(tmp_path / "two", products=2, workers=2, quiet=True)) == EXIT_DONE
    for plan in plan_archive(2, "small", 0):
        for file, name in (("S3_radiance_an.nc", "S3_radiance_an"), ("flags_in.nc", "bayes_in")):
            ours, theirs = (stored(folder / f"{plan.name}.zip", file, name) for folder in (tmp_path / "two", archive))
            assert np.array_equal(ours, theirs)


def test_another_archives_folder_is_refused(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"archive holds an archive simulated with products 4.*choose another folder"):
        main(SimulateConfig(archive, products=PRODUCTS, seed=1, workers=0, quiet=True))
    arguments = [str(archive), "--products", "5", "--workers", "0"]
    assert run("preprocess.simulate", SimulateConfig, main, arguments) == EXIT_USAGE
    assert "give the same flags" in capsys.readouterr().err


def test_an_unreadable_archive_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "archive.json").write_text("{")
    with pytest.raises(UserError, match=r"archive\.json can't be read"):
        main(SimulateConfig(tmp_path, products=1, workers=0, quiet=True))


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"products": 0}, "--products must be 1 or more; found 0"),
        ({"seed": -1}, "--seed must be 0 to 2147483647; found -1"),
    ],
)
def test_flags_are_checked(tmp_path: Path, flags: dict[str, int], text: str) -> None:
    with pytest.raises(UserError, match=text):
        SimulateConfig(tmp_path, **flags)  # type: ignore[arg-type]


def test_a_product_that_fails_does_not_take_the_rest_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = plan_archive(2, "small", 0)
    real = simulate.simulate_scene

    def fails(geometry, *rest):  # type: ignore[no-untyped-def]
        if geometry.plan == bad:
            raise MemoryError("none left")
        return real(geometry, *rest)

    monkeypatch.setattr(simulate, "simulate_scene", fails)
    assert main(SimulateConfig(tmp_path, products=2, workers=0, quiet=True)) == EXIT_SOME_FAILED
    assert json.loads((tmp_path / "failures.json").read_text()) == [
        {"item": bad.name, "error": "MemoryError: none left"}
    ]
    assert (tmp_path / "file_list.txt").read_text() == f"{good.name}.zip\n"
    assert [path.stem for path in tmp_path.glob("*.zip")] == [good.name]


def test_held_out_archives_show_other_scenes(archive: Path, tmp_path: Path) -> None:
    plan = plan_archive(1, "small", 0)[0]
    (tmp_path / "truth").mkdir()
    make_product(Job(plan, tmp_path, "small", held_out=True))
    assert not np.array_equal(stored(tmp_path / f"{plan.name}.zip"), stored(archive / f"{plan.name}.zip"))


def test_held_out_archives_of_the_same_seed_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "simulate_scene", lambda geometry, *_: random_scene(geometry.plan))
    plans, usual = [], plan_archive(2, "small", 0)

    def noted(job: Job) -> str:
        plans.append(job.plan)
        return make_product(job)

    monkeypatch.setattr(simulate, "make_product", noted)
    assert main(SimulateConfig(tmp_path, products=2, held_out=True, workers=0, quiet=True)) == EXIT_DONE
    assert len(plans) == 2
    for name in ("name", "seed", "start", "centre_latitude"):
        assert not {getattr(plan, name) for plan in plans} & {getattr(plan, name) for plan in usual}


def test_an_archive_without_sea_or_labels_has_empty_tables(tmp_path: Path) -> None:
    scene = random_scene(replace(small_plan(0), labelled=False))
    write_truth(scene, {}, tmp_path / "truth.h5")
    assert write_matchups([tmp_path / "truth.h5"], tmp_path / "table.h5") == 0
    assert not (tmp_path / "table.h5").exists()
    assert write_label_errors([tmp_path / "truth.h5"], tmp_path / "errors.json") == []
    assert len(label_error_lines([])) == 1


def test_label_errors_are_misses_of_cloud_and_alarms_of_clear_sky() -> None:
    row = {"surface": "sea", "time_of_day": "day", "count": 40, "label_cloud_share": 0.75, "single_view_share": 0.5}
    clear = row | {"kind": "clear", "miss_share": None, "false_alarm_share": 0.75}
    cloud = row | {"kind": "stratus", "miss_share": 0.25, "false_alarm_share": None}
    _, alarm, miss = label_error_lines([clear, cloud])
    assert alarm.split() == ["sea", "clear", "40", "false", "alarm", "75.0%", "50.0%"]
    assert miss.split() == ["sea", "stratus", "40", "missed", "25.0%", "50.0%"]
