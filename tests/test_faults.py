"""Extract and convert keep their promise under faults; benchmarks/faults.py tries the same for longer.

The promise: only whole and right outputs lie under their names; a rerun completes, its outputs equal those of an
undisturbed run dataset by dataset; no temporary file remains; the list of failures names the bad items and only those.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from preprocess import convert, extract
from preprocess.command import run
from preprocess.shard import read_shard, validate
from tests.fault_campaign import campaign, check, fault_bench, fault_inputs, fault_trials
from tests.products import DAY, FILL, NAME, product_files, write_product, zip_product

SEED = 8
PRODUCTS = 8
FLAGS = {"extract": ("--workers", "2"), "convert": ("--workers", "2", "--shape", "8x10")}


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small products with random measurements, by day and in twilight, and their zips."""
    folder = tmp_path_factory.mktemp("inputs")
    draws = np.random.default_rng(SEED)
    for number in range(PRODUCTS):
        files = product_files()
        for channel in ("S8_BT_in", "S9_BT_in"):
            files[f"{channel}.nc"][channel][0][...] = draws.integers(-2000, 2000, (4, 6))
        if number % 2:
            files["flags_in.nc"]["confidence_in"][0][0, 0] = 2048
        name = NAME.replace("T102338", f"T10{number:02}38")
        zip_product(write_product(folder / "products", files, name), folder / "zips" / f"{name}.zip")
    return folder


@pytest.fixture(scope="module", params=["extract", "convert"])
def bench(
    request: pytest.FixtureRequest, products: Path, tmp_path_factory: pytest.TempPathFactory
) -> fault_bench.Bench:
    """A stage, and what an undisturbed run of it makes."""
    scratch = tmp_path_factory.mktemp("faults") / request.param
    return fault_bench.prepare(request.param, products / "zips", scratch, FLAGS[request.param])


def test_kills_at_random_moments(bench: fault_bench.Bench) -> None:
    check(fault_trials.killed(bench, 6, SEED), 6)


def test_signals_at_random_moments(bench: fault_bench.Bench) -> None:
    check(fault_trials.interrupted(bench, 2, SEED), 2)


def test_files_that_may_not_grow(bench: fault_bench.Bench) -> None:
    check(fault_trials.limited(bench, 2, SEED), 2)


def mounting() -> None:
    if subprocess.run([*fault_bench.UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting in a namespace of one's own is not allowed here")


def test_a_full_disk(bench: fault_bench.Bench) -> None:
    mounting()
    check(fault_trials.full_disk(bench, 2, SEED), 2)


def test_a_read_only_disk(bench: fault_bench.Bench) -> None:
    mounting()
    check(fault_trials.read_only(bench), 1)


def test_several_commands_on_one_folder(bench: fault_bench.Bench) -> None:
    check(fault_trials.together(bench, 2, SEED, commands=3), 2)


def test_a_folder_removed_meanwhile(bench: fault_bench.Bench) -> None:
    check(fault_trials.removed(bench, 1, SEED), 1)


def test_few_files_may_be_open(bench: fault_bench.Bench) -> None:
    check(fault_trials.few_descriptors(bench, 1, SEED), 1)


def test_damage_at_random_places(bench: fault_bench.Bench, products: Path) -> None:
    folders = products / "products" if bench.stage == "convert" else None
    check(fault_inputs.harmed(bench, folders, 40, SEED, "8x10"), 40)


def test_each_file_missing(bench: fault_bench.Bench, products: Path) -> None:
    if bench.stage == "convert":
        check(fault_inputs.missing_files(bench, products / "products", "8x10"), 19)


def test_two_thousand_entries_of_which_nearly_all_are_bad(bench: fault_bench.Bench) -> None:
    check(fault_inputs.many_bad_entries(bench, 2000, SEED), 1)


def test_a_wrong_output_would_be_found(bench: fault_bench.Bench, tmp_path: Path) -> None:
    """The campaign's own eyes: one changed byte, one attribute, one temporary folder."""
    flags = ["--quiet", *bench.flags]
    module = {"extract": extract, "convert": convert}[bench.stage]
    config = {"extract": extract.ExtractConfig, "convert": convert.ConvertConfig}[bench.stage]
    assert run("x", config, module.main, [str(bench.inputs), str(tmp_path / "out"), *flags]) == 0
    assert not list(fault_bench.wrong_outputs(bench, tmp_path / "out"))
    path = tmp_path / "out" / sorted(bench.expected)[0]
    if bench.stage == "convert":
        with h5py.File(path, "r+") as file:
            file["bts"].attrs["units"] = "C"
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    (wrong,) = fault_bench.wrong_outputs(bench, tmp_path / "out")
    assert str(path.relative_to(tmp_path / "out")) in wrong
    (tmp_path / "out" / ".x.partial-here-1").mkdir()
    assert fault_bench.temporary(tmp_path / "out") == [".x.partial-here-1"]


@pytest.mark.parametrize(("violations", "code"), [((), 0), (("x.hdf is wrong",), 1)])
def test_the_campaign_ends_with_an_error_where_anything_was_violated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], violations: tuple[str, ...], code: int
) -> None:
    found = [fault_bench.Finding("kill", "one"), fault_bench.Finding("kill", "two", violations)]
    monkeypatch.setattr(campaign, "campaign", lambda *_: found)
    monkeypatch.setattr(campaign.subprocess, "run", lambda *_, **__: None)
    assert campaign.main([]) == code
    printed = capsys.readouterr()
    assert json.loads(printed.out)["trials"] == {"kill": {"tried": 2, "passed": 2 - code}}
    assert f"{2 - code} of    2 passed" in printed.err
    assert ("VIOLATED kill: two: x.hdf is wrong" in printed.err) == bool(code)


