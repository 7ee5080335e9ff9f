"""What users do wrong, stage by stage: exit code, one message that names the culprit and the remedy, nothing lost."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import pickle
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pandas as pd
import pytest

from preprocess.command import Output, run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE
from tests.products import write_manifest
from tests.shards import make_published_shard, make_shard, make_shards, product_name

SMALLEST_TRAINING = "--features 2 --patch-size 32 --clip-offset 2 --epochs 1"


@dataclasses.dataclass(frozen=True)
class Bad:
    """One bad input: the command, what it must say (all of `words`), and how it must end."""

    name: str
    command: str  # {w} is the workspace, {out} a new folder
    words: tuple[str, ...]
    code: int = EXIT_USAGE
    makes: tuple[str, ...] = ()  # files that must appear all the same


def call(command: str) -> int:
    """Run a stage in this process as its command line would."""
    module_name, *argv = command.split()
    module = importlib.import_module(module_name)
    configs = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Output) and value.__module__.startswith(module_name)
    ]
    return run(module_name, configs[0], module.main, argv)


@pytest.fixture(autouse=True)
def _keep_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good things of every kind beside bad ones."""
    w = tmp_path_factory.mktemp("workspace")
    assert call(f"preprocess.simulate {w}/archive --products 2 --workers 0 --quiet") == EXIT_DONE
    assert call(f"preprocess.extract {w}/archive/file_list.txt {w}/extracted --workers 0 --quiet") == EXIT_DONE
    make_shards(w / "hdf", 3)
    assert call(f"jaxmask.train {w}/hdf {w}/model {SMALLEST_TRAINING} --global-batch-size 8 --quiet") == 0
    assert call(f"jaxmask.infer {w}/model {w}/hdf {w}/predictions --quiet") == EXIT_DONE
    (w / "empty").mkdir()
    (w / "empty.txt").write_text("# nothing\n\n")
    (w / "text.txt").write_text("this is neither zip nor HDF\n")
    bad_zips(w)
    bad_products(w)
    bad_shards(w)
    bad_models(w)
    bad_tables(w)
    return w


def bad_zips(w: Path) -> None:
    folder = w / "zips"
    folder.mkdir()
    good = sorted((w / "archive").glob("*.zip"))
    shutil.copy(good[0], folder)
    (folder / "truncated.zip").write_bytes(good[1].read_bytes()[:100_000])
    (folder / "text.zip").write_text("not a zip")
    with zipfile.ZipFile(folder / "hostile.zip", "w") as archive:
        archive.writestr("../../escaped.txt", "out")
    lines = [str(path) for path in sorted(folder.iterdir())] + [str(folder / "absent.zip")]
    (w / "bad_list.txt").write_text("\n".join(lines) + "\n")


def bad_products(w: Path) -> None:
    good = sorted((w / "extracted").glob("*.SEN3"))
    folder = w / "products"
    shutil.copytree(good[0], folder / good[0].name)
    for damage, product in (("missing", 10), ("truncated", 11), ("shape", 12)):
        broken = folder / f"{product_name(product)}.SEN3"
        shutil.copytree(good[1], broken)
        if damage == "missing":
            (broken / "S3_radiance_an.nc").unlink()
        elif damage == "truncated":
            path = broken / "S8_BT_in.nc"
            path.write_bytes(path.read_bytes()[:2000])
        else:
            rewrite_smaller(broken / "flags_in.nc", "bayes_in")
            write_manifest(broken)  # which knows no better