def test_a_product_without_a_valid_pixel_becomes_a_valid_shard(tmp_path: Path) -> None:
    """All brightness temperatures and radiances are fill: nothing is valid, nothing is measured, nothing is NaN."""
    files = product_files()
    for variables in files.values():
        for name, (data, _) in variables.items():
            if name.endswith(("_BT_in", "_radiance_an")):
                data[...] = FILL
    product = write_product(tmp_path / "products", files)
    assert run("x", convert.ConvertConfig, convert.main, [str(product), str(tmp_path / "out"), "--quiet"]) == 0
    (path,) = (tmp_path / "out").rglob("*.hdf")
    assert path.parent.name == "day"
    validate(path)
    scene = read_shard(path)
    assert not scene.valid.any()
    assert not scene.measured.any()
    assert np.isfinite(scene.refs).all()


def test_a_run_killed_between_two_versions_leaves_one_shard_after_the_next(tmp_path: Path) -> None:
    """The later version isn't wholly day: its shard lies in another folder, where the earlier one's must not stay."""
    files = product_files()
    files["flags_in.nc"]["confidence_in"][0][1, 1] ^= DAY
    earlier, later = write_product(tmp_path / "earlier"), write_product(tmp_path / "later", files)
    out = tmp_path / "out"
    for product, output in ((earlier, tmp_path / "old"), (later, out)):
        assert run("x", convert.ConvertConfig, convert.main, [str(product), str(output), *FLAGS["convert"]]) == 0
    (out / "day").mkdir(exist_ok=True)
    (tmp_path / "old" / "day" / f"{NAME}.hdf").rename(out / "day" / f"{NAME}.hdf")
    assert run("x", convert.ConvertConfig, convert.main, [str(later), str(out), *FLAGS["convert"]]) == 0
    assert [path.parent.name for path in out.rglob("*.hdf")] == ["night"]


def test_failures_are_told_where_their_list_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "failures.json").mkdir(parents=True)
    (tmp_path / "list.txt").write_text("absent.zip\n")
    argv = [str(tmp_path / "list.txt"), str(tmp_path / "out"), "--workers", "0", "--json"]
    assert run("x", extract.ExtractConfig, extract.main, argv) == 3
    told = capsys.readouterr()
    assert "failed: absent.zip: no such zip" in told.err
    assert "failures.json can't be written (Is a directory); --json prints it" in told.err
    assert json.loads(told.out)["failures"][0]["item"] == "absent.zip"


def on_a_terminal(argv: list[str], columns: int) -> str:
    """What a command writes to a terminal so wide."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    shown = b""
    with subprocess.Popen(argv, stdin=its, stdout=its, stderr=its):
        os.close(its)
        with suppress(OSError):  # Linux's way to say that the other end has closed
            while data := os.read(ours, 4096):
                shown += data
    os.close(ours)
    return shown.decode()


def test_the_progress_bar_tells_count_and_time_left_on_a_terminal_and_is_silent_in_a_pipe(products: Path) -> None:
    argv = [sys.executable, "-m", "preprocess.extract", str(products / "zips"), str(products / "bar"), "--workers", "0"]
    bars = re.findall(r"extract: [^\r\n]+", on_a_terminal(argv, 80))
    assert max(map(len, bars)) < 80
    assert re.search(rf"{PRODUCTS}/{PRODUCTS} zips, \d\d:\d\d gone, \d\d:\d\d left", bars[-1]), bars[-1]
    piped = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "\r" not in piped.stderr
    assert len(piped.stderr.splitlines()) == 1