def rewrite_smaller(path: Path, variable: str) -> None:
    """Write `path` again, its `variable` with half the rows."""
    with netCDF4.Dataset(path) as old:
        old.set_auto_maskandscale(False)
        with netCDF4.Dataset(path.with_suffix(".new"), "w") as new:
            new.setncatts(old.__dict__)
            for name, dimension in old.dimensions.items():
                new.createDimension(name, dimension.size)
            new.createDimension("half_rows", old.dimensions["rows"].size // 2)
            for name, var in old.variables.items():
                dimensions = ("half_rows", *var.dimensions[1:]) if name == variable else var.dimensions
                copy = new.createVariable(name, var.dtype, dimensions, fill_value=var.__dict__.get("_FillValue"))
                copy.set_auto_maskandscale(False)
                copy.setncatts({key: value for key, value in var.__dict__.items() if key != "_FillValue"})
                copy[...] = var[: copy.shape[0]] if name == variable else var[...]
    path.with_suffix(".new").replace(path)


def bad_shards(w: Path) -> None:
    make_shards(w / "unlabelled", 2, labelled=False)
    make_shards(w / "single", 1)
    make_shards(w / "mixed", 1)
    make_shards(w / "baselines", 1)
    make_shard(w / "baselines" / "day" / f"{product_name(5)}.hdf", collection="004")
    make_published_shard(w / "mixed" / "day" / f"{product_name(5)}.hdf")
    for name in ("damaged", "misshapen"):
        make_shards(w / name, 3)
    path = w / "damaged" / "day" / f"{product_name(1)}.hdf"
    path.write_bytes(path.read_bytes()[:3000])
    with h5py.File(w / "misshapen" / "day" / f"{product_name(1)}.hdf", "r+") as file:
        del file["bts"]
        file["bts"] = np.zeros((64, 96, 2), np.float32)


def bad_models(w: Path) -> None:
    (w / "no_config").mkdir()
    (w / "no_config" / "notes.txt").write_text("?")
    shutil.copytree(w / "model", w / "no_checkpoint")
    shutil.rmtree(w / "no_checkpoint" / "checkpoints")
    shutil.copytree(w / "model", w / "bad_config")
    (w / "bad_config" / "config.json").write_text('{"flags": ')
    (w / "bad_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    make_published_shard(w / "not_a_model.h5")


class Hostile:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("touch /tmp/jaxmask-was-here",)


def bad_tables(w: Path) -> None:
    columns = "ISST SLAT SLON latitude_an longitude_an SATZAN SATZAO quality_level sst_algorithm_type pcloudn pcloudo"
    columns += " bayes_in sat_sst_0 sat_sst_1 sat_sst_2 sat_sst_3 y_cems x_cems"
    table = pd.DataFrame({name: [1.0, 2.0] for name in columns.split()})
    table["cems_path"] = "/neodc/S3A_SL_1_RBT____of_another_archive.SEN3"
    table.to_csv(w / "strangers.csv", index=False)
    table.drop(columns="quality_level").to_csv(w / "no_quality.csv", index=False)
    with h5py.File(w / "archive" / "sst_matchups.h5") as source, h5py.File(w / "hostile.h5", "w") as file:
        source.copy("data", file)
        attributes = dict(file["data"].attrs)
        name = next(
            f"block{index}_values"
            for index in range(int(attributes["nblocks"]))
            if file[f"data/block{index}_values"].dtype == object
        )
        file[f"data/{name}"][0] = np.frombuffer(pickle.dumps(Hostile()), np.uint8)
    make_shard(w / "shard_as_mask" / "S3A.h5")


CASES = (
    Bad("extract: no list", "preprocess.extract {w}/absent.txt {out}", ("absent.txt",)),
    Bad("extract: empty list", "preprocess.extract {w}/empty.txt {out}", ("empty.txt",)),
    Bad(
        "extract: bad zips among good ones",
        "preprocess.extract {w}/bad_list.txt {out} --workers 0",
        ("truncated.zip", "text.zip", "hostile.zip", "absent.zip", "4 failed", "failures.json"),
        EXIT_SOME_FAILED,
        ("*.SEN3/S1_radiance_an.nc", "failures.json"),
    ),
    Bad("extract: output is a file", "preprocess.extract {w}/archive {w}/text.txt", ("text.txt", "can't be written")),
    Bad("convert: no input", "preprocess.convert {w}/absent {out}", ("absent",)),
    Bad("convert: empty folder", "preprocess.convert {w}/empty {out}", ("empty", ".SEN3")),
    Bad(
        "convert: bad products among good ones",
        "preprocess.convert {w}/products {out} --shape native --workers 0",
        ("S3_radiance_an.nc is missing", "S8_BT_in.nc", "truncated", "bayes_in must be", "3 failed"),
        EXIT_SOME_FAILED,
        ("*/*.hdf", "failures.json"),
    ),
    Bad("convert: read-only output", "preprocess.convert {w}/extracted /proc/jaxmask", ("/proc/jaxmask", "another")),
    Bad("convert: shape", "preprocess.convert {w}/extracted {out} --shape 12", ("--shape", "12", "1200x1500")),
    Bad("convert: convention", "preprocess.convert {w}/extracted {out} --convention new", ("--convention", "native")),
    Bad("convert: label", "preprocess.convert {w}/extracted {out} --label probability:5", ("--label", "probability:5")),
    Bad(
        "convert: calibration",
        "preprocess.convert {w}/extracted {out} --calibration {w}/absent.json",
        ("--calibration", "none, notice", "absent.json"),
    ),
    Bad("convert: unknown flag", "preprocess.convert {w}/extracted {out} --speed 3", ("--speed", "--help")),
    Bad("train: no shards", "jaxmask.train {w}/absent {out}", ("absent",)),
    Bad("train: empty folder", "jaxmask.train {w}/empty {out}", ("empty", "preprocess.convert")),
    Bad("train: unlabelled only", "jaxmask.train {w}/unlabelled {out} --patch-size 32", ("unlabelled", "label")),
    Bad("train: one product", "jaxmask.train {w}/single {out} --patch-size 32", ("--train-split 1",)),
    Bad(
        "train: mixed baselines", "jaxmask.train {w}/baselines {out} --patch-size 32", ("002", "004", "--mix baselines")
    ),
    Bad("train: mixed conventions", "jaxmask.train {w}/mixed {out} --patch-size 32", ("convention", "native")),
    Bad(
        "train: damaged shard among good ones",
        f"jaxmask.train {{w}}/damaged {{out}} {SMALLEST_TRAINING} --global-batch-size 8",
        (product_name(1), "truncated", "1 failed"),
        EXIT_SOME_FAILED,
        ("checkpoints", "history.jsonl", "failures.json"),
    ),
    Bad("train: patch too large", "jaxmask.train {w}/hdf {out} --patch-size 256", ("--patch-size", "64")),
    Bad("train: odd patch", "jaxmask.train {w}/hdf {out} --patch-size 30", ("--patch-size", "multiple of 8", "30")),
    Bad("train: learning rate", "jaxmask.train {w}/hdf {out} --learning-rate -1", ("--learning-rate", "-1")),
    Bad("train: split", "jaxmask.train {w}/hdf {out} --train_split 1.5", ("--train-split", "1.5")),
    Bad("train: not a number", "jaxmask.train {w}/hdf {out} --epochs many", ("epochs", "many")),
    Bad(
        "train: batch over devices",
        "jaxmask.train {w}/hdf {out} --patch-size 32 --clip-offset 2 --global-batch-size 7",
        ("--global-batch-size", "8 devices", "7"),
    ),
    Bad(
        "train: another task in the folder",
        "jaxmask.train {w}/hdf {w}/model --features 4 --patch-size 32 --clip-offset 2 --global-batch-size 8",
        ("--features", "--overwrite"),
    ),
    Bad("infer: no model", "jaxmask.infer {w}/absent {w}/hdf {out}", ("absent", "model")),
    Bad("infer: folder without a model", "jaxmask.infer {w}/no_config {w}/hdf {out}", ("no_config", "config.json")),
    Bad("infer: no checkpoint", "jaxmask.infer {w}/no_checkpoint {w}/hdf {out}", ("no_checkpoint", "checkpoint")),
    Bad("infer: half a config", "jaxmask.infer {w}/bad_config {w}/hdf {out}", ("config.json", "JSON")),
    Bad("infer: damaged model.h5", "jaxmask.infer {w}/bad_model.h5 {w}/hdf {out}", ("bad_model.h5",)),
    Bad("infer: not a model", "jaxmask.infer {w}/not_a_model.h5 {w}/hdf {out}", ("not_a_model.h5", "Keras")),
    Bad("infer: no input", "jaxmask.infer {w}/model {w}/empty {out}", ("empty",)),
    Bad(
        "infer: another convention",
        "jaxmask.infer {w}/model {w}/mixed {out}",
        (product_name(5), "reference", "--force"),
        EXIT_SOME_FAILED,
        (f"{product_name(0)}.h5",),
    ),
    Bad(
        "infer: damaged shard among good ones",
        "jaxmask.infer {w}/model {w}/damaged {out}",
        (product_name(1), "1 failed"),
        EXIT_SOME_FAILED,
        (f"{product_name(0)}.h5", f"{product_name(2)}.h5", "failures.json"),
    ),
    Bad(
        "infer: misshapen shard among good ones",
        "jaxmask.infer {w}/model {w}/misshapen {out}",
        (product_name(1), "bts", "(64, 96, 2)"),
        EXIT_SOME_FAILED,
        (f"{product_name(2)}.h5",),
    ),
    Bad("sst: no table", "jaxmask.sst {w}/absent.h5 {w}/predictions", ("absent.h5",)),
    Bad("sst: no masks", "jaxmask.sst {w}/archive/sst_matchups.h5 {w}/empty", ("empty", "jaxmask.infer")),
    Bad("sst: hostile pickle", "jaxmask.sst {w}/hostile.h5 {w}/predictions", ("hostile.h5", "system")),
    Bad("sst: no such column", "jaxmask.sst {w}/no_quality.csv {w}/predictions", ("quality_level",)),
    Bad("sst: table of strangers", "jaxmask.sst {w}/strangers.csv {w}/predictions", ("of_another_archive",)),
    Bad("sst: not a table", "jaxmask.sst {w}/text.txt {w}/predictions", ("text.txt",)),
    Bad("evaluate: no masks", "jaxmask.evaluate {w}/hdf {w}/empty", ("empty", "jaxmask.infer")),
    Bad("evaluate: no truth", "jaxmask.evaluate {w}/hdf {w}/predictions --truth {w}/absent", ("absent",)),
    Bad("evaluate: no shards", "jaxmask.evaluate {w}/empty {w}/predictions", ("empty",)),
    Bad("report: no run", "jaxmask.report {w}/absent", ("absent",)),
    Bad("report: empty run", "jaxmask.report {w}/empty", ("empty", "predictions")),
    Bad("simulate: no products", "preprocess.simulate {out} --products 0", ("--products", "0")),
    Bad("simulate: another archive", "preprocess.simulate {w}/archive --products 3", ("archive", "products")),
    Bad("describe: neither", "preprocess.describe {w}/bad_model.h5", ("bad_model.h5",), EXIT_SOME_FAILED),
    Bad("demo: too few", "jaxmask.demo {out} --products 1", ("--products", "4 or more")),
)


def contents(folder: Path) -> dict[Path, str]:
    """A digest of every file, less the listings that each run renews."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "failures.json"
    }


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_bad_input(bad: Bad, workspace: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(workspace)
    out = tmp_path / "out"
    try:
        code = call(bad.command.format(w=workspace, out=out))
    except SystemExit as stop:
        code = stop.code
    printed = "".join(capfd.readouterr())
    text = " ".join(printed.replace("│", " ").split())
    assert code == bad.code, printed
    missing = [word for word in bad.words if word not in text]
    assert not missing, f"{missing} not in: {printed}"
    assert "Traceback" not in printed
    assert contents(workspace) == before
    assert not Path("/tmp/jaxmask-was-here").exists()
    assert not list(tmp_path.rglob("*escaped*"))
    for pattern in bad.makes:
        assert list(out.glob(pattern)), f"{pattern} is not among {sorted(out.rglob('*'))}"
    assert not [path for path in tmp_path.rglob("*") if ".partial" in path.name]


def test_there_are_enough_cases_and_every_stage_has_some() -> None:
    assert len(CASES) >= 25
    stages = {bad.command.split()[0].rpartition(".")[2] for bad in CASES}
    assert stages >= {"extract", "convert", "train", "infer", "sst", "evaluate", "report", "simulate", "demo"}
